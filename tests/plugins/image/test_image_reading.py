"""Reading picture files: orientation, transparency, depth and colour models, and every kind of bad input."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.parts import picture_suffixes
from ddmi_image.folder import read
from ddmi_image.reading import Fit, reached_rows, read_picture, read_square
from ddmi_image.settings import ImageSettings

RED, BLUE, WHITE = (220, 20, 30), (10, 40, 200), (255, 255, 255)


def halves(left, right, mode="RGB", size=(32, 32)):
    """A picture whose left half has one colour, and its right half another."""
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def read_back(image, path, size=32, **options):
    image.save(path, **options)
    return np.asarray(read_square(path, path.name, size)).astype(int)


def assert_colour(pixels, colour, tolerance=1):
    np.testing.assert_allclose(pixels.reshape(-1, 3), np.broadcast_to(colour, (pixels.size // 3, 3)), atol=tolerance)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".gif"])
def test_lossless_formats_are_read_exactly(tmp_path, suffix):
    pixels = read_back(halves(RED, BLUE), tmp_path / f"a{suffix}")
    assert_colour(pixels[:, :16], RED)
    assert_colour(pixels[:, 16:], BLUE)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_are_read_closely(tmp_path, suffix):
    pixels = read_back(halves(RED, BLUE), tmp_path / f"a{suffix}", quality=95)
    assert_colour(pixels[:, :12], RED, 8)
    assert_colour(pixels[:, 20:], BLUE, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = Image.new("RGB", (32, 32), WHITE)
    upright.paste(RED, (0, 0, 16, 16))
    upright.paste(BLUE, (16, 0, 32, 16))
    stored = {
        1: lambda i: i,
        2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
        4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        6: lambda i: i.transpose(Image.Transpose.ROTATE_90),
        7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
        8: lambda i: i.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read_back(stored, tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels, np.asarray(upright))


def test_the_side_that_a_picture_reaches_is_known_from_the_header(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:-20])
    assert reached_rows(tmp_path / "a.png", "a.png", (8, 8)) == 20
    assert reached_rows(tmp_path / "a.png", "a.png", (8, 8), "pad") == 40
    assert reached_rows(tmp_path / "a.png", "a.png", (8, 32)) == 10
    assert reached_rows(tmp_path / "a.png", "a.png", (8, 32), "pad") == 20


@pytest.mark.parametrize(("mode", "ink"), [("RGBA", (*RED, 128)), ("LA", (0, 128))])
def test_transparency_is_laid_over_white(tmp_path, mode, ink):
    clear = (0, 0, 0, 0) if mode == "RGBA" else (0, 0)
    pixels = read_back(halves(ink, clear, mode), tmp_path / "a.png")
    colour = np.array(RED if mode == "RGBA" else (0, 0, 0))
    assert_colour(pixels[:, :16], colour * 128 / 255 + 255 * 127 / 255, 2)
    assert_colour(pixels[:, 16:], WHITE)


def test_transparent_palette_is_laid_over_white(tmp_path):
    image = halves(0, 1, "P")
    image.putpalette([*RED, *BLUE])
    pixels = read_back(image, tmp_path / "a.png", transparency=1)
    assert_colour(pixels[:, :16], RED)
    assert_colour(pixels[:, 16:], WHITE)


def test_greyscale_and_bilevel_become_grey(tmp_path):
    assert_colour(read_back(Image.new("L", (32, 32), 77), tmp_path / "a.png"), (77, 77, 77))
    pixels = read_back(halves(0, 1, "1"), tmp_path / "b.png")
    assert_colour(pixels[:, :16], (0, 0, 0))
    assert_colour(pixels[:, 16:], WHITE)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 32).round().astype(np.uint16)
    pixels = read_back(Image.fromarray(np.tile(ramp, (32, 1))), tmp_path / f"a{suffix}")
    np.testing.assert_allclose(pixels[..., 0], np.tile(ramp / 257, (32, 1)), atol=0.51)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_cmyk_becomes_rgb(tmp_path):
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    assert_colour(read_back(cyan, tmp_path / "a.jpg", quality=100), (0, 255, 255), 4)
    assert_colour(read_back(cyan, tmp_path / "a.tiff"), (0, 255, 255), 1)


def test_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    pixels = read_back(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert_colour(pixels, RED)


def test_the_central_square_is_taken(tmp_path):
    image = Image.new("RGB", (96, 32), BLUE)
    image.paste(RED, (32, 0, 64, 32))
    assert_colour(read_back(image, tmp_path / "a.png"), RED)


def changes_of(image, path, size=32, **how):
    image.save(path)
    picture, changes = read_picture(path, path.name, size if isinstance(size, tuple) else (size, size), Fit(**how))
    return np.asarray(picture).astype(int), {change.what: change for change in changes}


def test_pictures_are_cut_padded_or_stretched_with_a_record(tmp_path):
    wide = Image.new("RGB", (96, 32), BLUE)
    wide.paste(RED, (0, 0, 32, 32))
    cut, changes = changes_of(wide, tmp_path / "a.png")
    assert_colour(cut, BLUE)
    change = changes["cut to the centre"]
    assert change.amount == pytest.approx(2 / 3, abs=1e-4)
    assert change.values == {"box": [32, 0, 64, 32], "size": [96, 32]}
    assert changes["cut by more than half"].fix

    padded, changes = changes_of(wide, tmp_path / "a.png", 96, fit="pad", background="#00ff00")
    assert_colour(padded[:32], (0, 255, 0))
    assert_colour(padded[64:], (0, 255, 0))
    assert_colour(padded[32:64, :32], RED)
    assert_colour(padded[32:64, 32:], BLUE)
    assert changes["padded with #00ff00"].amount == pytest.approx(2 / 3, abs=1e-4)

    stretched, changes = changes_of(wide, tmp_path / "a.png", fit="stretch")
    assert_colour(stretched[:, :8], RED)
    assert_colour(stretched[:, 13:], BLUE)
    assert changes["stretched to 32 x 32"].amount == 3


def test_grids_that_are_not_square_take_the_part_with_their_proportions(tmp_path):
    bars = Image.new("RGB", (90, 40), BLUE)
    bars.paste(RED, (5, 0, 85, 40))
    cut, changes = changes_of(bars, tmp_path / "a.png", (16, 32))
    assert cut.shape == (16, 32, 3)
    assert_colour(cut, RED)
    assert changes["cut to the centre"].values["box"] == [5, 0, 85, 40]
    padded, changes = changes_of(bars, tmp_path / "a.png", (60, 90), fit="pad", background="black")
    assert_colour(padded[:10], (0, 0, 0))
    assert_colour(padded[10:50, 5:85], RED)
    assert_colour(padded[50:], (0, 0, 0))
    signal = read(tmp_path / "a.png", ImageSettings(size=(16, 32), multiples=(1, 2, 4)))
    assert [tuple(level.shape[1:]) for level in signal.levels()] == [(3, 16, 32), (3, 32, 64)]


def test_a_turned_picture_is_cut_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 32)).save(tmp_path / "a.jpg", exif=exif)
    changes = {change.what: change for change in read_picture(tmp_path / "a.jpg", "a.jpg", (32, 32), Fit())[1]}
    assert changes["turned upright as EXIF says"].values == {"orientation": 6}
    assert changes["cut to the centre"].values["size"] == [32, 80]


def test_sizes_are_recorded_and_strong_enlargements_warned_of(tmp_path):
    _, changes = changes_of(Image.new("RGB", (128, 128)), tmp_path / "a.png")
    assert changes["reduced in size"].amount == 4
    _, changes = changes_of(Image.new("RGB", (10, 10)), tmp_path / "a.png")
    assert changes["enlarged"].amount == pytest.approx(3.2)
    assert changes["enlarged more than 2 times"].fix
    assert changes_of(Image.new("RGB", (32, 32)), tmp_path / "a.png")[1] == {}


def test_suffixes_are_those_that_pillow_decodes(tmp_path):
    assert {".png", ".jpg", ".jfif", ".ppm", ".tga", ".apng", ".jp2"} <= set(picture_suffixes())
    assert not {".eps", ".mpg", ".h5", ".grib", ".wmf"} & set(picture_suffixes())
    for suffix, kind in ((".jfif", "JPEG"), (".ppm", "PPM"), (".tga", "TGA"), (".jp2", "JPEG2000"), (".avif", "AVIF")):
        if suffix in picture_suffixes():
            Image.new("RGB", (32, 32), RED).save(tmp_path / f"a{suffix}", kind, quality=95)
            assert_colour(np.asarray(read_square(tmp_path / f"a{suffix}", "a", 32)).astype(int), RED, 4)


def test_reduction_is_antialiased(tmp_path):
    checks = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    assert_colour(read_back(Image.fromarray(checks), tmp_path / "a.png"), (127, 127, 127), 3)


def test_large_jpegs_are_read_like_png(tmp_path):
    gradient = np.linspace(0, 255, 1600).astype(np.uint8)
    image = Image.fromarray(np.tile(gradient, (1600, 1)))
    by_jpeg = read_back(image, tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(by_jpeg, read_back(image, tmp_path / "a.png"), atol=3)


def png_header(width, height):
    """A PNG file that claims a size, with hardly any data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def truncated():
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()[:3000]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no picture", "not a picture"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture"),
        (b"II*\0\0\0", "a damaged TIFF"),
        (truncated(), "or damaged: image file is truncated"),
        (png_header(1, 1), "1 x 1 pixels is too small; each side needs 8"),
        (png_header(40000, 40000), "too large; the limit is 170,000,000 pixels and 20,000 a side"),
        (png_header(20001, 16), "20001 x 16 pixels is too large"),
        (png_header(13200, 13200), "too large"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_files_are_named_with_the_reason(tmp_path, content, words):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read(path, ImageSettings())
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "none.png", ImageSettings())
    with pytest.raises(DataError, match="a folder"):
        read(tmp_path, ImageSettings())


def test_a_file_is_read_as_a_signal_with_the_levels_it_has(tmp_path):
    halves(RED, BLUE, size=(100, 110)).save(tmp_path / "a.png")
    signal = read(tmp_path / "a.png", ImageSettings(size=48))
    assert [tuple(level.shape) for level in signal.levels()] == [(1, 3, 48, 48), (1, 3, 96, 96)]
    assert signal.values[0, :, 20, 4].tolist() == pytest.approx([c / 127.5 - 1 for c in RED], abs=0.01)

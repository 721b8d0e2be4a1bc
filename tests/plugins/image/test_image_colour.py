"""Colours of picture files: profiles, depths and transparency give the values that their definitions say."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from ddmi_core.errors import DataError
from ddmi_image.reading import Fit, read_picture
from picture_profiles import (
    ADOBE,
    CHRM_ADOBE,
    CHRM_P3,
    CHRM_SRGB,
    COLOUR,
    GAMA,
    P3,
    SPACES,
    SRGB,
    exif_of,
    fixed,
    gamma_curve,
    matrix_profile,
    profile,
    save_with_chunks,
    shown,
    srgb_curve,
    srgb_linear,
)

SIZE = 16


def of(image, path, size=SIZE, how=Fit(), **options):
    image.save(path, **options)
    picture, changes = read_picture(path, path.name, (size, size), how)
    return np.asarray(picture).astype(int)[size // 2, size // 2], {change.what: change for change in changes}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("colour", [(120, 140, 100), (210, 150, 120), (128, 128, 128)])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_profiles_are_converted_to_srgb(tmp_path, space, colour, suffix):
    primaries, curve, linear = SPACES[space]
    options = {"lossless": True} if suffix == ".webp" else {}
    image = Image.new("RGB", (SIZE, SIZE), colour)
    found, changes = of(image, tmp_path / f"a{suffix}", icc_profile=matrix_profile(primaries, curve), **options)
    np.testing.assert_allclose(found, shown(colour, primaries, linear), atol=2)
    assert "converted to sRGB from made by a test" in changes


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA"])
def test_profiles_apply_to_other_modes(tmp_path, mode):
    """A gamma of 1.8 with the primaries of sRGB, so that grey stays grey; a quarter is transparent."""
    data = matrix_profile(SRGB, gamma_curve(1.8))
    image = Image.new("RGB", (SIZE, SIZE), (100, 100, 100)).convert(mode)
    found, _ = of(image, tmp_path / "a.png", icc_profile=data)
    np.testing.assert_allclose(found, shown((100, 100, 100), SRGB, lambda values: values**1.80078125), atol=2)


def test_profiles_of_grey_apply_to_grey_of_8_and_16_bits(tmp_path):
    data = profile(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    wanted = 255 * (1.055 * (64 / 255) ** (1 / 2.4) - 0.055)  # linear light
    deep = Image.fromarray(np.full((SIZE, SIZE), 64 * 257, np.uint16))
    for number, image in enumerate((Image.new("L", (SIZE, SIZE), 64), Image.new("LA", (SIZE, SIZE), (64, 255)), deep)):
        found, _ = of(image, tmp_path / f"{number}.png", icc_profile=data)
        np.testing.assert_allclose(found, [wanted] * 3, atol=2)


def cmyk_profile():
    """A profile of four inks by a table with two points an axis, in Lab: cyan ink alone makes it dark."""
    identity = struct.pack(">256B", *range(256))
    lab = b"".join(bytes([round(255 * (0.2 if cyan else 1.0)), 128, 128]) for cyan in (0, 1) for _ in range(8))
    unit = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + identity * 4 + lab + identity * 3
    return profile(b"CMYK", {b"A2B0": table}, b"prtr", b"Lab ")


def test_inks_are_shown_as_their_profile_says(tmp_path):
    """Lightness 20 is the luminance ((20 + 16) / 116)^3."""
    cyan = Image.new("CMYK", (SIZE, SIZE), (255, 0, 0, 0))
    luminance = ((20 + 16) / 116) ** 3
    wanted = 255 * (1.055 * luminance ** (1 / 2.4) - 0.055)
    found, changes = of(cyan, tmp_path / "a.tif", icc_profile=cmyk_profile())
    np.testing.assert_allclose(found, [wanted] * 3, atol=3)
    assert "converted to sRGB from made by a test" in changes
    bare, changes = of(cyan, tmp_path / "b.tif")
    assert bare.tolist() == [0, 255, 255]
    assert "converted from CMYK without a profile" in changes


def test_profiles_that_cannot_be_used_are_warned_of(tmp_path):
    image = Image.new("RGB", (SIZE, SIZE), (10, 200, 30))
    for data, words in ((b"no profile", "damaged"), (cmyk_profile(), "for CMYK and not for RGB")):
        found, changes = of(image, tmp_path / "a.png", icc_profile=data)
        assert found.tolist() == [10, 200, 30]
        assert any(words in what and change.fix for what, change in changes.items())


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))
    image.save(tmp_path / "a.png", icc_profile=matrix_profile(SRGB, srgb_curve()))
    picture, changes = read_picture(tmp_path / "a.png", "a.png", (SIZE, SIZE), Fit())
    assert picture.tobytes() == image.tobytes()
    assert changes == ()


def significant(image, bits):
    """A PNG with the chunk sBIT."""
    out = io.BytesIO()
    image.save(out, "PNG")
    data = out.getvalue()
    chunk = b"sBIT" + bytes([bits])
    return data[:33] + struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def grey(value, kind=np.uint16):
    values = np.full((SIZE, SIZE), value, kind)
    return Image.fromarray(values)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_greys_of_fewer_bits_in_sixteen_are_scaled_by_what_the_file_declares(tmp_path, bits):
    top = 2**bits - 1
    half = grey(top // 2)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[341] = top
    found, changes = of(half, tmp_path / "a.tif", tiffinfo=tags)
    assert found.tolist() == [127] * 3
    assert not any(change.fix for change in changes.values())
    for values, wanted in ((half, 127), (grey(round(65535 * 0.2) >> (16 - bits) << (16 - bits)), 51)):
        path = tmp_path / "b.png"  # unshifted against the specification, and shifted
        path.write_bytes(significant(values, bits))
        picture, changes = read_picture(path, "b.png", (SIZE, SIZE), Fit())
        assert abs(picture.getpixel((8, 8))[0] - wanted) <= 1
        assert not any(change.fix for change in changes)


def test_greys_whose_bits_nobody_declares_are_warned_of_and_set(tmp_path):
    for suffix in (".png", ".tif"):
        found, changes = of(grey(4095), tmp_path / f"a{suffix}")
        assert found.tolist() == [16] * 3
        (warned,) = (change for change in changes.values() if change.fix)
        assert (warned.amount, "perhaps of 10, 12 or 14 bits" in warned.what) == (4095, True)
        found, changes = of(grey(4095), tmp_path / f"a{suffix}", how=Fit(white=4095))
        assert found.tolist() == [255] * 3
        assert not any(change.fix for change in changes.values())
    _, changes = of(grey(60000), tmp_path / "a.png")
    assert not any(change.fix for change in changes.values())


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [(200, np.int32, 200), (32768, np.int32, 128), (0.5, np.float32, 128), (200, np.float32, 200)],
)
def test_whole_and_floating_point_greys_of_32_bits_are_scaled_with_a_warning(tmp_path, value, kind, wanted):
    found, changes = of(grey(value, kind), tmp_path / "a.tif")
    assert found.tolist() == [wanted] * 3
    assert any(change.fix for change in changes.values())


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.5, "value of white is unknown"), (-0.5, "negative values, down to -0.5"), (np.nan, "not finite")],
)
def test_greys_without_a_meaning_are_refused_with_the_setting(tmp_path, value, words):
    with pytest.raises(DataError, match=words):
        of(grey(value, np.float32), tmp_path / "a.tif")
    if value == 1.5:
        found, _ = of(grey(value, np.float32), tmp_path / "a.tif", how=Fit(white=3))
        assert found.tolist() == [128] * 3


def test_a_transparent_grey_of_sixteen_bits_is_the_background(tmp_path):
    found, changes = of(grey(30000), tmp_path / "a.png", how=Fit(background="#102030"), transparency=30000)
    assert found.tolist() == [0x10, 0x20, 0x30]
    assert changes["laid over #102030 where transparent"].amount == 1.0


def test_the_kind_of_a_tiff_that_cannot_be_read_is_named(tmp_path):
    """Three floating-point values of 32 bits a pixel."""
    tags = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 3, 134), (262, 3, 1, 2), (273, 4, 1, 200), (277, 3, 1, 3),
            (278, 4, 1, 8), (279, 4, 1, 768), (339, 3, 3, 140)]  # fmt: skip
    entries = b"".join(
        struct.pack("<HHI", *tag[:3])
        + struct.pack(
            "<HH" if tag[1] == 3 and tag[2] == 1 else "<I", *((tag[3], 0) if tag[1] == 3 and tag[2] == 1 else (tag[3],))
        )
        for tag in tags
    )
    data = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    data = data.ljust(134, b"\0") + struct.pack("<3H", 32, 32, 32) + struct.pack("<3H", 3, 3, 3)
    (tmp_path / "a.tif").write_bytes(data.ljust(200, b"\0") + np.full(192, 0.5, np.float32).tobytes())
    with pytest.raises(DataError, match="a TIFF with 3 x 32-bit floating-point values a pixel, which Pillow does not"):
        read_picture(tmp_path / "a.tif", "a.tif", (SIZE, SIZE), Fit())


def test_transparency_is_kept_as_a_fourth_channel_that_multiplies_colours(tmp_path):
    image = Image.new("RGBA", (SIZE, SIZE), (200, 100, 50, 128))
    found, changes = of(image, tmp_path / "a.png", how=Fit(background="alpha"))
    np.testing.assert_allclose(found, [100, 50, 25, 128], atol=1)
    assert changes == {}
    opaque, _ = of(Image.new("L", (SIZE, SIZE), 9), tmp_path / "b.png", how=Fit(background="alpha"))
    assert opaque.tolist() == [9, 9, 9, 255]
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8)
    noise[..., 3] = 0
    hidden, _ = of(Image.fromarray(noise), tmp_path / "c.png", 8, Fit(background="alpha"))
    assert hidden.tolist() == [0, 0, 0, 0]


def with_chunks(image, path, *chunks):
    save_with_chunks(image, path, *chunks)
    picture, changes = read_picture(path, path.name, (SIZE, SIZE), Fit())
    return np.asarray(picture).astype(int)[SIZE // 2, SIZE // 2], {change.what: change for change in changes}


@pytest.mark.parametrize(
    ("chunks", "primaries", "linear"),
    [
        ([GAMA[100_000]], SRGB, lambda values: values),
        ([GAMA[55556], CHRM_SRGB], SRGB, lambda values: values**1.8),
        ([GAMA[45455], CHRM_ADOBE], ADOBE, srgb_linear),
        ([CHRM_P3], P3, srgb_linear),
        ([(b"cICP", bytes([12, 13, 0, 1]))], P3, srgb_linear),
        ([(b"cICP", bytes([1, 8, 0, 1])), GAMA[55556]], SRGB, lambda values: values),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_colours_that_chunks_declare_are_converted(tmp_path, chunks, primaries, linear, mode):
    colour = (120, 120, 120) if mode == "L" else COLOUR
    plain = Image.new("RGB", (SIZE, SIZE), colour)
    image = plain.quantize(2) if mode == "P" else plain.convert(mode)
    found, changes = with_chunks(image, tmp_path / "a.png", *chunks)
    np.testing.assert_allclose(found, shown(colour, primaries, linear), atol=2)
    assert any(what.startswith("converted to sRGB from its chunk") for what in changes)


@pytest.mark.parametrize(
    "chunks",
    [
        [GAMA[45455]],
        [GAMA[45455], CHRM_SRGB],
        [(b"sRGB", b"\0"), GAMA[100_000], CHRM_P3],
        [(b"cICP", bytes([1, 13, 0, 1])), CHRM_P3],
        [(b"cHRM", bytes(32))],
        [(b"gAMA", bytes(4))],
    ],
)
def test_chunks_that_mean_srgb_or_nothing_change_nothing(tmp_path, chunks):
    found, changes = with_chunks(Image.new("RGB", (SIZE, SIZE), COLOUR), tmp_path / "a.png", *chunks)
    assert (found.tolist(), changes) == (list(COLOUR), {})


def test_high_dynamic_range_of_a_chunk_is_warned_of(tmp_path):
    chunk = (b"cICP", bytes([9, 16, 0, 1]))
    found, changes = with_chunks(Image.new("RGB", (SIZE, SIZE), COLOUR), tmp_path / "a.png", chunk)
    assert found.tolist() == list(COLOUR)
    assert changes["read as sRGB, although the chunk cICP says PQ"].fix


@pytest.mark.parametrize(("space", "index"), [(65535, "R03"), (2, "R98")])
def test_adobe_rgb_that_only_exif_names_is_converted(tmp_path, space, index):
    image = Image.new("RGB", (SIZE, SIZE), COLOUR)
    found, changes = of(image, tmp_path / "a.jpg", exif=exif_of(space, index), quality=100, subsampling=0)
    np.testing.assert_allclose(found, shown(COLOUR, ADOBE, lambda values: values**2.19921875), atol=3)
    assert "converted to sRGB from Adobe RGB, as EXIF says" in changes


def test_other_spaces_of_exif_are_warned_of_unless_there_is_a_profile(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    image = Image.new("RGB", (SIZE, SIZE), COLOUR)
    _, changes = of(image, tmp_path / "a.jpg", exif=exif)
    assert changes["read as sRGB, although EXIF says that it is another space"].fix
    _, changes = of(image, tmp_path / "b.jpg", exif=exif, icc_profile=matrix_profile(P3, srgb_curve()))
    assert list(changes) == ["converted to sRGB from made by a test"]
    plain = Image.Exif()
    plain.get_ifd(0x8769)[0xA001] = 1
    assert of(image, tmp_path / "c.jpg", exif=plain)[1] == {}

"""Export: PNG by strips equals what other readers see, and failures leave nothing behind."""

import errno

import numpy as np
import pytest
import torch
from attrs import frozen
from PIL import Image

from ddmi_core.api import Field, Planes
from ddmi_core.atomic import written_aside
from ddmi_core.errors import OutputError, RequestError
from ddmi_core.parts import CoarseToFineReadout, GridSignal, ReadoutConfig
from ddmi_image import export
from ddmi_image.export import picture, write_png, write_small
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings


@pytest.fixture(scope="module")
def field():
    torch.manual_seed(1)
    readout = CoarseToFineReadout((4,), extra=1, values=3, config=ReadoutConfig(width=8))
    return Field(basis=(Planes([torch.randn(1, 4, 6, 6)]),), readout=readout, layout=IMAGE.layout)


def raster(field, size):
    return ImageParts(IMAGE, ImageSettings()).renderer.render(field, size)


def expected(artefact):
    return np.clip(np.round((artefact.array().astype(np.float64) + 1) * 127.5), 0, 255)


@pytest.mark.parametrize("size", [(48, 48), (130, 77), (1, 5), (3, 5000)])
def test_png_reads_back_equal(field, tmp_path, size):
    artefact = raster(field, size)
    write_png(artefact, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGB"
        np.testing.assert_allclose(np.asarray(image), expected(artefact), atol=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@frozen
class Endless:
    """A raster that counts how much of it was asked for at once."""

    size: tuple = (2000, 3000)
    channels: int = 3
    rows: int = 1

    def slabs(self):
        for _ in range(self.size[0] // self.rows):
            yield np.zeros((self.rows, self.size[1], 3), np.float32)

    def array(self):
        raise AssertionError("the picture must not be held in memory")


def test_png_is_written_by_strips(tmp_path):
    write_png(Endless(), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (3000, 2000)
        assert image.getpixel((2999, 1999)) == (128, 128, 128)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_small_formats_read_back_close(field, tmp_path, suffix):
    artefact = raster(field, (64, 64))
    write_small(artefact, tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert np.abs(np.asarray(image.convert("RGB")) - expected(artefact)).mean() < 8
    with pytest.raises(RequestError, match=r"\.png can hold"):
        write_small(raster(field, (9000, 9000)), tmp_path / f"b{suffix}")


@pytest.mark.parametrize(("write", "name"), [(write_png, "a.png"), (write_small, "a.jpg")])
def test_no_place_to_write_is_told(field, tmp_path, write, name):
    with pytest.raises(OSError, match=rf"none.{name}"):
        write(raster(field, None), tmp_path / "none" / name)


def full(writer, file, rows):
    file.write(b"some")
    raise OSError(errno.ENOSPC, "No space left on device")


def stop(writer, file, rows):
    file.write(b"some")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("fault", "error"), [(full, OutputError), (stop, KeyboardInterrupt)])
def test_a_write_that_is_cut_off_keeps_what_was_there_and_leaves_no_part(field, tmp_path, monkeypatch, fault, error):
    path = tmp_path / "a.png"
    write_png(raster(field, None), path)
    before = path.read_bytes()
    monkeypatch.setattr(export.png.Writer, "write", fault)
    with pytest.raises(error), written_aside(path) as aside:  # as `Model.write` does
        write_png(raster(field, None), aside)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_thumbnails_are_bounded_in_proportion(field):
    assert picture(raster(field, (48, 24))).size == (24, 48)
    assert picture(raster(field, (4096, 16384))).size == (1024, 256)
    assert picture(raster(field, (1, 65536))).size == (1024, 1)


def original(pixels):
    parts = ImageParts(IMAGE, ImageSettings(size=pixels.shape[-1]))
    return parts.ground_truth(GridSignal(pixels), len(pixels) - 1)


def test_an_original_is_drawn_and_written_like_a_render(tmp_path):
    pixels = torch.zeros(2, 3, 8, 8)
    pixels[1, 0] = 1
    pixels[1, :, 2, 5] = -1
    image = picture(original(pixels))
    assert image.size == (8, 8)
    assert image.getpixel((0, 0)) == (255, 128, 128)
    assert image.getpixel((5, 2)) == (0, 0, 0)
    write_png(original(pixels), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert written.tobytes() == image.tobytes()


def test_thumbnails_of_large_originals_are_bounded():
    assert picture(original(torch.ones(1, 3, 2048, 2048))).size == (1024, 1024)

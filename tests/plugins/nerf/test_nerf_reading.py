"""Reading of pictures: lenses, masks, and backgrounds with noise."""

import io

import numpy as np
import pytest
import torch
from nerf_files import edited, nerfstudio, views
from PIL import Image
from scipy.optimize import brentq

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.lens import Lens, lens
from ddmi_nerf.data.folder import load_all
from ddmi_nerf.data.reading import read_mask, read_picture, undistorted
from ddmi_nerf.settings import NerfSettings

SETTINGS = NerfSettings(size=24, views=6, held_views=2, shown=6, points=64)
FISHEYE = Lens((0.05, -0.02, 0.01, 0.0), fisheye=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_distortion_has_opencvs_formulas():
    x, y = np.array([0.5, 0.0]), np.array([0.0, 0.4])
    across, down = Lens((0.1, 0.2, 0.3), (0.01, 0.02)).distorted(x, y)
    radial = [1 + 0.1 * r**2 + 0.2 * r**4 + 0.3 * r**6 for r in (0.5, 0.4)]
    np.testing.assert_allclose(across, [0.5 * radial[0] + 0.02 * 3 * 0.25, 0.02 * 0.16])
    np.testing.assert_allclose(down, [0.01 * 0.25, 0.4 * radial[1] + 0.01 * 3 * 0.16])
    across, down = Lens((0.1,), fisheye=True).distorted(np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    angle = np.pi / 4
    np.testing.assert_allclose(across, [angle + 0.1 * angle**3, 0])
    np.testing.assert_allclose(down, 0)


def seen_through(view, through, u, v):
    """Where a pinhole sees what a lens shows at u and v, by bisection along the radius (without tangential terms)."""
    x, y = (u - view.cx) / view.fx, (v - view.cy) / view.fy
    r = np.hypot(x, y)
    if r == 0:
        return u, v
    k = [*through.radial, 0, 0, 0, 0]
    if through.fisheye:
        angle = brentq(lambda t: t * (1 + k[0] * t**2 + k[1] * t**4 + k[2] * t**6 + k[3] * t**8) - r, 0, 1.5)
        far = np.tan(angle)
    else:
        far = brentq(lambda t: t * (1 + k[0] * t**2 + k[1] * t**4 + k[2] * t**6) - r, 0, 1)
    return view.cx + x * far / r * view.fx, view.cy + y * far / r * view.fy


@pytest.mark.parametrize("through", [Lens((-0.2, 0.05, -0.01)), Lens((0.15, 0.0, 0.0)), FISHEYE])
def test_undistorted_pictures_are_those_of_a_pinhole(through):
    view = Camera(np.eye(4), 50.0, 55.0, 21.0, 17.0, 40, 36)

    def pattern(u, v):
        return np.stack([np.sin(u / 5) * np.cos(v / 6), np.cos(u / 7), np.sin(v / 4), np.ones_like(u)], axis=-1)

    stored = np.zeros((36, 40, 4), np.float32)
    for row in range(36):
        for column in range(40):
            stored[row, column] = pattern(*map(np.asarray, seen_through(view, through, column + 0.5, row + 0.5)))
    found = undistorted(stored, view, through, (2, 0, 36), clamped=True)
    u, v = np.meshgrid(np.arange(2, 38) + 0.5, np.arange(36) + 0.5)
    inner = slice(6, 30)
    np.testing.assert_allclose(found[inner, inner], pattern(u, v)[inner, inner], atol=0.02)


def test_large_pictures_are_undistorted_in_blocks():
    view = Camera(np.eye(4), 500.0, 500.0, 205.0, 152.0, 410, 306)
    u, v = np.meshgrid(np.arange(410) + 0.5, np.arange(306) + 0.5)
    values = np.stack([np.sin(u / 50), np.cos(v / 60), u / 410, v / 306], axis=-1).astype(np.float32)
    whole = undistorted(values, view, FISHEYE, (52, 0, 306), clamped=True)
    coarse = undistorted(values, view, FISHEYE, (52, 0, 306), least=50, clamped=True)
    assert coarse.shape == (51, 51, 4)
    np.testing.assert_allclose(coarse, whole.reshape(51, 6, 51, 6, 4).mean(axis=(1, 3)), atol=0.01)


def test_what_a_lens_does_not_show_is_transparent():
    view = Camera(np.eye(4), 20.0, 20.0, 16.0, 16.0, 32, 32)
    pixels = undistorted(np.ones((32, 32, 4), np.float32), view, Lens((0.5, 0.0, 0.0)), (0, 0, 32))
    assert (pixels[0, 0] == 0).all()
    assert (pixels[16, 16] == 1).all()


@pytest.mark.parametrize("model", ["EQUIRECTANGULAR", "FISHEYE624", "FOV"])
def test_no_other_model_is_proposed_for_one_that_is_not_supported(model):
    with pytest.raises(ValueError, match="is not supported") as caught:
        lens(model, {})
    assert "did you mean" not in str(caught.value)


def masked(folder):
    """An object whose opacity lies in files of its own, before a picture of noise."""
    nerfstudio(folder)
    (folder / "masks").mkdir()
    for place in range(8):
        pixels = np.asarray(Image.open(folder / f"images/{place}.png"))
        noise = np.random.default_rng(place).integers(0, 255, pixels.shape).astype(np.uint8)
        over = np.where(pixels[..., 3:] > 0, pixels, noise)[..., :3]
        Image.fromarray(over).save(folder / f"images/{place}.png")
        Image.fromarray(pixels[..., 3]).save(folder / f"masks/{place}.png")

    def named(content):
        for place, frame in enumerate(content["frames"]):
            frame["mask_path"] = f"masks/{place}.png"

    edited(folder, named)


@pytest.mark.parametrize("opacity", ["alpha", "white"])
def test_masks_of_frames_are_the_opacity(tmp_path, opacity):
    nerfstudio(tmp_path / "plain" / "a")
    masked(tmp_path / "masked" / "a")
    expected = load_all(tmp_path / "plain", SETTINGS).batch([0])
    with accounting() as account:
        signal = load_all(tmp_path / "masked", NerfSettings(**{**vars_of(SETTINGS), "opacity": opacity})).batch([0])
    torch.testing.assert_close(signal.opacity, expected.opacity, atol=0.01, rtol=0)
    torch.testing.assert_close(signal.images, expected.images, atol=0.02, rtol=0)
    changes = {change.what: change.amount for change in account.changes["a"]}
    assert changes["with masks as opacity"] == 8


def vars_of(settings):
    return {"size": settings.size, "views": settings.views, "held_views": 2, "shown": 6, "points": 64}


def test_masks_of_another_size_are_resized_or_told(tmp_path):
    masked(tmp_path / "data" / "a")
    path = tmp_path / "data/a/masks/3.png"
    Image.open(path).resize((48, 48), Image.Resampling.NEAREST).save(path)
    load_all(tmp_path / "data", SETTINGS)
    Image.open(path).resize((48, 24)).save(path)
    with pytest.raises(DataError, match=r"a/masks/3\.png: the mask has 48 x 24 pixels, its picture 24 x 24"):
        load_all(tmp_path / "data", SETTINGS)
    path.unlink()
    with pytest.raises(DataError, match=r"masks/3\.png does not exist"):
        load_all(tmp_path / "data", SETTINGS)


def mask_of(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    mask, changes = read_mask(file, "m.png", 8, 8)
    return mask, [change.what for change in changes]


OBJECT = np.zeros((8, 8), bool)
OBJECT[2:5, 3:7] = True


def palette(colour):
    image = Image.fromarray(OBJECT.astype(np.uint8))
    image.putpalette([0, 0, 0, *colour])
    return image


def cut_out():
    pixels = np.full((8, 8, 4), 90, np.uint8)
    pixels[..., 3] = OBJECT * 255
    return Image.fromarray(pixels)


MASKS = {  # images of the object, and whether the account says how they were read
    "0 and 255": (Image.fromarray(OBJECT.astype(np.uint8) * 255), False),
    "0 and 1": (Image.fromarray(OBJECT.astype(np.uint8)), False),
    "1 bit": (Image.fromarray(OBJECT), False),
    "0 and 128": (Image.fromarray(OBJECT.astype(np.uint8) * 128), True),
    "40 and 200": (Image.fromarray((40 + 160 * OBJECT).astype(np.uint8)), True),
    "16 bits": (Image.fromarray(OBJECT.astype(np.uint16) * 65535), False),
    "255 in 16 bits": (Image.fromarray(OBJECT.astype(np.uint16) * 255), False),
    "palette of classes": (palette((128, 0, 0)), False),
    "alpha channel": (cut_out(), True),
    "opaque alpha": (Image.fromarray(OBJECT.astype(np.uint8) * 255).convert("RGBA"), False),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_two_values_are_masks(kind):
    image, told = MASKS[kind]
    found, changes = mask_of(image)
    np.testing.assert_array_equal(found, 255 * OBJECT)
    assert bool(changes) == told


def test_masks_of_more_values_are_opacities():
    soft = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)
    np.testing.assert_array_equal(mask_of(Image.fromarray(soft))[0], soft)
    for scale in (1, 257):
        np.testing.assert_array_equal(mask_of(Image.fromarray(soft.astype(np.uint16) * scale))[0], soft)
    np.testing.assert_array_equal(mask_of(Image.fromarray(soft).convert("RGB"))[0], soft)
    with pytest.raises(DataError, match=r"m\.png: the mask has 64 colours, .*white for the object"):
        mask_of(Image.merge("RGB", [Image.fromarray(part) for part in (soft, soft // 2, soft // 4)]))


LOSSY = [("JPEG", {"quality": quality}) for quality in (60, 75, 95)] + [("WEBP", {"quality": 80})]


@pytest.mark.parametrize(("kind", "how"), LOSSY)
def test_lossy_files_on_white_have_the_outlines_of_the_object(kind, how):
    """The noise of the compression is no part of the object."""
    for number in range(3):
        pixels = views(number, 1, 96)[1][0]
        over = np.rint(pixels[..., :3] + 255.0 * (1 - pixels[..., 3:] / 255)).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(over).save(file, kind, **how)
        dark = pixels[..., :3].min(axis=-1) + 255 - pixels[..., 3] < 180  # what white does not hide
        found = read_picture(file, "a.jpg", 96, "white").pixels[..., 3] > 0
        assert (found & dark).sum() > 0.995 * dark.sum()
        assert (found & (pixels[..., 3] == 0)).sum() < 0.05 * (pixels[..., 3] > 0).sum()


def test_noise_of_the_border_is_no_part_of_the_object():
    draw = np.random.default_rng(0)
    values = (246 + draw.integers(-6, 7, (32, 32, 3))).astype(np.uint8)
    values[8:20, 10:25] = 120
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    found = read_picture(file, "a.png", 32, "white")
    assert 15 <= found.below_white < 64
    assert (found.pixels[..., 3] > 0).sum() == 12 * 15


@pytest.mark.parametrize(("kind", "how"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_light_objects_at_the_border_of_lossless_files_are_kept(kind, how):
    values = np.full((32, 32, 3), 255, np.uint8)
    values[20:, 4:28] = 240
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **how)
    found = read_picture(file, "a", 32, "white")
    assert found.below_white == 2
    assert (found.pixels[..., 3] > 0).sum() == 12 * 24


def test_a_background_that_is_not_white_is_told():
    values = np.full((16, 16, 3), 120, np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    with pytest.raises(DataError, match=r"a\.png: the background is not white: 0% .*mask_path"):
        read_picture(file, "a.png", 16, "white")
    with pytest.raises(DataError, match=r"no alpha channel.*or give masks") as caught:
        read_picture(file, "a.png", 16, "alpha")
    assert "opacity=white" not in str(caught.value)


def test_distorted_views_are_undistorted_with_their_account(tmp_path):
    nerfstudio(tmp_path / "data" / "a", size=48)
    edited(tmp_path / "data" / "a", lambda content: content.update(k1=0.05, p1=0.001))
    with accounting() as account:
        load_all(tmp_path / "data", SETTINGS)
    changes = {change.what: change for change in account.changes["a"]}
    camera = views(size=48)[0][0]
    shift = changes["with the distortion of the lens undone"]
    half = 24 / camera.fx
    assert shift.amount == pytest.approx(camera.fx * np.hypot(0.05 * half**3 + 0.003 * half**2, 0), rel=0.01)


def test_a_shot_of_a_lens_is_read_without_its_distortion():
    """A cross through the principal point stays where it is, and a line beside it becomes straight."""
    camera = Camera(np.eye(4), 30.0, 30.0, 32.0, 32.0, 64, 64)
    stored = np.zeros((64, 64, 4), np.uint8)
    for row in range(64):
        for column in range(64):
            u, _ = seen_through(camera, FISHEYE, column + 0.5, row + 0.5)
            stored[row, column] = [200, 0, 0, 255] if u < 14 else [0, 0, 0, 0]
    file = io.BytesIO()
    Image.fromarray(stored).save(file, "PNG")
    bent = read_picture(file, "a.png", 64, "alpha").pixels[..., 3] > 127
    flat = read_picture(file, "a.png", 64, "alpha", shot=Shot(camera, "a", lens=FISHEYE)).pixels[..., 3] > 127
    inner = slice(8, 56)
    assert np.ptp(bent.sum(axis=1)[inner]) >= 2
    assert np.ptp(flat.sum(axis=1)[inner]) <= 1
    assert abs(flat.sum(axis=1)[32] - 14) <= 1

"""Whether cameras agree with outlines, and which axis of a file's world points up."""

import attrs
import numpy as np
import pytest
import torch
from nerf_files import edited, nerfstudio, views
from PIL import Image, ImageFilter

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_nerf.data.agreement import check_agreement, covered_shares
from ddmi_nerf.data.folder import load_all
from ddmi_nerf.data.visual_hull import SOFT, softness, visual_hull
from ddmi_nerf.settings import NerfSettings

SETTINGS = NerfSettings(size=24, views=6, held_views=2, shown=6, points=64)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def seen():
    cameras, pictures = views(number=3, count=12, size=64)
    return cameras, np.stack(pictures)


@pytest.mark.parametrize(("number", "count", "size"), [(3, 24, 24), (5, 12, 64), (7, 6, 100), (1, 1, 24)])
def test_the_hull_of_right_cameras_covers_all_outlines(number, count, size):
    cameras, pictures = views(number, count, size)
    assert covered_shares(cameras, np.stack(pictures)).min() == 1


FAULTS = {
    "focal": lambda c, p: ([attrs.evolve(one, fx=2 * one.fx, fy=2 * one.fy) for one in c], p),
    "one focal": lambda c, p: ([attrs.evolve(c[0], fx=2 * c[0].fx), *c[1:]], p),
    "fy": lambda c, p: ([attrs.evolve(one, fy=2.5 * one.fy) for one in c], p),
    "centre": lambda c, p: ([attrs.evolve(one, cx=one.cx + 4) for one in c], p),
    "turned": lambda c, p: (c, np.rot90(p, axes=(1, 2))),
    "order": lambda c, p: ([*c[1:], c[0]], p),
    "swapped": lambda c, p: ([c[1], c[0], *c[2:]], p),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_hull_of_wrong_cameras_does_not(seen, fault):
    cameras, pictures = FAULTS[fault](*seen)
    names = [f"{place}.png" for place in range(12)]
    with pytest.raises(DataError, match=r"car: the views contradict each other: .*Likely causes: .*domain\.agreement="):
        check_agreement("car", names, cameras, pictures, 0.95)
    assert check_agreement("car", names, cameras, pictures, 0) < 0.95


def test_the_view_that_agrees_least_is_named(seen):
    cameras, pictures = seen
    wrong = [*cameras[:4], attrs.evolve(cameras[4], cx=cameras[4].cx + 12), *cameras[5:]]
    with pytest.raises(DataError, match=r"% in 4\.png\."):
        check_agreement("car", [f"{place}.png" for place in range(12)], wrong, pictures, 0.99)


def test_focal_lengths_for_pictures_of_another_size_are_recognised(seen):
    cameras, pictures = FAULTS["focal"](*seen)
    with pytest.raises(DataError, match=r"They agree if focal lengths are 0\.5 times as long: give w and h"):
        check_agreement("car", [""] * 12, cameras, pictures, 0.95)


def test_inverted_masks_are_recognised(seen):
    cameras, pictures = seen
    inverted = pictures.copy()
    inverted[..., 3] = 255 - inverted[..., 3]
    with pytest.raises(DataError, match=r"They agree if opacity is inverted: masks have to be white where the object"):
        check_agreement("car", [""] * 12, cameras, inverted, 0.95)


def test_outlines_that_may_only_be_rough_are_told(seen):
    """Outlines that are a pixel too wide in some views, and a pixel too narrow in others."""
    cameras, pictures = seen
    rough = pictures.copy()
    for place, view in enumerate(pictures[..., 3]):
        shifted = [np.roll(view, step, axis) for axis in (0, 1) for step in (-1, 1)]
        rough[place, ..., 3] = np.maximum.reduce([view, *shifted]) if place % 2 else np.minimum.reduce([view, *shifted])
    with pytest.raises(DataError, match=r"If outlines are 1 of 64 pixels wider, the hull covers \d+\.\d%, so they may"):
        check_agreement("car", [""] * 12, cameras, rough, 0.95)


def blurred(pictures, radius):
    """Views with outlines that were blurred with their colours."""
    return np.stack([np.asarray(Image.fromarray(view).filter(ImageFilter.GaussianBlur(radius))) for view in pictures])


@pytest.mark.parametrize("radius", [1, 2])
def test_the_hull_of_soft_outlines_is_that_of_crisp_ones(seen, radius):
    cameras, pictures = seen
    soft = blurred(pictures, radius)
    assert softness(pictures) < 1.5 < SOFT < softness(soft)
    assert visual_hull(cameras, soft).sum() == pytest.approx(visual_hull(cameras, pictures).sum(), rel=0.15)
    assert covered_shares(cameras, soft).min() > 0.95


def test_a_veil_around_the_object_is_no_part_of_it_and_warned_of(tmp_path):
    nerfstudio(tmp_path / "data" / "a", size=48)
    with accounting() as account:
        crisp = load_all(tmp_path / "data", SETTINGS).batch([0])
    assert not account.warnings
    for path in (tmp_path / "data/a/images").iterdir():
        pixels = np.array(Image.open(path))
        pixels[..., 3] = np.maximum(pixels[..., 3], 40)
        Image.fromarray(pixels).save(path)
    with accounting() as account:
        veiled = load_all(tmp_path / "data", SETTINGS).batch([0])
    (warning,) = account.warnings
    assert warning.text.startswith("1 signal with soft outlines")
    assert "masks of black and white" in warning.fix
    torch.testing.assert_close(veiled.points.abs().amax(1), crisp.points.abs().amax(1), atol=0.1, rtol=0)


def test_views_in_which_everything_is_opaque_are_refused(tmp_path):
    nerfstudio(tmp_path / "data" / "a")
    for path in (tmp_path / "data/a/images").iterdir():
        pixels = np.array(Image.open(path))
        pixels[..., 3] = 255
        Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match=r"a: every pixel of its views is opaque, .* no object .*Fix: save PNG"):
        load_all(tmp_path / "data", SETTINGS)


def test_views_without_anything_and_no_views_to_compare_agree(seen):
    cameras, pictures = seen
    assert (covered_shares(cameras, np.zeros_like(pictures)) == 1).all()
    assert (covered_shares(cameras[:1], pictures[:1]) == 1).all()


def test_objects_whose_views_contradict_each_other_are_refused(tmp_path):
    nerfstudio(tmp_path / "data" / "a")
    with accounting() as account:
        load_all(tmp_path / "data", SETTINGS)
    amounts = {change.what: change.amount for change in account.changes["a"]}
    assert amounts["compared with the visual hull"] == 0
    paths = [f"images/{(place + 1) % 8}.png" for place in range(8)]
    edited(tmp_path / "data" / "a", lambda c: [f.update(file_path=p) for f, p in zip(c["frames"], paths, strict=True)])
    with pytest.raises(DataError, match=r"a: the views contradict each other.*of their outlines") as caught:
        load_all(tmp_path / "data", SETTINGS)
    assert "Fix: export the cameras" in str(caught.value)
    with accounting() as account:
        load_all(tmp_path / "data", attrs.evolve(SETTINGS, agreement=0.0))
    amounts = {change.what: change.amount for change in account.changes["a"]}
    assert amounts["compared with the visual hull"] > 0.05


def test_objects_that_are_small_because_of_their_focal_lengths_are_told(tmp_path):
    nerfstudio(tmp_path / "data" / "a")

    def lengthened(content):
        for frame in content["frames"]:
            frame.update(fl_x=5 * frame["fl_x"], fl_y=5 * frame["fl_y"])
            del frame["w"], frame["h"]

    with accounting() as account:
        load_all(tmp_path / "data", SETTINGS)
    assert not account.warnings
    edited(tmp_path / "data" / "a", lengthened)
    with accounting() as account:
        load_all(tmp_path / "data", SETTINGS)
    (warning,) = account.warnings
    assert warning.text == "1 signal small in the cube"
    assert "w and h of those that the focal lengths are for" in warning.fix


def turned(folder, turn):
    """An object in a world that is turned, with a cloud of points."""
    nerfstudio(folder)

    def change(content):
        for frame in content["frames"]:
            frame["transform_matrix"] = (turn @ np.array(frame["transform_matrix"])).tolist()
        content.update(aabb_scale=2, scale=1, offset=(0.5 - turn[:3, :3] @ [0.0, 0.1, 0.0]).tolist())

    edited(folder, change)
    places = np.random.default_rng(0).uniform(-0.4, 0.4, (64, 3)) * [1, 0.5, 0.2] @ turn[:3, :3].T
    lines = ["ply", "format ascii 1.0", "element vertex 64", *(f"property float {axis}" for axis in "xyz")]
    lines += [*(f"property uchar {colour}" for colour in ("red", "green", "blue")), "end_header"]
    lines += [f"{x} {y} {z} {place} 0 0" for place, (x, y, z) in enumerate(places)]
    (folder / "points.ply").write_text("\n".join(lines) + "\n")


def test_a_world_with_y_up_is_turned(tmp_path):
    to_y_up = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    turned(tmp_path / "z" / "a", np.eye(4))
    turned(tmp_path / "y" / "a", to_y_up)
    expected = load_all(tmp_path / "z", SETTINGS).batch([0])
    with accounting() as account:
        signal = load_all(tmp_path / "y", attrs.evolve(SETTINGS, up="y")).batch([0])
    for name in ("images", "to_world", "intrinsics", "points", "point_colours"):
        torch.testing.assert_close(getattr(signal, name), getattr(expected, name), atol=1e-4, rtol=0)
    assert not account.warnings
    place = account.changes["a"][0].values
    np.testing.assert_allclose(np.array(place["world"]) @ to_y_up, np.eye(4))
    with accounting() as account:
        load_all(tmp_path / "y", SETTINGS)
    (warning,) = account.warnings
    assert "upper sides point to +y, not to z" in warning.text
    assert "--set domain.up=y" in warning.fix


def test_what_nerfstudio_did_to_a_world_is_kept_and_not_done_again(tmp_path):
    nerfstudio(tmp_path / "plain" / "a")
    nerfstudio(tmp_path / "data" / "a")
    did = {"applied_transform": [[0, 1, 0, 0], [1, 0, 0, 2], [0, 0, -1, 0]], "applied_scale": 0.5}
    edited(tmp_path / "data" / "a", lambda content: content.update(did))
    with accounting() as account:
        signal = load_all(tmp_path / "data", SETTINGS).batch([0])
    assert torch.equal(signal.to_world, load_all(tmp_path / "plain", SETTINGS).batch([0]).to_world)
    assert {key: account.changes["a"][0].values[key] for key in did} == did

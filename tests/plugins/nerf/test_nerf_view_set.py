"""Sets of objects with views: what batches show, what is held out, and fingerprints."""

import attrs
import numpy as np
import pytest
import torch

from ddmi_core.nested import move
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.packing import Packing
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.settings import NerfSettings, Showing

OBJECTS, VIEWS, SIZE, POINTS = 4, 7, 8, 40
PACKING = Packing(VIEWS, SIZE, POINTS)
SHOWING = Showing(views=5, shown=3, points=20, background=(1.0, 1.0, 1.0))


def camera(number):
    return Camera.orbit(10.0 * number, 2.0 * number, 2.0, width=SIZE, height=SIZE)


def contents(number):
    """Cameras, pictures, points and colours of an object; each picture has its own level, half of it is empty."""
    pictures = np.zeros((VIEWS, SIZE, SIZE, 4), dtype=np.uint8)
    for view in range(VIEWS):
        pictures[view, :, : SIZE // 2] = [20 * number, 10 * view, 30, 255]
    draw = np.random.default_rng(number)
    points, colours = draw.uniform(-1, 1, (POINTS, 3)), draw.random((POINTS, 3))
    return [camera(10 * number + view) for view in range(VIEWS)], pictures, points, colours


def made(showing=SHOWING, **options):
    rows = np.stack([PACKING.row(*contents(number)) for number in range(OBJECTS)])
    return ViewSet(PACKING.stack(rows), [f"object {number}" for number in range(OBJECTS)], showing, **options)


def views_of(signal):
    """Which view each picture is, and which object."""
    level = (signal.images[:, :, :2, 0, 0] + 1) * 127.5
    return (level[..., 1] / 10).round().int(), (level[..., 0] / 20).round().int()


def test_batches_without_a_generator_show_the_first_views():
    signal = made().batch([2, 0])
    views, objects = views_of(signal)
    assert views.tolist() == [[0, 1, 2]] * 2
    assert objects.tolist() == [[2] * 3, [0] * 3]
    for place, number in enumerate([2, 0]):
        cameras, _, points, colours = contents(number)
        np.testing.assert_allclose(signal.to_world[place], [one.to_world for one in cameras[:3]], atol=1e-6)
        np.testing.assert_allclose(signal.intrinsics[place], [one.intrinsics for one in cameras[:3]], rtol=1e-6)
        np.testing.assert_allclose(signal.points[place], points[:20], atol=1 / 32767)
        np.testing.assert_allclose(signal.point_colours[place], 2 * colours[:20] - 1, atol=1 / 254)


def test_batches_with_a_generator_show_random_views_of_those_to_train_on():
    signals = made()
    generator = torch.Generator().manual_seed(0)
    seen = [views_of(signals.batch([0, 1, 2, 3], generator))[0] for _ in range(30)]
    assert all(len(set(row)) == 3 and row == sorted(row) for views in seen for row in views.tolist())
    assert set(torch.cat(seen).flatten().tolist()) == set(range(5))
    assert any(views[0].tolist() != views[1].tolist() for views in seen)
    again = views_of(signals.batch([0, 1, 2, 3], torch.Generator().manual_seed(0)))[0]
    assert torch.equal(again, seen[0])


def test_cameras_and_pictures_stay_together():
    signal = made().batch([3], torch.Generator().manual_seed(4))
    views, _ = views_of(signal)
    for place, view in enumerate(views[0].tolist()):
        np.testing.assert_allclose(signal.to_world[0, place], camera(30 + view).to_world, atol=1e-6)


def test_novel_views_are_those_that_no_batch_shows():
    views, objects = views_of(made().novel([1, 3]))
    assert views.tolist() == [[5, 6]] * 2
    assert objects.tolist() == [[1] * 2, [3] * 2]
    assert made(attrs.evolve(SHOWING, views=7)).novel([0]).images.shape == (1, 0, 3, SIZE, SIZE)


@pytest.mark.parametrize(("name", "level"), [("white", 1.0), ("grey", 0.0), ("black", -1.0)])
def test_objects_lie_over_the_background(name, level):
    background = NerfSettings(background=name).showing.background
    signal = made(attrs.evolve(SHOWING, background=background)).batch([1])
    assert (signal.images[..., SIZE // 2 :] == level).all()
    torch.testing.assert_close(signal.images[0, 0, :, 0, 0], torch.tensor([20.0, 0, 30]) / 127.5 - 1)
    assert (signal.opacity[..., : SIZE // 2] == 1).all()
    assert (signal.opacity[..., SIZE // 2 :] == 0).all()
    assert signal.background.tolist() == [[level] * 3]


def test_colours_are_mixed_with_the_background_by_opacity():
    cameras, pictures, points, colours = contents(0)
    pictures[:] = [51, 0, 0, 102]
    stack = PACKING.stack(PACKING.row(cameras, pictures, points, colours)[None])
    image = ViewSet(stack, ["one"], SHOWING).batch([0]).images[0, 0, :, 0, 0]
    torch.testing.assert_close((image + 1) / 2, torch.tensor([0.8, 0.6, 0.6]))


def test_signals_move_and_have_the_batch_first():
    signal = made().batch([0, 1])
    parts = [getattr(signal, part.name) for part in attrs.fields(type(signal))]
    assert all(part.shape[0] == 2 for part in parts)
    moved = move(signal, torch.device("meta"))
    assert all(getattr(moved, part.name).device.type == "meta" for part in attrs.fields(type(signal)))


def test_parts_show_the_same_objects():
    whole = made(classes=("a", "b"), labels=[0, 1, 1, 0], captions=[(f"number {n}",) for n in range(OBJECTS)])
    part = whole.part([3, 1])
    assert part.names == ("object 3", "object 1")
    assert part.labels.tolist() == [0, 1]
    assert part.captions == (("number 3",), ("number 1",))
    assert torch.equal(part.batch([1]).images, whole.batch([1]).images)


def test_fingerprints_tell_contents_apart():
    whole = made()
    assert whole.fingerprint() == made().fingerprint()
    assert whole.fingerprint() != made(labels=[0, 0, 0, 1], classes=("a", "b")).fingerprint()
    assert whole.part([0]).fingerprint() != whole.part([1]).fingerprint()
    rows = np.stack([PACKING.row(*contents(number)) for number in range(OBJECTS)])
    rows[2, -1] += 1
    assert ViewSet(PACKING.stack(rows), whole.names, SHOWING).fingerprint() != whole.fingerprint()


def test_the_last_digits_of_formulas_do_not_count():
    whole, formula = made(), made(drawn_by="cars 1")
    rows = np.stack([PACKING.row(*contents(number)) for number in range(OBJECTS)])
    rows[2, -1] += 1  # another processor
    other = ViewSet(PACKING.stack(rows), whole.names, SHOWING, drawn_by="cars 1")
    assert other.fingerprint() == ViewSet(whole.stack, whole.names, SHOWING, drawn_by="cars 1").fingerprint()
    assert other.part([0, 1]).drawn_by == "cars 1"
    changed = [made(drawn_by="cars 2"), made(drawn_by="cars 1", showing=attrs.evolve(SHOWING, points=9)), whole]
    assert formula.fingerprint() not in [one.fingerprint() for one in changed]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": [0]}, "one label per object; got 1"),
        ({"captions": [("a",)]}, "one caption tuple per object; got 1"),
        ({"rows": [0, 1, 2, 9]}, "out of range for 4 objects"),
        ({"showing": attrs.evolve(SHOWING, views=8)}, "of 8 views cannot be shown of 7"),
        ({"showing": attrs.evolve(SHOWING, points=41)}, "41 points cannot be shown of 40"),
    ],
)
def test_numbers_that_do_not_fit_are_told(options, words):
    with pytest.raises(ValueError, match=words):
        made(**options)


def test_settings_never_show_more_views_than_there_are():
    assert NerfSettings(views=2, shown=6).showing.shown == 2

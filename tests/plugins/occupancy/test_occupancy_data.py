"""Rows of shapes, sets of them, batches, and what training draws from them."""

import numpy as np
import pytest
import torch

from ddmi_core.parts import AutoencoderConfig
from ddmi_occupancy.data.furniture.solids import Solid, inside
from ddmi_occupancy.data.furniture.surface_points import surface
from ddmi_occupancy.data.sampling import NOISE, Packing, point_weights, points_around
from ddmi_occupancy.data.shape_set import ShapeSet
from ddmi_occupancy.parts import OccupancyParts
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_occupancy.point_sampler import PointSampler
from ddmi_occupancy.settings import OccupancySettings

BALLS = [
    [Solid(False, [radius] * 3, [0.2, 0, 0.1], rounding=radius)] for radius in (0.3, 0.5, 0.6, 0.4, 0.45, 0.25, 0.35)
]
PACKING = Packing(surface=128, points=1001)


def row(solids, packing=PACKING, seed=0):
    draw = np.random.default_rng(seed)
    points, normals = surface(solids, packing.surface, draw)
    return packing.row(points, normals, points_around(points, packing.points, draw), lambda p: inside(solids, p))


def balls(shown=64, **options):
    rows = np.stack([row(ball, seed=i) for i, ball in enumerate(BALLS)])
    names = options.pop("names", [f"ball-{i}" for i in range(len(BALLS))])
    return ShapeSet(PACKING.clouds(rows), point_weights(PACKING.points), names, shown, **options)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_row_holds_the_shape_as_exactly_as_its_steps_allow():
    solids = BALLS[1]
    clouds = PACKING.clouds(np.stack([row(solids), row(solids, seed=1)]))
    draw = np.random.default_rng(0)
    points, normals = surface(solids, PACKING.surface, draw)
    around = points_around(points, PACKING.points, draw)
    assert clouds.surface[0] / 32767 == pytest.approx(points, abs=2e-5)
    assert clouds.normals[0] / 127 == pytest.approx(normals, abs=5e-3)
    assert clouds.points[0] / 32767 == pytest.approx(around, abs=2e-5)
    # what is inside is right for the points as they are kept
    bits = np.unpackbits(clouds.inside[1])[: PACKING.points].astype(bool)
    assert (bits == inside(solids, clouds.points[1] / 32767)).all()
    assert 0 < bits.mean() < 1


def test_a_row_is_small():
    assert Packing(4096, 16384).length * 1500 < 400e6


@pytest.mark.parametrize("n", [64, 65, 66, 67])
def test_weights_turn_means_into_means_over_the_cube(n):
    weights = point_weights(n)
    assert weights.shape == (n,)
    assert weights.mean() == pytest.approx(1)
    near = weights == 0
    assert near.sum() == n // 2
    assert not near[: n - n // 2].any()


def test_points_are_half_uniform_and_half_near_the_surface():
    draw = np.random.default_rng(0)
    points = points_around(np.tile([0.5, 0.0, 0.9], (100, 1)), 40_000, draw)
    uniform, narrow, wide = points[:20_000], points[20_000:30_000], points[30_000:]
    assert np.histogramdd(uniform, bins=2, range=[(-1, 1)] * 3)[0].ravel() / 20_000 == pytest.approx(
        [0.125] * 8, abs=0.01
    )
    for part, sigma in zip((narrow, wide), NOISE, strict=True):
        assert part[:, :2].std(axis=0) == pytest.approx([sigma] * 2, rel=0.05)
        assert part[:, :2].mean(axis=0) == pytest.approx([0.5, 0], abs=0.01)
    assert np.abs(points).max() <= 1
    assert (wide[:, 2] > 0.999).mean() < 0.02  # reflected and not heaped up at the face


def test_weighted_means_estimate_volumes():
    solids = BALLS[2]
    packing = Packing(64, 60_000)
    bits = np.unpackbits(packing.clouds(row(solids, packing)[None]).inside[0])[:60_000]
    assert 8 * (bits * point_weights(60_000)).mean() == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.05)


def test_a_batch_without_generator_depends_on_the_indices_alone():
    shapes = balls(mirrored=[True] * 7)
    one, other = shapes.batch([4, 1]), shapes.batch([1, 4])
    assert one.surface.shape == one.normals.shape == (2, 64, 3)
    assert one.points.shape == (2, 1001, 3)
    assert one.inside.shape == one.weights.shape == (2, 1001)
    assert one.inside.dtype == torch.uint8
    for name in ("surface", "normals", "points", "inside", "weights"):
        assert torch.equal(getattr(one, name), getattr(other, name).flip(0))


def test_surface_and_normals_of_a_batch_fit():
    signal = balls().batch(range(7))
    centre = torch.tensor([0.2, 0, 0.1])
    radius = torch.tensor([0.3, 0.5, 0.6, 0.4, 0.45, 0.25, 0.35])[:, None]
    assert torch.allclose((signal.surface - centre).norm(dim=-1), radius.expand(-1, 64), atol=1e-4)
    assert torch.allclose(signal.normals, (signal.surface - centre) / radius[..., None], atol=8e-3)
    assert torch.allclose(signal.normals.norm(dim=-1), torch.ones(7, 64), atol=1e-6)


def test_noise_moves_surface_points_in_augmented_batches_alone_and_last_of_all_draws():
    plain, noisy = balls(mirrored=[True] * 7), balls(mirrored=[True] * 7, noise=0.02).part(range(7))
    assert torch.equal(noisy.batch([2, 5]).surface, plain.batch([2, 5]).surface)
    before, after = plain.batch(range(7), seeded()), noisy.batch(range(7), seeded())
    assert (after.surface - before.surface).std().item() == pytest.approx(0.02, rel=0.05)
    for name in ("normals", "points", "inside"):
        assert torch.equal(getattr(after, name), getattr(before, name))


def test_augmentation_mirrors_those_that_may_be_and_draws_other_surface_points():
    shapes = balls(mirrored=[True, False] * 3 + [True])
    plain = shapes.batch(range(7))
    turned = torch.zeros(7)
    for seed in range(30):
        signal = shapes.batch(range(7), seeded(seed))
        flipped = torch.isclose(signal.points[:, :, 0], -plain.points[:, :, 0]).all(dim=1)
        kept = torch.isclose(signal.points[:, :, 0], plain.points[:, :, 0]).all(dim=1)
        assert (flipped ^ kept).all()
        assert torch.equal(signal.points[..., 1:], plain.points[..., 1:])
        assert torch.equal(signal.inside, plain.inside)
        centre = torch.where(flipped, -0.2, 0.2)
        assert torch.allclose(signal.surface[..., 0].mean(dim=1), centre, atol=0.15)
        assert not torch.equal(signal.surface[..., 1:], plain.surface[..., 1:])
        assert ((signal.surface[..., 0] - centre[:, None]) * signal.normals[..., 0] >= -1e-3).all()
        turned += flipped
    assert (turned[1::2] == 0).all()
    assert ((turned[::2] > 5) & (turned[::2] < 25)).all()


def test_augmentation_repeats_with_its_generator():
    shapes = balls(mirrored=[True] * 7)
    one, other = shapes.batch([0, 1, 2], seeded(3)), shapes.batch([0, 1, 2], seeded(3))
    assert torch.equal(one.surface, other.surface)
    assert torch.equal(one.points, other.points)


def test_fingerprints_tell_contents_apart():
    plain = balls().fingerprint()
    assert balls().fingerprint() == plain
    texts = [("a ball",)] * 7
    others = [
        balls(captions=texts),
        balls(names=[f"b{i}" for i in range(7)]),
        balls(classes=("ball", "cube")),
        balls(classes=("ball", "cube"), labels=[1] * 7),
        balls(rows=[1, 0, 2, 3, 4, 5, 6]),
        balls(shown=63),
    ]
    found = {plain, *(shapes.fingerprint() for shapes in others)}
    assert len(found) == 7
    assert balls().part([1, 2]).fingerprint() != balls().part([2, 1]).fingerprint()


def test_parts_keep_what_belongs_together():
    texts = [(f"a ball of {i}", "a ball") for i in range(7)]
    shapes = balls(captions=texts, classes=("x", "y"), labels=[0, 1, 0, 1, 0, 1, 0])
    part = shapes.part([5, 2]).part([1])
    assert (part.names, part.captions, part.labels.tolist()) == (("ball-2",), (texts[2],), [0])
    assert torch.equal(part.batch([0]).points, shapes.batch([2]).points)
    split = shapes.split(0.4, ["a", "b", "a", "b", "c", "c", "a"])
    assert {"ball-0", "ball-2", "ball-6"} in [
        {"ball-0", "ball-2", "ball-6"} & set(side.names) for side in (split.train, split.held_out)
    ]
    assert len(split.train) + len(split.held_out) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": [0]}, "7 names requires one label per shape; got 1"),
        ({"captions": [("a",)] * 6}, "one caption tuple per shape; got 6"),
        ({"rows": [0, 1, 2, 3, 4, 5, 7]}, "rows 0 to 7 are out of range for 7 shapes"),
        ({"shown": 129}, "shown=129 is out of range: 1 to 128 surface points"),
    ],
)
def test_sets_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        balls(**options)


def test_queries_show_what_is_inside():
    signal = balls().batch([0, 2])
    queries = OccupancyParts(OCCUPANCY, OccupancySettings()).sampler.sample(signal, 500, seeded())
    assert queries.coords.shape == (2, 500, 3)
    assert queries.extra.shape == (2, 500, 0)
    assert queries.weights.shape == (2, 500)
    assert queries.patch == ()
    radius = (queries.coords - torch.tensor([0.2, 0, 0.1])).norm(dim=-1)
    assert torch.equal(queries.targets[..., 0], (radius < torch.tensor([[0.3], [0.6]])).float())
    again = PointSampler().sample(signal, 500, seeded())
    assert torch.equal(again.coords, queries.coords)
    with pytest.raises(ValueError, match="n=0 is out of range; sample at least 1 point"):
        PointSampler().sample(signal, 0, seeded())


@pytest.mark.parametrize("near", [0.0, 0.25, 0.5, 1.0])
def test_weights_of_queries_mix_the_mean_near_the_surface_with_that_over_the_cube(near):
    """Of a value that is 1 near the surface's centre distance and 0 elsewhere, the mixture is known."""
    signal = balls().batch([2])
    queries = PointSampler(near).sample(signal, 20_000, seeded())
    uniform = signal.weights[0] > 0
    value = (signal.points[0] - torch.tensor([0.2, 0, 0.1])).norm(dim=-1)
    expected = near * value[~uniform].mean() + (1 - near) * value[uniform].mean()
    found = ((queries.coords[0] - torch.tensor([0.2, 0, 0.1])).norm(dim=-1) * queries.weights[0]).mean()
    assert found.item() == pytest.approx(expected.item(), rel=0.02)


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"near=1\.5 is out of range"):
        PointSampler(1.5)


def test_the_encoder_sees_points_and_normals():
    settings = OccupancySettings(plane=16)
    torch.manual_seed(0)
    network = OccupancyParts(OCCUPANCY, settings).encoder(AutoencoderConfig())
    signal = balls().batch([0, 1])
    mean = network(signal).mean
    assert [tuple(plane.shape) for plane in mean] == [(2, 4, 4, 4)] * 3
    from attrs import evolve

    for change in ({"normals": -signal.normals}, {"surface": signal.surface * 0.7}):
        other = network(evolve(signal, **change)).mean
        assert not torch.allclose(mean[0], other[0])
    blind = network(evolve(signal, points=signal.points * 0, inside=1 - signal.inside)).mean
    assert torch.equal(mean[0], blind[0])

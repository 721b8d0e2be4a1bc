"""The ready encoder of points: cells against a histogram, any order of points, and what reaches which cell."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
import torch
from attrs import evolve

from ddmi_core.api import Layout
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.autoencoder.encoders import Bins, PointBlock, PointEncoder
from ddmi_core.errors import DataError
from ddmi_core.fields.layout import Embedding
from ddmi_core.networks import common_axes
from ddmi_core.parts import cell_centres
from plane_layouts import LAYOUTS, cells_of, differs, grids, perturbed, posterior_of_heads

FOUR = Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("z", "t"), ("t",)))
ALL = {**LAYOUTS, "four axes": FOUR}
CONFIG = EncoderConfig(widths=(8, 12, 16))
every_layout = pytest.mark.parametrize("layout", ALL.values(), ids=ALL)


def encoder(layout, cells=8, channels=2, config=CONFIG, point_blocks=3) -> PointEncoder:
    torch.manual_seed(0)
    config = evolve(config, point_blocks=point_blocks)
    return PointEncoder(lambda s: s[0], lambda s: s[1], channels, layout, cells, 3, config)


def cloud(layout, batch=2, count=40, channels=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(batch, count, len(layout.axes), generator=generator) - 1
    return points, torch.randn(batch, count, channels, generator=generator)


def slowest_first(layout, cells):
    return [cells[axis] for axis in reversed(layout.axes)]


@pytest.mark.parametrize("lengths", [(8,), (1,), (7, 5, 9), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("channels", [0, 3])
@every_layout
def test_every_stage_after_the_first_halves_the_cells_rounding_up(layout, channels, lengths):
    cells = cells_of(layout, *lengths)
    posterior = encoder(layout, slowest_first(layout, cells), channels)(cloud(layout, channels=channels))
    quarter = {axis: ceil(length / 4) for axis, length in cells.items()}
    expected = [(2, 3, *grid) for grid in grids(layout, quarter)]
    assert [tuple(plane.shape) for plane in posterior.mean] == expected
    assert [tuple(plane.shape) for plane in posterior.log_variance] == expected


@pytest.mark.parametrize("cells", [(8, 8), (8, 8, 8, 8), ()])
def test_cells_that_do_not_fit_the_axes_are_refused(cells):
    with pytest.raises(ValueError, match=r"one number for each axis, slowest first: \('z', 'y', 'x'\)"):
        encoder(LAYOUTS["tri-plane"], cells)


@every_layout
def test_points_are_counted_in_the_cells_of_a_histogram(layout):
    """The oracle is numpy, whose last bin is closed like ours."""
    cells = cells_of(layout, 6, 4, 5)
    points, features = cloud(layout, batch=2, count=60)
    points[:, :3] = 1  # at the border, of which numpy counts the last bin as well
    points[:, 3:6] = -1
    planes = encoder(layout, slowest_first(layout, cells)).scattered(points, features)
    for plane, columns, grid in zip(planes, layout.columns, grids(layout, cells), strict=True):
        for signal in range(2):
            places = points[signal][:, list(reversed(columns))].numpy()
            expected, _ = np.histogramdd(places, bins=grid, range=[(-1, 1)] * len(grid))
            found = plane[signal, -1].detach().expm1() * 60 / np.prod(grid)
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_centre_of_a_cell_falls_in_it_and_what_is_beyond_the_border_in_the_last():
    layout = LAYOUTS["line"]
    module = encoder(layout, cells=5)
    for place, cell in [*zip(cell_centres(5).tolist(), range(5), strict=True), (-9.0, 0), (1.0, 4), (1.5, 4)]:
        (plane,) = module.scattered(torch.tensor([[[place]]]), torch.zeros(1, 1, 2))
        assert plane[0, -1].nonzero().tolist() == [[cell]]


def test_means_of_cells_are_means_over_their_points():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(6, (20,), generator=generator)
    rows[rows == 2] = 3  # an empty cell
    features = torch.randn(20, 4, generator=generator)
    found = Bins((6,), rows, torch.bincount(rows, minlength=6).unsqueeze(1)).means(features)
    expected = [features[rows == cell].mean(dim=0) if (rows == cell).any() else torch.zeros(4) for cell in range(6)]
    torch.testing.assert_close(found, torch.stack(expected))


@every_layout
def test_empty_cells_are_zero_and_others_are_not(layout):
    module = perturbed(encoder(layout))
    for plane in module.scattered(*cloud(layout, count=3)):
        empty = plane[:, -1:] == 0
        assert empty.any()
        assert not (plane * empty).any()
        assert (plane.abs().sum(dim=1, keepdim=True) > 0).equal(~empty)


@every_layout
def test_the_order_of_the_points_does_not_matter(layout):
    module = perturbed(encoder(layout))
    points, features = cloud(layout)
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        one, other = module((points, features)), module((points[:, order], features[:, order]))
    for a, b in zip((*one.mean, *one.log_variance), (*other.mean, *other.log_variance), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def reached(cells_of_points, moved, hops):
    """Points that share a cell of any plane with the moved one, directly or over up to `hops` others.

    Args:
        cells_of_points: for each plane the cell of each point.
        moved: number of the point.
        hops: how often features are exchanged.
    """
    near = {moved}
    for _ in range(hops):
        near |= {p for cells in cells_of_points for p in range(len(cells)) if cells[p] in {cells[q] for q in near}}
    return near


@pytest.mark.parametrize("point_blocks", [1, 2, 3])
@every_layout
def test_a_moved_point_changes_its_neighbourhood_alone(layout, point_blocks):
    """Before the convolutions a change spreads over points that share a cell, one hop for each block but the first."""
    size = 6
    module = perturbed(encoder(layout, size, point_blocks=point_blocks))
    points, features = cloud(layout, batch=1, count=5, seed=3)
    moved = points.clone()
    moved[0, 0] = -moved[0, 0].roll(1)
    with torch.no_grad():
        before, after = module.scattered(points, features), module.scattered(moved, features)
    places = [[((cloud[0] + 1) / 2 * size).long()[:, list(columns)].tolist() for columns in layout.columns]
              for cloud in (points, moved)]  # fmt: skip
    places = [[list(map(tuple, cells)) for cells in one] for one in places]
    near = set().union(*(reached(cells, 0, point_blocks - 1) for cells in places))
    for number, (a, b) in enumerate(zip(before, after, strict=True)):
        allowed = {cells[number][point] for cells in places for point in near}
        changed = {tuple(reversed(where)) for where in (a != b)[0].any(dim=0).nonzero().tolist()}
        assert changed <= allowed
        assert changed >= {places[1][number][0]}
    if point_blocks == 1:
        assert near == {0}


@every_layout
def test_points_that_share_a_cell_of_one_plane_know_of_each_other_in_all_planes(layout):
    """Two points differ in every axis but the first plane's, so other planes see the exchange alone."""
    points = torch.full((1, 2, len(layout.axes)), -0.9)
    points[0, 1] = 0.9
    points[0, 1, list(layout.columns[0])] = -0.9
    features = torch.zeros(1, 2, 2)
    other = features.clone()
    other[0, 1] = 1
    module = perturbed(encoder(layout))
    with torch.no_grad():
        pairs = zip(module.scattered(points, features), module.scattered(points, other), strict=True)
        first_cells = [differs(a.flatten(2)[..., 0], b.flatten(2)[..., 0]) for a, b in pairs]
    assert all(first_cells)


@every_layout
@pytest.mark.parametrize("joined", [None, False, True])
def test_gradients_reach_every_parameter_and_the_points(joined, layout):
    config = CONFIG
    if joined is not None:
        config = evolve(config, transition="block", middle=True, attention=(1,), point_width=12, point_blocks=2)
        config = evolve(config, joined=joined and bool(common_axes(layout)))
    module = perturbed(encoder(layout, config=config, point_blocks=config.point_blocks))
    points, features = cloud(layout)
    posterior = module((points.requires_grad_(), features.requires_grad_()))
    sum(p.square().sum() for p in (*posterior.mean, *posterior.log_variance)).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert points.grad.any()
    assert features.grad.any()


def test_two_runs_are_equal_to_the_bit():
    layout = LAYOUTS["tri-plane"]

    def result():
        module = perturbed(encoder(layout, 16))
        posterior = module(cloud(layout, batch=4, count=500))
        sum(p.square().sum() for p in (*posterior.mean, *posterior.log_variance)).backward()
        return [*posterior.mean, *(p.grad for p in module.parameters())]

    assert all(torch.equal(a, b) for a, b in zip(result(), result(), strict=True))


@every_layout
def test_signals_of_a_batch_are_encoded_independently(layout):
    module = perturbed(encoder(layout)).eval()
    points, features = cloud(layout, batch=3)
    with torch.no_grad():
        whole, alone = module((points, features)).mean, module((points[1:2], features[1:2])).mean
    for plane, single in zip(whole, alone, strict=True):
        torch.testing.assert_close(plane[1:2], single, atol=1e-5, rtol=1e-4)


def test_every_point_twice_is_the_same_shape():
    layout = LAYOUTS["tri-plane"]
    module = perturbed(encoder(layout))
    points, features = cloud(layout)
    with torch.no_grad():
        once, twice = module((points, features)).mean, module((points.repeat(1, 2, 1), features.repeat(1, 2, 1))).mean
    for a, b in zip(once, twice, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_log_variance_is_bounded_for_any_cloud_and_for_none():
    layout = LAYOUTS["tri-plane"]
    module = perturbed(encoder(layout), scale=1.0)
    points, features = cloud(layout)
    for signal in ((points, 1e4 * features), cloud(layout, count=0)):
        for plane in module(signal).log_variance:
            assert plane.min() >= -20
            assert plane.max() <= 10


def test_it_learns_a_function_from_its_values_at_random_points():
    """Plane waves known at 60 random points; the latent shall be the wave at the centres of the cells."""
    layout = LAYOUTS["plane"]
    module = encoder(layout, 8, channels=1, config=EncoderConfig(widths=(16, 24)))
    optimiser = torch.optim.Adam(module.parameters(), 4e-3)
    generator = torch.Generator().manual_seed(0)
    centres = torch.cartesian_prod(cell_centres(4), cell_centres(4)).flip(1)

    def error():
        turn, shift = 2 * torch.randn(16, 2, 1, generator=generator), 6 * torch.rand(16, 1, 1, generator=generator)
        points = 2 * torch.rand(16, 60, 2, generator=generator) - 1
        wave, target = torch.sin(points @ turn + shift), torch.sin(centres @ turn + shift)
        return (module((points, wave)).mean[0][:, :1].flatten(2) - target.mT).square().mean()

    for _ in range(120):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
    with torch.no_grad():
        reached = torch.stack([error() for _ in range(10)]).mean()
    assert reached < 0.1  # the waves have a mean square of 0.5


@every_layout
def test_padding_has_no_influence(layout):
    """The oracle is each signal encoded alone without padding; values of padding may be anything, even NaN."""
    module = perturbed(PointEncoder(lambda s: s[0], lambda s: s[1], 2, layout, 8, 3, CONFIG, mask=lambda s: s[2]))
    points, features = cloud(layout, batch=3, count=40)
    mask = torch.arange(40) < torch.tensor([[40], [1], [17]])
    mask = mask[:, torch.randperm(40, generator=torch.Generator().manual_seed(4))]
    points[~mask], features[~mask] = float("nan"), float("inf")
    with torch.no_grad():
        found = module((points, features, mask))
        for number, real in enumerate(mask):
            alone = (points[number : number + 1, real], features[number : number + 1, real])
            module.mask = None
            expected = module(alone)
            module.mask = lambda s: s[2]
            for a, b in zip((*found.mean, *found.log_variance), (*expected.mean, *expected.log_variance), strict=True):
                torch.testing.assert_close(a[number : number + 1], b, atol=1e-6, rtol=1e-6)
    points.requires_grad_()
    sum(p.square().sum() for p in module((points, features, mask)).mean).backward()
    assert not points.grad[~mask].any()
    assert points.grad[mask].any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


def test_a_signal_without_real_points_is_named_and_a_wrong_mask_is_refused():
    layout = LAYOUTS["plane"]
    points, features = cloud(layout, batch=3, count=5)
    mask = torch.ones(3, 5)
    mask[2] = 0
    with pytest.raises(DataError, match="signal 2 of the batch has no points"):
        encoder(layout).scattered(points, features, mask)
    with pytest.raises(ValueError, match=r"\(3, 5, 1\).*one boolean per point, \(3, 5\)"):
        encoder(layout).scattered(points, features, mask[..., None])


def test_points_beyond_the_border_of_a_periodic_axis_belong_to_the_cells_at_its_other_end():
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),), periodic=("x",))
    module = encoder(layout, channels=0)
    points = 2 * torch.rand(2, 30, 2, generator=torch.Generator().manual_seed(0)) - 1
    around, above = points.clone(), points.clone()
    around[..., 0] += 2
    above[..., 1] += 2
    (plane,), (wrapped,), (clipped,) = (module.scattered(p, p[..., :0]) for p in (points, around, above))
    torch.testing.assert_close(wrapped, plane, atol=1e-5, rtol=1e-5)
    assert not clipped[:, :, :-1].any()  # y is not periodic: all points are in its last cells


def test_points_of_a_layout_with_an_embedding_have_the_coordinates_of_its_planes():
    around = Embedding(axes=("u", "v", "w"), function="maps:around")
    layout = Layout(axes=("angle",), planes=(("u", "v"), ("w",)), embedding=around)
    points = 2 * torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(0)) - 1
    mean = encoder(layout, channels=0)((points, points[..., :0])).mean
    assert [tuple(plane.shape) for plane in mean] == [(2, 3, 2, 2), (2, 3, 2)]


@pytest.mark.parametrize(("value", "bound"), [(1e3, 10.0), (-1e3, -20.0), (4.0, 4.0)])
def test_log_variances_lie_between_minus_20_and_10(value, bound):
    posterior = posterior_of_heads(encoder(LAYOUTS["tri-plane"]), cloud(LAYOUTS["tri-plane"]), value)
    for mean, log_variance in zip(posterior.mean, posterior.log_variance, strict=True):
        assert mean.eq(value).all()
        assert log_variance.eq(bound).all()


@pytest.mark.parametrize(("transition", "widths"), [("convolution", (10, 12)), ("block", (8, 10))])
def test_a_transition_by_a_block_keeps_the_width_while_planes_are_halved(transition, widths):
    module = encoder(LAYOUTS["tri-plane"], config=EncoderConfig(widths=(8, 10, 12), transition=transition))
    halving = [layer for layer in module.modules() if getattr(layer, "stride", (1,)) == (2, 2)]
    assert tuple(layer.out_channels for layer in halving) == widths


def test_the_network_on_points_has_a_width_of_its_own_if_it_is_given():
    for given, width in ((0, 8), (20, 20)):
        module = encoder(LAYOUTS["plane"], config=evolve(CONFIG, point_width=given))
        assert module.blocks[0].second.out_features == width
        assert module.planes(cloud(LAYOUTS["plane"]))[0].shape[1] == width + 1


def test_a_block_on_points_adds_two_layers_to_its_skip_connection():
    torch.manual_seed(0)
    block, rows = perturbed(PointBlock(6, 4)), torch.randn(5, 6)
    silu = torch.nn.functional.silu
    expected = block.skip(rows) + block.second(silu(block.first(silu(rows))))
    torch.testing.assert_close(block(rows), expected)
    fresh = PointBlock(6, 4)
    assert torch.equal(fresh(rows), fresh.skip(rows))  # it starts as this connection


def test_the_offset_of_a_plane_is_added_to_its_first_features():
    module, signal = perturbed(encoder(LAYOUTS["plane"])), cloud(LAYOUTS["plane"])
    with torch.no_grad():
        with_offset = module(signal).mean[0]
        module.stem.bias += module.offsets[0].flatten()
        module.offsets[0].zero_()
        torch.testing.assert_close(module(signal).mean[0], with_offset)

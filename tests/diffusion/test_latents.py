"""Flat latents: packing and its inverse, and normalisation a plane and channel."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmi_core.api import Planes
from ddmi_core.diffusion.latents import LatentShape, Moments, Normalisation

grid_lists = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=2), min_size=1, max_size=4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_planes(shape: LatentShape, batch: int) -> Planes:
    generator = seeded(1)
    return Planes(torch.randn(batch, shape.channels, *grid, generator=generator) for grid in shape.grids)


@settings(deadline=None)
@given(grid_lists, st.integers(1, 4), st.integers(1, 3))
def test_unpacking_inverts_packing(grids, channels, batch):
    planes = random_planes(LatentShape(channels, grids), batch)
    shape = LatentShape.of(planes)
    assert shape == LatentShape(channels, grids)
    flat = shape.pack(planes)
    assert flat.shape == (batch, shape.length)
    assert shape.length == channels * sum(map(prod, grids))
    assert all(torch.equal(a, b) for a, b in zip(shape.unpack(flat), planes, strict=True))
    assert torch.equal(shape.pack(shape.unpack(flat)), flat)


@settings(deadline=None)
@given(grid_lists, st.integers(1, 4))
def test_an_empty_batch_keeps_its_shape(grids, channels):
    shape = LatentShape(channels, grids)
    assert [plane.shape for plane in shape.unpack(torch.zeros(0, shape.length))] == [
        (0, channels, *grid) for grid in shape.grids
    ]


@settings(deadline=None)
@given(grid_lists, st.integers(1, 3), st.floats(1e-2, 1e2), st.floats(-10, 10))
def test_normalisation_is_inverted(grids, channels, scale, offset):
    shape = LatentShape(channels, grids)
    flat = scale * torch.randn(6, shape.length, generator=seeded()) + offset
    normalisation = Normalisation.fit(flat, shape)
    torch.testing.assert_close(normalisation.invert(normalisation.apply(flat)), flat, atol=1e-4, rtol=1e-4)


def test_each_plane_and_channel_has_zero_mean_and_unit_variance():
    shape = LatentShape(3, [(4, 5), (6,)])
    flat = shape.pack(
        Planes(
            torch.randn(50, 3, *grid, generator=seeded(n)) * (1 + torch.arange(3).reshape(3, *[1] * len(grid))) + n
            for n, grid in enumerate(shape.grids)
        )
    )
    for plane in shape.unpack(Normalisation.fit(flat, shape).apply(flat)):
        rows = plane.transpose(0, 1).flatten(1)
        torch.testing.assert_close(rows.mean(dim=1), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(rows.std(dim=1, correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_statistics_do_not_depend_on_the_cell():
    """The same statistic at every cell: normalisation must not undo a plane's spatial structure."""
    shape = LatentShape(2, [(3, 4), (5,)])
    flat = torch.randn(20, shape.length, generator=seeded()) * torch.linspace(0.1, 3, shape.length)
    fitted = Normalisation.fit(flat, shape)
    for statistic in (fitted.mean, fitted.std):
        for plane in shape.unpack(statistic[None]):
            cells = plane[0].flatten(1)
            assert torch.equal(cells, cells[:, :1].expand_as(cells))


def test_a_channel_that_never_varies_stays_finite():
    shape = LatentShape(1, [(2,)])
    flat = torch.full((4, 2), 3.7)
    normalisation = Normalisation.fit(flat, shape)
    assert torch.isfinite(normalisation.apply(flat)).all()
    torch.testing.assert_close(normalisation.invert(torch.zeros(1, 2)), flat[:1])


def test_large_offsets_do_not_spoil_the_variance():
    shape = LatentShape(1, [(1,)])
    flat = torch.randn(100000, 1, generator=seeded()) * 1e-2 + 300
    assert Normalisation.fit(flat, shape).std.item() == pytest.approx(flat.double().std().item(), rel=1e-3)


def test_the_variance_of_draws_is_that_of_the_means_plus_the_mean_of_the_variances():
    shape = LatentShape(2, [(3,), (2, 2)])
    flat = torch.randn(50, shape.length, generator=seeded())
    variances = torch.rand(50, shape.length, generator=seeded(1))
    plain, drawn = Normalisation.fit(flat, shape), Normalisation.of(Moments.of(flat, shape, variances), shape)
    torch.testing.assert_close(drawn.mean, plain.mean)
    for before, after, own in zip(
        *(shape.unpack(v) for v in (plain.std[None], drawn.std[None], variances.mean(dim=0, keepdim=True))), strict=True
    ):
        for channel in range(2):
            expected = (before[0, channel].flatten()[0] ** 2 + own[0, channel].mean()).sqrt()
            torch.testing.assert_close(after[0, channel], expected.expand_as(after[0, channel]))


def test_statistics_move_to_a_device():
    moved = Normalisation(torch.zeros(3), torch.ones(3)).to(torch.device("meta"))
    assert moved.mean.is_meta
    assert moved.std.is_meta


def test_the_smallest_deviation_is_a_millionth():
    assert Normalisation.fit(torch.ones(4, 2), LatentShape(1, [(2,)])).std.tolist() == pytest.approx([1e-6] * 2)


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(-1e3, 1e3))
def test_moments_of_parts_merge_to_those_of_the_whole(sizes, offset):
    shape = LatentShape(2, [(3,), (2, 2)])
    flat, variances = (torch.randn(sum(sizes), shape.length, generator=seeded(n)).double() for n in range(2))
    parts = zip((flat + offset).split(sizes), variances.square().split(sizes), strict=True)
    merged, *others = (Moments.of(part, shape, spread) for part, spread in parts)
    for other in others:
        merged = merged.merged(other, shape)
    whole = Moments.of(flat + offset, shape, variances.square())
    assert merged.count == whole.count
    for ours, theirs in ((merged.mean, whole.mean), (merged.squares, whole.squares)):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(merged.variances, whole.variances)

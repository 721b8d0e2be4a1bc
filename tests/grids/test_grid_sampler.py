"""Grid sampler: coordinates, targets and footprints agree with the grids they come from."""

import math

import pytest
import torch
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmi_core.api import Layout
from ddmi_core.errors import ConfigError
from ddmi_core.fields.interpolate import interpolate
from ddmi_core.grids.sampler import GridSampler, as_values, patch_shape

NAMES = ("x", "y", "z")


@frozen(eq=False)
class Grids:
    grids: tuple

    def levels(self):
        return self.grids


def layout(axes, extra=("footprint",)):
    return Layout(axes=NAMES[:axes], planes=tuple((name,) for name in NAMES[:axes]), extra=extra)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def looked_up(grid, coords):
    """Values of the cells whose centres are the coordinates, one point at a time."""
    sizes = grid.shape[2:]
    out = torch.empty(*coords.shape[:2], grid.shape[1])
    for b in range(coords.shape[0]):
        for n in range(coords.shape[1]):
            cell = tuple(
                round(((coords[b, n, len(sizes) - 1 - axis].item() + 1) * size - 1) / 2)
                for axis, size in enumerate(sizes)
            )
            out[b, n] = grid[(b, slice(None), *cell)]
    return out


def periodic(axes, *names):
    return evolve(layout(axes), periodic=names)


def test_patches_cover_a_periodic_axis_uniformly():
    sampler, source, seen = GridSampler(periodic(2, "x")), generator(), torch.zeros(10, 8)
    for _ in range(60):
        coords = sampler.sample(Grids((torch.zeros(64, 1, 10, 8),)), 9, source).coords.reshape(-1, 2)
        assert coords.abs().max() < 1
        rows = ((coords[:, 1] + 1) * 5 - 0.5).round().long()
        columns = ((coords[:, 0] + 1) * 4 - 0.5).round().long()
        seen.index_put_((rows, columns), torch.ones(len(rows)), accumulate=True)
    along = seen.sum(dim=0)
    # 11520 runs of 3 of 8 cells: the standard deviation of a cell's share is about 1 %.
    assert along.max() / along.min() < 1.1
    across = seen.sum(dim=1)
    assert across.max() / across.min() > 1.3  # y is not periodic


def test_patches_across_the_border_have_the_targets_of_the_rolled_signal():
    grid = torch.randn(2, 3, 7, 9)
    queries = GridSampler(periodic(2, "x", "y")).sample(Grids((grid,)), 30, generator())
    assert torch.equal(queries.targets, looked_up(grid, queries.coords))
    patch = queries.targets.transpose(1, 2).reshape(2, 3, *queries.patch)
    corner = queries.coords.reshape(2, *queries.patch, 2)[:, 0, 0]
    for found, signal, (x, y) in zip(patch, grid, corner.tolist(), strict=True):
        first = round(((y + 1) * 7 - 1) / 2), round(((x + 1) * 9 - 1) / 2)
        rolled = signal.roll((-first[0], -first[1]), (1, 2))
        assert torch.equal(found, rolled[:, : queries.patch[0], : queries.patch[1]])


def test_a_patch_of_a_whole_periodic_axis_starts_anywhere():
    sampler, source = GridSampler(periodic(1, "x")), generator()
    starts = {
        start
        for _ in range(20)
        for start in sampler.sample(Grids((torch.zeros(16, 1, 6),)), 6, source).coords[:, 0, 0].tolist()
    }
    assert len(starts) == 6


@pytest.mark.parametrize("size", [(30,), (9, 14), (3, 7, 5)])
@pytest.mark.parametrize("scattered", [False, True])
def test_targets_are_the_cells_at_the_coordinates(size, scattered):
    grid = torch.randn(2, 3, *size)
    queries = GridSampler(layout(len(size)), scattered=scattered).sample(Grids((grid,)), 20, generator())
    assert torch.equal(queries.targets, looked_up(grid, queries.coords))
    assert math.prod(queries.patch) == (1 if scattered else queries.coords.shape[1])
    assert queries.extra.shape == (*queries.coords.shape[:2], 1)


def test_interpolating_the_grid_at_the_coordinates_gives_the_targets():
    grid = torch.randn(3, 2, 12, 17)
    queries = GridSampler(layout(2)).sample(Grids((grid,)), 36, generator())
    torch.testing.assert_close(interpolate(grid, queries.coords), queries.targets, atol=1e-4, rtol=0)


@pytest.mark.parametrize("scattered", [False, True])
def test_coordinates_cover_the_domain(scattered):
    grid = torch.zeros(32, 1, 10, 8)
    sampler, source = GridSampler(layout(2), scattered=scattered), generator()
    seen = torch.zeros(10, 8)
    for _ in range(20):
        coords = sampler.sample(Grids((grid,)), 9, source).coords.reshape(-1, 2)
        rows = ((coords[:, 1] + 1) * 5 - 0.5).round().long()
        columns = ((coords[:, 0] + 1) * 4 - 0.5).round().long()
        seen.index_put_((rows, columns), torch.ones(len(rows)), accumulate=True)
    assert seen.min() > 0
    assert seen.max() / seen.min() < (6 if not scattered else 2)


def test_patch_is_regular_with_the_slowest_axis_first():
    grid = torch.randn(2, 1, 6, 9)
    queries = GridSampler(layout(2)).sample(Grids((grid,)), 12, generator())
    x, y = queries.coords.reshape(2, *queries.patch, 2).unbind(-1)
    assert torch.equal(x, x[:, :1].expand_as(x))
    assert torch.equal(y, y[:, :, :1].expand_as(y))
    torch.testing.assert_close(x.diff(dim=2), torch.full_like(x.diff(dim=2), 2 / 9))
    torch.testing.assert_close(y.diff(dim=1), torch.full_like(y.diff(dim=1), 2 / 6))


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize(("shape", "drawn"), [((1, 4, 3), (1, 4, 3)), ((9, 2, 9), (3, 2, 5)), ((3, 7, 5), (3, 7, 5))])
def test_a_block_has_its_shape_within_the_grid_whatever_the_sampler_draws(scattered, shape, drawn):
    grid = torch.randn(2, 3, 3, 7, 5)
    block = GridSampler(layout(3), scattered=scattered).block(Grids((grid,)), shape, generator())
    assert block.patch == drawn
    assert torch.equal(block.targets, looked_up(grid, block.coords))
    x, y, z = block.coords.reshape(2, *drawn, 3).unbind(-1)
    for column, axis, cells in ((x, 3, 5), (y, 2, 7), (z, 1, 3)):
        torch.testing.assert_close(column.diff(dim=axis), torch.full_like(column.diff(dim=axis), 2 / cells))
        assert all(not column.diff(dim=other).any() for other in {1, 2, 3} - {axis})


def test_a_block_of_another_number_of_axes_is_refused():
    with pytest.raises(ConfigError, match=r"patch=\[4, 4\] has 2 numbers; give one for each axis: z, y, x"):
        GridSampler(layout(3)).block(Grids((torch.zeros(1, 1, 3, 7, 5),)), (4, 4), generator())


def test_footprint_tells_the_level_and_other_extras_are_zero():
    grids = Grids(tuple(torch.full((1, 1, 4 * k, 4 * k), float(k)) for k in (1, 2, 4)))
    sampler, source = GridSampler(layout(2, extra=("other", "footprint"))), generator()
    seen = set()
    for _ in range(50):
        queries = sampler.sample(grids, 9, source)
        level = queries.targets.unique().item()
        assert queries.extra[..., 0].eq(0).all()
        assert queries.extra[..., 1].eq(-math.log2(level)).all()
        seen.add(level)
    assert seen == {1.0, 2.0, 4.0}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((), (1 / 3, 1 / 3, 1 / 3)),
        ((0.3, 0.3, 0.4), (0.3, 0.3, 0.4)),
        ((3, 3, 4, 100), (0.3, 0.3, 0.4)),  # the signal does not have the fourth level
        ((1,), (1, 0, 0)),
        ((1, 0, 3), (0.25, 0, 0.75)),
    ],
)
def test_levels_of_any_ratio_are_drawn_by_their_shares(shares, expected):
    lengths = (8, 12, 17)
    grids = Grids(tuple(torch.full((1, 1, length), float(level)) for level, length in enumerate(lengths)))
    sampler, source = GridSampler(layout(1), shares=shares), generator()
    counts = [0] * 3
    for _ in range(1000):
        queries = sampler.sample(grids, 2, source)
        level = int(queries.targets[0, 0, 0])
        assert queries.extra[..., 0].unique().item() == pytest.approx(math.log2(8 / lengths[level]))
        counts[level] += 1
    assert [count / 1000 for count in counts] == pytest.approx(expected, abs=0.05)
    assert [count > 0 for count in counts] == [share > 0 for share in expected]


def test_the_same_generator_state_gives_the_same_queries():
    grids = Grids((torch.randn(2, 1, 8, 8), torch.randn(2, 1, 16, 16)))
    first, second = (GridSampler(layout(2)).sample(grids, 16, generator(5)) for _ in range(2))
    assert torch.equal(first.coords, second.coords)
    assert torch.equal(first.targets, second.targets)


def test_bytes_become_values():
    grid = torch.arange(256, dtype=torch.uint8).view(1, 1, 256)
    queries = GridSampler(layout(1)).sample(Grids((grid,)), 256, generator())
    torch.testing.assert_close(queries.targets[0, :, 0], torch.linspace(-1, 1, 256))
    assert torch.equal(as_values(queries.targets), queries.targets)


def test_numbers_of_16_bits_become_values():
    grid = torch.tensor([-32767, -1, 0, 32767], dtype=torch.int16).view(1, 1, 4)
    queries = GridSampler(layout(1)).sample(Grids((grid,)), 4, generator())
    torch.testing.assert_close(queries.targets[0, :, 0], torch.tensor([-1, -1 / 32767, 0, 1]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_become_single_precision(dtype):
    assert torch.equal(as_values(torch.tensor([0.5], dtype=dtype)), torch.tensor([0.5]))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64, torch.bool])
def test_types_that_say_no_range_are_refused(dtype):
    with pytest.raises(ValueError, match="use bytes, int16 or floats"):
        as_values(torch.zeros(2, dtype=dtype))


@given(size=st.lists(st.integers(1, 40), min_size=1, max_size=3), n=st.integers(1, 3000))
@settings(deadline=None, max_examples=80)
def test_patches_fit_the_grid_and_have_about_the_wanted_points(size, n):
    patch = patch_shape(size, n)
    assert all(1 <= side <= length for side, length in zip(patch, size, strict=True))
    wanted = min(n, math.prod(size))
    assert math.prod(patch) <= 2.5 * wanted
    assert math.prod(patch) >= wanted / 2.5


def test_what_does_not_fit_is_refused():
    sampler = GridSampler(layout(2))
    with pytest.raises(ValueError, match="2 axes"):
        sampler.sample(Grids((torch.zeros(1, 1, 4),)), 4, generator())
    with pytest.raises(ValueError, match="the minimum is 1"):
        sampler.sample(Grids((torch.zeros(1, 1, 4, 4),)), 0, generator())
    for shares in ((0, 1), (1, -1), (1, math.inf), (math.nan,)):
        with pytest.raises(ValueError, match="shares"):
            GridSampler(layout(2), shares=shares)

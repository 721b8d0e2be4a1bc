"""Empty space: what is left out holds nothing, and rays show what they show with dense sampling."""

from __future__ import annotations

import math

import pytest
import torch
from nerf_scenes import decibels, fog, nothing, solids

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig, cell_centres
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.rendering.occupancy_grid import OccupancyGrid
from ddmi_nerf.rendering.radiance import FieldRadiance
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.rays import crossing
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.rendering.volume_rendering import composite

WHITE = torch.ones(3)


class Counted:
    """A scene that counts the points at which it is asked."""

    def __init__(self, scene):
        self.scene, self.points = scene, 0

    def __call__(self, points):
        self.points += len(points)
        return self.scene(points)


@pytest.fixture(scope="module")
def rays():
    return Camera.orbit(30, 25, 2.7, width=48, height=40).rays()


@pytest.mark.parametrize(("cells", "samples"), [(12, 2), (32, 1), (48, 2)])
def test_what_is_left_out_is_empty(cells, samples):
    grid = OccupancyGrid.of(solids, cells=cells, samples=samples)
    points = torch.rand(200000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    full = solids(points)[0] > 0
    assert not (full & ~grid.at(points)).any()
    assert grid.share < 0.6


def test_the_grid_is_no_larger_than_two_cells_around():
    grid = OccupancyGrid.of(lambda p: (90.0 * (p.norm(dim=1) < 0.5), p), cells=32)
    points = torch.rand(100000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    far = points.norm(dim=1) > 0.5 + 3 * math.sqrt(3) * 2 / 32
    assert not grid.at(points[far]).any()


def test_axes_are_not_mixed_up():
    grid = OccupancyGrid.of(lambda p: (50.0 * (p[:, 0] > 0.8) * (p[:, 1] < -0.6), p), cells=20)
    corners = torch.tensor([[0.9, -0.8, 0.3], [-0.8, 0.9, 0.3], [0.3, -0.8, 0.9]])
    assert grid.at(corners).tolist() == [True, False, False]
    low, high = grid.bounds()
    torch.testing.assert_close(low, torch.tensor([0.6, -1.0, -1.0]), rtol=0, atol=0.11)
    torch.testing.assert_close(high, torch.tensor([1.0, -0.4, 1.0]), rtol=0, atol=0.11)


def test_a_density_that_is_no_number_is_not_skipped():
    grid = OccupancyGrid.of(lambda p: (torch.where(p[:, 2] > 0.5, torch.nan, 0.0), p), cells=16)
    assert grid.at(torch.tensor([[0.0, 0.0, 0.9], [0.0, 0.0, -0.9]])).tolist() == [True, False]


def test_reach_is_one_cell_more():
    grid = OccupancyGrid.of(solids, cells=24)
    points = torch.rand(20000, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    inside = grid.at(points)
    for shift in torch.tensor([[0.08, 0, 0], [0, -0.08, 0], [0.05, 0.05, -0.05]]):
        assert grid.at((points + shift).clamp(-1, 1), reach=True)[inside].all()


@pytest.mark.parametrize("step", [0.2, 0.03, 0.01])
def test_leaving_out_empty_cells_changes_nothing(rays, step):
    dense = march(solids, *rays, WHITE, step=step, stop=0)
    grid = OccupancyGrid.of(solids, cells=24)
    skipped = march(solids, *rays, WHITE, step=step, grid=grid, stop=0)
    torch.testing.assert_close(skipped.colour, dense.colour, rtol=0, atol=1e-5)
    torch.testing.assert_close(skipped.opacity, dense.opacity, rtol=0, atol=1e-5)
    torch.testing.assert_close(skipped.depth, dense.depth, rtol=0, atol=1e-4)


def test_stopping_early_changes_little_and_saves_evaluations(rays):
    dense, fast = Counted(solids), Counted(solids)
    grid = OccupancyGrid.of(solids, cells=32)
    wanted = march(dense, *rays, WHITE, step=0.01, stop=0)
    shown = march(fast, *rays, WHITE, step=0.01, grid=grid)
    assert decibels(wanted.colour, shown.colour) > 55
    assert (wanted.opacity - shown.opacity).abs().max() <= 1.01e-3
    assert fast.points < dense.points / 8


def test_marching_is_compositing():
    origins, directions = Camera.orbit(0, 0, 3, width=3, height=3).rays()
    near, far = crossing(origins, directions)
    for number in range(9):
        edges = torch.cat([torch.arange(near[number], far[number], 0.05), far[number : number + 1]])
        middles = (edges[1:] + edges[:-1]) / 2
        density, colour = solids(origins[number] + middles[:, None] * directions[number])
        light = composite(density, colour, edges, WHITE)
        seen = march(solids, origins[number : number + 1], directions[number : number + 1], WHITE, step=0.05, stop=0)
        torch.testing.assert_close(seen.colour[0], light.colour, rtol=0, atol=1e-4)
        torch.testing.assert_close(seen.opacity[0], light.opacity, rtol=0, atol=1e-4)
        torch.testing.assert_close(seen.depth[0], light.depth, rtol=0, atol=1e-3)


def test_fog_has_its_closed_form(rays):
    near, far = crossing(*rays)
    left = torch.exp(-0.4 * (far - near).clamp_min(0))
    seen = march(fog, *rays, WHITE, step=0.3, grid=OccupancyGrid.of(fog, cells=8))
    torch.testing.assert_close(seen.opacity, 1 - left, rtol=0, atol=1e-5)
    torch.testing.assert_close(seen.colour[:, 0], -0.25 * (1 - left) + left, rtol=0, atol=1e-5)


def test_an_empty_cube_shows_the_background(rays):
    grid = OccupancyGrid.of(nothing, cells=8)
    assert grid.share == 0
    behind = torch.tensor([0.1, 0.2, 0.3])
    seen = march(nothing, *rays, behind, grid=grid)
    assert torch.equal(seen.colour, behind.expand(len(rays[0]), 3))
    assert seen.opacity.abs().max() == 0
    assert torch.isinf(seen.depth).all()


def test_rays_are_independent_of_each_other(rays, monkeypatch):
    grid = OccupancyGrid.of(solids, cells=24)
    whole = march(solids, *rays, WHITE, grid=grid)
    monkeypatch.setattr("ddmi_nerf.rendering.ray_marching.RAYS", 100)
    parts = march(solids, *rays, WHITE, grid=grid)
    torch.testing.assert_close(parts.colour, whole.colour, rtol=0, atol=1e-6)
    torch.testing.assert_close(parts.depth, whole.depth, rtol=0, atol=1e-5)


def test_a_camera_inside_sees_what_is_before_it():
    origin, direction = torch.tensor([[0.1, 0.0, -0.1]]), torch.tensor([[0.0, 0.0, 1.0]])
    seen = march(solids, origin, direction, WHITE, step=0.01, grid=OccupancyGrid.of(solids))
    assert seen.opacity.item() == pytest.approx(1, abs=1e-3)
    assert seen.depth.item() == pytest.approx(1 / 80, abs=1e-3)


def test_a_sheet_counts_for_cells_that_it_is_next_to():
    grid = OccupancyGrid.of(lambda p: (90.0 * ((p[:, 0] - 0.0625).abs() < 1e-4), p), cells=16, samples=2)
    across = torch.tensor([[-0.13, 0, 0], [-0.12, 0, 0], [0.24, 0, 0], [0.26, 0, 0]])
    assert grid.at(across).tolist() == [False, True, True, False]


def haze(thin):
    """Solids in an even haze."""
    return lambda points: (solids(points)[0] + thin, solids(points)[1])


def test_a_haze_that_hides_little_is_left_out():
    grid = OccupancyGrid.of(haze(0.001), cells=24)
    assert torch.equal(grid.occupied, OccupancyGrid.of(solids, cells=24).occupied)


@pytest.mark.parametrize("thin", [0.01, 0.05, 0.2])
def test_what_is_left_out_costs_less_than_46_decibels(rays, thin):
    grid = OccupancyGrid.of(haze(thin), cells=24)
    wanted = march(haze(thin), *rays, -WHITE, stop=0)
    shown = march(haze(thin), *rays, -WHITE, grid=grid, stop=0)
    assert decibels(wanted.colour, shown.colour) > 46


@pytest.mark.parametrize("step", [0.01, 0.03])
def test_single_cells_are_found_by_all_rays(rays, step):
    occupied = torch.zeros(24, 24, 24, dtype=torch.bool)
    occupied[12, 7, 15] = occupied[3, 20, 4] = True
    grid = OccupancyGrid(occupied)

    def cells(points):
        return 30.0 * grid.at(points), points

    dense = march(cells, *rays, WHITE, step=step, stop=0)
    skipped = march(cells, *rays, WHITE, step=step, grid=grid, stop=0)
    assert dense.opacity.max() > 0.7
    torch.testing.assert_close(skipped.opacity, dense.opacity, rtol=0, atol=1e-5)


LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))


def rough(seed):
    """A field whose bounds are wide: random basis fields and steep densities."""
    generator = torch.Generator().manual_seed(seed)
    basis = tuple(Planes(torch.randn(1, 6, n, n, generator=generator) for _ in range(3)) for n in (6, 24))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        readout = CoarseToFineReadout((6, 6), 0, 4, ReadoutConfig(width=16))
    with torch.no_grad():
        readout.head.bias[0] = -5
        readout.head.weight[0] *= 8
    return Field(basis, readout, LAYOUT)


def thin(seed, rod, thickness):
    """A field that is a film, or a rod, of some thickness and at a random pose: raw density falls off from the middle.

    A plane holds values that are linear along its axes, so their sum is linear in space; hidden units are the distances
    on both sides of the film, or in two directions around the rod.
    """
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    count, shift = 1 + rod, 0.4 * torch.rand(2, generator=generator) - 0.2
    across = cell_centres(64)
    grids = torch.zeros(3, 1, count, 64, 64)
    for form in range(count):
        x, y, z = turn[form]
        grids[0, 0, form] = x * across + y * across[:, None]  # a plane's first axis is the last of its grid
        grids[1, 0, form] = z * across[:, None]
    readout = CoarseToFineReadout((count,), 0, 4, ReadoutConfig(width=2 * count, depth=1))
    steep = 12 / thickness  # from 8 in the middle to 2, a density of 1, at the surface
    with torch.no_grad():
        layer = readout.blocks[0][0]
        layer.weight.copy_(torch.cat([torch.eye(count), -torch.eye(count)]))
        layer.bias.copy_(torch.cat([-shift[:count], shift[:count]]))
        readout.head.weight.zero_()[0] = -steep
        readout.head.bias.zero_()[0] = 8
    return Field((Planes(grids),), readout, LAYOUT)


def test_fields_with_wide_bounds_are_sampled():
    medium = FieldRadiance(rough(0))
    grid = OccupancyGrid.of(medium)
    assert 0.05 < grid.share < 0.5
    assert torch.equal(grid.occupied, OccupancyGrid.of(lambda points: medium(points)).occupied)


def test_bounds_leave_out_cells_and_add_none():
    medium = FieldRadiance(thin(0, False, 0.1))
    grid, sampled = OccupancyGrid.of(medium, 24), OccupancyGrid.of(lambda points: medium(points), 24)
    assert 0.02 < grid.share <= sampled.share


@pytest.mark.parametrize(("rod", "thickness"), [(False, 1.5), (False, 1.0), (True, 1.5), (True, 1.0)])
@pytest.mark.parametrize("seed", range(3))
def test_thin_films_and_rods_have_no_holes(seed, rod, thickness):
    width = thickness * 2 / 48
    field, rays = thin(seed, rod, width), Camera.orbit(50 * seed, 25, 2.2, width=24, height=20).rays()
    scene, step = Scene.of(field, WHITE, step=width / 3), width / 3
    dense = march(scene.radiance, *rays, WHITE, step=step, stop=0)
    assert (dense.opacity > 0.1).sum() > (1 if rod else 80)
    shown = march(scene.radiance, *rays, WHITE, step=step, grid=scene.grid, stop=0)
    assert scene.grid.share < 0.25
    assert (dense.opacity - shown.opacity).abs().max() < 0.02
    assert decibels(dense.colour, shown.colour) > 46

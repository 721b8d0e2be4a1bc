"""Fields at the points of a regular patch have the values and gradients of the same points without a patch."""

from __future__ import annotations

from math import prod

import pytest
import torch
from attrs import evolve
from test_field import LAYOUTS, make_field

from ddmi_core.api import Layout
from ddmi_core.fields.field import Field
from ddmi_core.fields.interpolate import interpolate, interpolate_patch, is_separable
from ddmi_core.parts import GridSampler, GridSignal

RING = Layout(axes=("x", "y"), planes=(("x", "y"), ("y",)), periodic=("x",))


def patch_of(layout: Layout, points: int) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Coordinates of patches that a sampler draws from two signals."""
    signal = GridSignal(torch.zeros(2, 1, *range(6, 6 + len(layout.axes))))
    queries = GridSampler(evolve(layout, extra=())).sample(signal, points, torch.Generator().manual_seed(3))
    return queries.coords.double(), queries.patch


def values_and_gradients(
    field: Field, coords: torch.Tensor, patch: tuple[int, ...], of_coords: bool = False
) -> list[torch.Tensor]:
    leaves = [plane.detach().clone().requires_grad_() for planes in field.basis for plane in planes]
    parts = iter(leaves)
    coords = coords.clone().requires_grad_(of_coords)
    values = field.map(lambda _: next(parts))(coords, patch=patch)
    weights = torch.linspace(-1, 1, values.numel(), dtype=values.dtype).view_as(values)
    return [values, *torch.autograd.grad((values * weights).sum(), [coords, *leaves] if of_coords else leaves)]


@pytest.mark.parametrize("points", [2, 30, 400], ids=["long axes", "some", "whole"])
@pytest.mark.parametrize("join", ["sum", "concatenate"])
@pytest.mark.parametrize("layout", [*LAYOUTS.values(), RING], ids=[*LAYOUTS, "ring"])
def test_values_and_gradients_are_those_of_the_points(layout, join, points):
    field = make_field(layout, join=join).map(torch.Tensor.double)
    field.readout.double()
    coords, patch = patch_of(layout, points)
    assert prod(patch) == coords.shape[1]
    found, expected = (values_and_gradients(field, coords, given) for given in (patch, ()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


def test_each_point_of_a_patch_has_its_own_gradient():
    field = make_field(LAYOUTS["tri-plane"]).map(torch.Tensor.double)
    field.readout.double()
    coords, patch = patch_of(LAYOUTS["tri-plane"], 30)
    found, expected = (values_and_gradients(field, coords, given, of_coords=True) for given in (patch, ()))
    torch.testing.assert_close(found[1], expected[1], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("wraps", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (5, 2)])
def test_one_plane_on_a_patch_is_the_plane_at_all_pairs(size, wraps):
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(2, 3, *size, generator=generator, dtype=torch.double)
    x, y = (torch.rand(2, n, generator=generator, dtype=torch.double) * 2.6 - 1.3 for n in (4, 3))
    pairs = torch.stack([x[:, None].expand(2, 3, 4), y[:, :, None].expand(2, 3, 4)], dim=-1)
    expected = interpolate(grid, pairs.flatten(1, 2), wraps).unflatten(1, (3, 4))
    torch.testing.assert_close(interpolate_patch(grid, [x, y], wraps), expected, atol=1e-12, rtol=1e-9)


def test_only_planes_of_about_as_many_cells_as_the_patch_are_multiplied_by_matrices():
    grid = torch.zeros(1, 2, 8, 16)
    assert is_separable(grid, (4, 8), (0, 1))
    assert not is_separable(grid, (4, 7), (0, 1))
    assert not is_separable(grid, (3, 8), (0, 1))


def test_weights_of_interpolation_keep_their_precision_under_autocast():
    grid = torch.linspace(-1, 1, 33).view(1, 1, 1, 33).expand(1, 1, 2, 33)
    axes = [torch.linspace(-0.9, 0.9, 50)[None], torch.zeros(1, 2)]
    with torch.autocast("cpu", torch.bfloat16):
        found = interpolate_patch(grid, axes)
    torch.testing.assert_close(found[0, 0, :, 0], axes[0][0] * 33 / 32, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("patch", "reason"), [((30,), "1 axes and 30 points"), ((5, 5), "2 axes and 25 points")])
def test_a_patch_of_other_points_is_refused(patch, reason):
    field = make_field(LAYOUTS["plane"])
    with pytest.raises(ValueError, match=f"{reason}; these coordinates have 2 axes and 30 points"):
        field(torch.zeros(2, 30, 2), patch=patch)

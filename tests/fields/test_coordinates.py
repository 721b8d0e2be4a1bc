"""Coordinates of regular grids, in closed form."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.fields.coordinates import cell_axes, cell_centres, lattice_points, window_axes


@pytest.mark.parametrize(
    ("cells", "centres"), [(1, [0]), (2, [-1 / 2, 1 / 2]), (3, [-2 / 3, 0, 2 / 3]), (4, [-3 / 4, -1 / 4, 1 / 4, 3 / 4])]
)
def test_cell_centres_lie_half_a_cell_from_both_ends(cells, centres):
    found = cell_centres(cells)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(centres, dtype=torch.float32))


def test_cell_centres_are_symmetric_bit_for_bit():
    for cells in (7, 96, 1000):
        assert torch.equal(cell_centres(cells), -cell_centres(cells).flip(0))


def test_axes_of_a_grid_have_the_fastest_one_first():
    for found, length in zip(cell_axes((2, 5, 3)), (3, 5, 2), strict=True):
        assert torch.equal(found, cell_centres(length))
    assert all(axis.is_meta for axis in cell_axes((2, 3), "meta"))


def test_axes_of_a_window_are_centres_of_equal_parts_of_each_interval():
    fast, slow = window_axes((3, 4), [(-1.0, 0.5), (2.0, 3.0)])
    torch.testing.assert_close(slow, torch.tensor([-0.75, -0.25, 0.25]))
    torch.testing.assert_close(fast, torch.tensor([2.125, 2.375, 2.625, 2.875]))
    for window, whole in zip(window_axes((5, 6), [(-1, 1), (-1, 1)]), cell_axes((5, 6)), strict=True):
        torch.testing.assert_close(window, whole)


def test_points_of_a_lattice_have_the_first_axis_fastest():
    axes = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 20.0])
    wanted = [[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [1.0, 20.0], [2.0, 20.0], [3.0, 20.0]]
    assert lattice_points(axes).tolist() == wanted
    assert lattice_points(axes[:1]).tolist() == [[1.0], [2.0], [3.0]]

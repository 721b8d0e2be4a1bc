"""The fast path at some points of a lattice: equal to the plain path, whatever the planes are."""

from __future__ import annotations

import pytest
import torch
from test_scattered import READOUTS, layouts, make_field

from ddmi_core.api import Layout

SIZES = (6, 5, 4, 3)


def axes_of(layout):
    """Irregular coordinates, also beyond the outer cells."""
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(n, generator=generator) * 2.6 - 1.3 for n in SIZES[: len(layout.axes)]]


def some(axes, n=40):
    generator = torch.Generator().manual_seed(3)
    return torch.stack([torch.randint(len(axis), (n,), generator=generator) for axis in axes])


@pytest.mark.parametrize("joining", ["coarse_to_fine", "input"])
@pytest.mark.parametrize("join", ["sum", "concatenate"])
@layouts
def test_values_equal_the_plain_path(layout, join, joining):
    field, axes = make_field(layout, join, joining), axes_of(layout)
    extra, indices = torch.linspace(-1, 1, len(layout.extra)), some(axes)
    coords = torch.stack([axis[index] for axis, index in zip(axes, indices, strict=True)], dim=1)
    found = field.lattice_subset(axes, extra).at(indices)
    torch.testing.assert_close(found.t(), field(coords[None], extra)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", READOUTS, ids=str)
@layouts
def test_every_readout_is_evaluated_alike(layout, options):
    if options.get("modulated") and not layout.extra:
        pytest.skip("nothing to modulate by")
    field, axes = make_field(layout, **options), axes_of(layout)
    extra, indices = torch.linspace(-1, 1, len(layout.extra)), some(axes)
    coords = torch.stack([axis[index] for axis, index in zip(axes, indices, strict=True)], dim=1)
    found = field.lattice_subset(axes, extra).at(indices)
    torch.testing.assert_close(found.t(), field(coords[None], extra)[0], atol=1e-5, rtol=1e-5)


@layouts
def test_values_do_not_depend_on_the_chunk(layout):
    field, axes = make_field(layout), axes_of(layout)
    whole = field.lattice_subset(axes).at(some(axes))
    torch.testing.assert_close(field.lattice_subset(axes, chunk=7).at(some(axes)), whole, atol=1e-6, rtol=1e-6)


def test_planes_of_a_single_cell():
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),))
    field = make_field(layout, lengths=((1, 1), (1, 1)))
    axes = axes_of(layout)
    found = field.lattice_subset(axes).at(some(axes))
    torch.testing.assert_close(found, found[:, :1].expand_as(found))


def test_no_points_have_no_values():
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),))
    assert make_field(layout).lattice_subset(axes_of(layout)).at(torch.zeros(2, 0, dtype=torch.long)).shape == (3, 0)


def test_what_does_not_fit_is_refused():
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),))
    field, axes = make_field(layout), axes_of(layout)
    with pytest.raises(ValueError, match=r"indices have shape \(4, 2\); this lattice takes \(2, N\)"):
        field.lattice_subset(axes).at(torch.zeros(4, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="a lattice of this field has 2 axes, x, y; got 1"):
        field.lattice_subset(axes[:1])
    with pytest.raises(IndexError):
        field.lattice_subset(axes).at(torch.full((2, 1), 9))

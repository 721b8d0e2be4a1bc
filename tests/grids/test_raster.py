"""Grids as artefacts: rendered and stored ones can be read, resized and measured in the same way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.errors import RequestError
from ddmi_core.parts import CoarseToFineReadout, GridArtefact, GridRenderer, ReadoutConfig, StoredGrid, Window

LAYOUT = Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",))


def stored(size, channels=2):
    values = np.random.default_rng(0).normal(size=(*size, channels)).astype(np.float32)
    return StoredGrid(values=values, size=size, extent=(1.0,) * len(size))


@pytest.fixture
def field():
    torch.manual_seed(0)
    readout = CoarseToFineReadout((4,), extra=1, values=3, config=ReadoutConfig(width=8))
    return Field(basis=(Planes([torch.randn(1, 4, 5, 6)]),), readout=readout, layout=LAYOUT)


@pytest.mark.parametrize("size", [(7,), (3, 5), (2, 3, 4), (2, 3, 2, 3)])
def test_a_stored_grid_is_read_back_whole_and_by_slabs(size):
    subject = stored(size)
    assert isinstance(subject, GridArtefact)
    assert subject.channels == 2
    np.testing.assert_array_equal(subject.array(), subject.values)
    np.testing.assert_array_equal(np.concatenate(list(subject.slabs())), subject.values)


@pytest.mark.parametrize(
    ("old", "new"),
    [((7,), (20,)), ((7,), (3,)), ((4, 6), (8, 3)), ((2, 3, 4), (5, 3, 1)), ((2, 3, 2, 3), (3, 2, 1, 5))],
)
def test_each_cell_of_another_size_has_the_value_of_the_cell_that_its_centre_lies_in(old, new):
    subject = stored(old)
    resized = subject.at(new)
    assert resized.size == new
    assert resized.extent == subject.extent
    for cell in np.ndindex(*new):
        here = tuple(int((i + 0.5) / n * m) for i, n, m in zip(cell, new, old, strict=True))
        np.testing.assert_array_equal(resized.array()[cell], subject.values[here])


def test_a_whole_multiple_and_back_is_the_same():
    subject = stored((3, 5))
    np.testing.assert_array_equal(subject.at((9, 10)).at((3, 5)).array(), subject.values)


def test_read_only_values_can_be_resized(recwarn):
    values = np.zeros((4, 1), np.float32)
    values.flags.writeable = False
    assert StoredGrid(values=values, size=(4,), extent=(1.0,)).at((2,)).array().tolist() == [[0], [0]]
    assert not list(recwarn)


def test_a_size_with_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match="zip"):
        stored((3, 5)).at((4,))


def test_a_render_at_another_size_is_that_render(field):
    renderer = GridRenderer(LAYOUT, (8, 8), extent=(3.0, 4.0))
    moved, fresh = renderer.render(field).at([5, 12]), renderer.render(field, (5, 12))
    assert moved.size == fresh.size == (5, 12)
    assert moved.extent == (3.0, 4.0)
    assert moved.channels == 3
    np.testing.assert_array_equal(moved.array(), fresh.array())  # with the footprint of the new size


def test_an_array_is_its_slabs_in_order(field):
    raster = GridRenderer(LAYOUT, (8, 8)).render(field, (300, 500))
    slabs = list(raster.slabs())
    assert len(slabs) > 1
    np.testing.assert_array_equal(raster.array(), np.concatenate(slabs))


def test_a_window_is_a_part_of_a_finer_render(field):
    renderer = GridRenderer(LAYOUT, (4, 6), extent=(3.0, 5.0))
    whole = renderer.render(field, (8, 12)).array()
    part = renderer.render(field, Window(size=(4, 6), bounds=((-1.0, 0.0), (0.0, 1.0))))
    assert part.extent == (1.5, 2.5)
    assert part.array() == pytest.approx(whole[:4, 6:], abs=1e-5)


@pytest.mark.parametrize(
    ("size", "bounds", "message"),
    [
        ((4,), ((-1.0, 1.0), (-1.0, 1.0)), "one entry for each axis"),
        ((4,), ((0.5, 0.5),), r"invalid bounds \(0.5, 0.5\)"),
        ((4,), ((0.0, 1.5),), r"invalid bounds \(0, 1.5\)"),
    ],
)
def test_windows_that_show_nothing_are_refused(size, bounds, message):
    with pytest.raises(ValueError, match=message):
        Window(size=size, bounds=bounds)


def test_a_window_needs_the_axes_of_the_field(field):
    with pytest.raises(RequestError, match="size 4x4x4 has 3 numbers"):
        GridRenderer(LAYOUT, (4, 6)).render(field, Window(size=(4, 4, 4), bounds=((-1.0, 1.0),) * 3))

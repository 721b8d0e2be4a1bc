"""Grid renderer: equal to plain evaluation at any size, in any number of axes, and strict about sizes."""

import math

import numpy as np
import pytest
import torch

from ddmi_core.api import Field, Layout, Planes, Queries
from ddmi_core.errors import RequestError
from ddmi_core.fields.coordinates import cell_axes
from ddmi_core.parts import CoarseToFineReadout, GridRenderer, ReadoutConfig

LAYOUTS = {
    1: Layout(axes=("t",), planes=(("t",),), extra=("footprint",)),
    2: Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",)),
    3: Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t")), extra=("footprint",)),
}
NATIVE = {1: (16,), 2: (6, 8), 3: (4, 5, 8)}


def field(axes, batch=1):
    torch.manual_seed(3)
    layout = LAYOUTS[axes]
    basis = tuple(
        Planes(torch.randn(batch, c, *[n] * len(plane)) for plane in layout.planes) for c, n in ((6, 4), (4, 8))
    )
    readout = CoarseToFineReadout((6, 4), extra=1, values=2, config=ReadoutConfig(width=16))
    return Field(basis=basis, readout=readout, layout=layout)


@pytest.mark.parametrize(("axes", "size"), [(1, (33,)), (2, (9, 31)), (3, (3, 10, 12)), (2, (1, 1)), (2, (3, 9000))])
def test_render_equals_plain_evaluation_with_the_footprint(axes, size):
    subject, layout = field(axes), LAYOUTS[axes]
    raster = GridRenderer(layout, NATIVE[axes], limits=(-0.8, 0.9)).render(subject, size)
    axes_coords = cell_axes(size)
    grid = torch.stack(torch.meshgrid(*reversed(axes_coords), indexing="ij")[::-1], dim=-1).reshape(1, -1, axes)
    with torch.no_grad():
        plain = subject(grid, torch.tensor([math.log2(NATIVE[axes][-1] / size[-1])])).clamp(-0.8, 0.9)
    assert raster.array().shape == (*size, 2)
    np.testing.assert_allclose(raster.array(), plain.reshape(*size, 2).numpy(), atol=1e-4)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_none_is_the_native_size_and_native_queries_agree_with_it(axes):
    subject = field(axes, batch=2)
    renderer = GridRenderer(LAYOUTS[axes], NATIVE[axes], limits=(-100, 100))
    with torch.no_grad():
        observed = renderer.observe(subject, renderer.native_queries(2)).reshape(2, *NATIVE[axes], 2)
    for i in range(2):
        np.testing.assert_allclose(renderer.render(subject[i]).array(), observed[i].numpy(), atol=1e-4)


def test_slabs_are_small_pieces_in_order_computed_on_demand():
    raster = GridRenderer(LAYOUTS[2], (8, 8)).render(field(2), (40000, 4096))
    first = next(iter(raster.slabs()))
    assert first.dtype == np.float32
    assert first.shape[1:] == (4096, 2)
    assert len(first) <= 16


def test_reading_slabs_leaves_gradients_on_for_the_reader():
    raster = GridRenderer(LAYOUTS[1], (8,)).render(field(1), (20000,))
    for _ in raster.slabs():
        assert not torch.is_inference_mode_enabled()


def test_observe_is_differentiable():
    subject = field(2)
    subject.basis[0][0].requires_grad_(True)
    queries = Queries(torch.zeros(1, 3, 2), torch.zeros(1, 3, 1), torch.zeros(1, 3, 2))
    GridRenderer(LAYOUTS[2], (8, 8)).observe(subject, queries).sum().backward()
    assert subject.basis[0][0].grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(0, 8), (-4, 8), (), (8, 8, 8), (65537, 8), (8.5, 8), "88", 0, (True, 8)])
def test_impossible_sizes_are_refused_in_words(size):
    renderer = GridRenderer(LAYOUTS[2], (8, 8))
    with pytest.raises(RequestError, match="size"):
        renderer.render(field(2), size)


def test_a_size_is_named_as_a_command_line_has_it():
    renderer = GridRenderer(LAYOUTS[2], (8, 8))
    with pytest.raises(RequestError, match=r"size 32x32x3 has 3 numbers; give one for all axes, or 2"):
        renderer.render(field(2), (32, 32, 3))
    with pytest.raises(RequestError, match="size 0x8 is out of range"):
        renderer.render(field(2), (0, 8))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("size", [5, (5,)])
def test_one_number_is_the_size_along_every_axis(axes, size):
    renderer = GridRenderer(LAYOUTS[axes], NATIVE[axes])
    assert renderer.render(field(axes), size).array().shape == (*[5] * axes, 2)


def test_render_takes_one_field():
    with pytest.raises(ValueError, match="one field"):
        GridRenderer(LAYOUTS[2], (8, 8)).render(field(2, batch=2))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_native_values_are_the_clipped_fields_in_the_shape_of_signals(axes):
    subject = field(axes, batch=2)
    renderer = GridRenderer(LAYOUTS[axes], NATIVE[axes], limits=(-0.5, 0.5))
    with torch.no_grad():
        plain = renderer.observe(subject, renderer.native_queries(2)).reshape(2, *NATIVE[axes], 2).clamp(-0.5, 0.5)
    assert plain.abs().max() == 0.5
    torch.testing.assert_close(renderer.native_values(subject), plain.movedim(-1, 1), atol=1e-4, rtol=0)


def test_renders_carry_the_extent_and_coordinates_are_its_default():
    assert GridRenderer(LAYOUTS[2], (8, 8)).render(field(2)).extent == (2.0, 2.0)
    renderer = GridRenderer(LAYOUTS[3], NATIVE[3], extent=(10, 3, 4))
    assert renderer.render(field(3)).extent == renderer.render(field(3), 5).extent == (10.0, 3.0, 4.0)


@pytest.mark.parametrize("extent", [(1.0,), (1.0, 2.0, 3.0), (1.0, 0.0), (-1.0, 1.0), ()])
def test_an_extent_that_does_not_fit_is_refused(extent):
    with pytest.raises(ValueError, match="a positive length for each of 2 axes"):
        GridRenderer(LAYOUTS[2], (8, 8), extent=extent)

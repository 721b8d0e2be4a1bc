"""The fast path at scattered points: equal to the plain path, in values and in slopes."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve

from ddmi_core.api import Field, Layout
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.layout import Embedding
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig
from plane_layouts import LAYOUTS, cells_of, perturbed, planes

LAYOUTS = {
    **LAYOUTS,
    "four axes": Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("z",), ("t", "z")), extra=("a", "b")),
}
layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
READOUTS = (
    {"tail": 1},
    {"residual": True, "tail": 2},
    {"residual": True, "tail": 1, "activation": "silu"},
    {"residual": True, "activation": "gelu"},
    {"modulated": True},
    {"modulated": True, "residual": True, "tail": 1},
)


def make_field(
    layout, join="sum", joining="coarse_to_fine", activation="relu", lengths=((3, 1, 4), (6, 5, 7)), **options
):
    channels = (5, 4, 3, 2)[: len(lengths)]
    basis = tuple(
        planes(layout, c, cells_of(layout, *length), batch=1, seed=c)
        for c, length in zip(channels, lengths, strict=True)
    )
    factor = len(layout.planes) if join == "concatenate" else 1
    config = ReadoutConfig(width=12, depth=2, planes=join, joining=joining, activation=activation, **options)
    torch.manual_seed(0)
    readout = CoarseToFineReadout([c * factor for c in channels], len(layout.extra), 3, config)
    return Field(basis, perturbed(readout, scale=0.1) if options else readout, layout)


def points(layout, n=50):
    """Within and beyond the outer cells."""
    return torch.rand(n, len(layout.axes), generator=torch.Generator().manual_seed(1)) * 2.4 - 1.2


@pytest.mark.parametrize("joining", ["coarse_to_fine", "input"])
@pytest.mark.parametrize("join", ["sum", "concatenate"])
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@layouts
def test_values_equal_the_plain_path(layout, activation, join, joining):
    field, coords = make_field(layout, join, joining, activation), points(layout)
    extra = torch.linspace(-1, 1, len(layout.extra))
    torch.testing.assert_close(field.points(extra).at(coords), field(coords[None], extra)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("joining", ["coarse_to_fine", "input"])
@pytest.mark.parametrize("options", READOUTS, ids=str)
@layouts
def test_every_readout_is_evaluated_alike(layout, options, joining):
    if options.get("modulated") and not layout.extra:
        pytest.skip("nothing to modulate by")
    field, coords = make_field(layout, "sum", joining, **options), points(layout)
    extra = torch.linspace(-1, 1, len(layout.extra))
    coords.requires_grad_()
    plain = field(coords[None], extra)[0]
    gradients = [torch.autograd.grad(plain[:, v].sum(), coords, retain_graph=True)[0] for v in range(3)]
    values, slopes = field.points(extra, chunk=17).slopes(coords)
    torch.testing.assert_close(field.points(extra).at(coords), plain.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values, plain.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slopes, torch.stack(gradients, dim=1), atol=1e-4, rtol=1e-4)


@layouts
def test_values_do_not_depend_on_the_chunk(layout):
    field, coords = make_field(layout), points(layout)
    whole = field.points().at(coords)
    for chunk in (1, 17):
        torch.testing.assert_close(field.points(chunk=chunk).at(coords), whole, atol=1e-6, rtol=1e-6)


@layouts
def test_points_of_a_lattice_equal_the_lattice(layout):
    field = make_field(layout)
    axes = [cell_centres(n) for n in (6, 5, 4, 3)[: len(layout.axes)]]
    columns = torch.meshgrid(*reversed(axes), indexing="ij")
    coords = torch.stack([column.flatten() for column in reversed(columns)], dim=-1)
    lattice = torch.cat([values.flatten(0, -2) for _, values in field.lattice(axes).slabs()])
    torch.testing.assert_close(field.points().at(coords), lattice, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@layouts
def test_slopes_equal_gradients_of_the_plain_path(layout, activation):
    field = make_field(layout, activation=activation)
    coords = points(layout).requires_grad_()
    plain = field(coords[None])[0]
    gradients = [torch.autograd.grad(plain[:, v].sum(), coords, retain_graph=True)[0] for v in range(3)]
    values, slopes = field.points(chunk=17).slopes(coords)
    assert not values.requires_grad
    assert not slopes.requires_grad
    torch.testing.assert_close(values, plain.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slopes, torch.stack(gradients, dim=1), atol=1e-4, rtol=1e-4)


SHEAR = torch.tensor([[1.0, 0.25], [0.0, 1.0]], requires_grad=True)


def sheared(coords):
    """A map of coordinates with weights in training."""
    return coords @ SHEAR.to(coords)


def test_values_have_no_gradients_whatever_is_in_training():
    embedding = Embedding(axes=("x", "y"), function=f"{__name__}:sheared")
    field = make_field(evolve(LAYOUTS["plane"], embedding=embedding))
    field = field.map(lambda plane: plane.requires_grad_())
    coords = points(field.layout).requires_grad_()
    assert field(coords[None]).requires_grad
    found = field.points().at(coords)
    assert not found.requires_grad
    torch.testing.assert_close(found, field(coords[None])[0].detach(), atol=1e-5, rtol=1e-5)


def test_slopes_work_where_gradients_are_off():
    field = make_field(LAYOUTS["plane"])
    with torch.no_grad():
        _, slopes = field.points().slopes(points(LAYOUTS["plane"]))
    assert slopes.abs().max() > 0


def test_slopes_repeat_bit_for_bit_on_several_threads():
    lengths = ((3, 1, 4), (6, 5, 7), (8, 9, 10), (11, 12, 13))  # more than two, as a sum of two has one order
    field, before = make_field(LAYOUTS["four axes"], lengths=lengths), torch.get_num_threads()
    coords = points(LAYOUTS["four axes"], 8000)
    torch.set_num_threads(4)
    try:
        first, *others = (field.points().slopes(coords)[1] for _ in range(6))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(first, other) for other in others)


def test_no_points_have_no_values():
    evaluator = make_field(LAYOUTS["tri-plane"]).points()
    assert evaluator.at(torch.zeros(0, 3)).shape == (0, 3)
    assert evaluator.slopes(torch.zeros(0, 3))[1].shape == (0, 3, 3)


def test_wrong_columns_and_batches_are_refused():
    field = make_field(LAYOUTS["plane"])
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        field.points().at(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="one field"):
        Field.stack([field, field]).points()

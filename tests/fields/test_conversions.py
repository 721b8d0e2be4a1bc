"""Fields with arrays of NumPy, in other types, and as programs of torch.export."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_field import LAYOUTS, make_field

from ddmi_core.fields.coordinates import cell_axes

OF_HALF, OF_BFLOAT = 2e-2, 1e-1  # of the largest value: a few roundings of 11 and of 8 bits


@pytest.fixture(params=LAYOUTS)
def field(request):
    return make_field(LAYOUTS[request.param])


def places(field, count: int = 20):
    generator = torch.Generator().manual_seed(1)
    coords = torch.rand(2, count, len(field.layout.axes), generator=generator) * 2 - 1
    return coords, torch.rand(2, count, len(field.layout.extra), generator=generator)


@torch.no_grad()
def test_arrays_of_any_type_give_the_values_of_tensors(field):
    coords, extra = places(field)
    values = field(coords, extra)
    assert torch.equal(field(coords.numpy(), extra.numpy()), values)
    torch.testing.assert_close(field(coords.double().numpy()[:, ::-1], extra.numpy()[:, ::-1]), values.flip(1))
    whole = coords.round()
    assert torch.equal(field(whole.numpy().astype(np.int64)), field(whole))
    assert torch.equal(field(whole.long()), field(whole))


@pytest.mark.parametrize(
    ("given", "kind"),
    [([[0.0]], "list"), (np.array([["a"]]), "an array of <U1"), (torch.zeros(1, dtype=torch.complex64), "Tensor")],
)
def test_other_values_are_named(given, kind):
    with pytest.raises(TypeError, match=rf"coords is .*{kind}; a field takes a torch.Tensor or a NumPy array"):
        make_field(LAYOUTS["line"])(given)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float16, OF_HALF), (torch.bfloat16, OF_BFLOAT)])
def test_fields_in_half_precision_have_nearly_the_same_values(field, dtype, allowed):
    coords, extra = places(field)
    values, small = field(coords, extra), field.to(dtype)
    assert small.dtype == dtype
    assert all(weight.dtype == dtype for weight in small.readout.parameters())
    found = small(coords, extra)
    assert found.dtype == dtype
    assert (found.float() - values).abs().max() < allowed * values.abs().max()
    assert (small.dtype, field.dtype, field.readout.head.weight.dtype) == (dtype, torch.float32, torch.float32)


@torch.no_grad()
def test_half_precision_does_not_round_places():
    field = make_field(LAYOUTS["line"], batch=1).half()
    coords = 0.5 + torch.arange(8).view(1, -1, 1) * 1e-4  # steps of float16 at 0.5 are 5e-4
    assert len(set(field.float()(coords)[0, :, 0].tolist())) == 8
    assert len(set(field(coords)[0, :, 0].tolist())) > len(set(field.float()(coords.half())[0, :, 0].tolist()))


@torch.no_grad()
def test_lattices_and_points_of_half_precision_are_computed_in_float32(field):
    small, axes = field[:1].half(), cell_axes((5,) * len(field.layout.axes))
    (_, values), *_ = small.lattice(axes).slabs()
    (_, exact), *_ = small.float().lattice(axes).slabs()
    assert values.dtype == torch.float32
    assert torch.equal(values, exact)


def test_to_takes_a_device_a_type_or_both(field):
    assert field.to("cpu").readout is field.readout
    assert field.to(torch.float64).dtype == field.to("cpu", torch.float64).dtype == torch.float64
    assert field.to(dtype=torch.float64).device == field.device
    assert field.half().float().dtype == torch.float32
    with pytest.raises(ValueError, match=r"floating-point numbers, not torch.int64. Fix: "):
        field.to(torch.int64)


@torch.no_grad()
@pytest.mark.parametrize(("name", "taken"), [("plane", 2), ("tri-plane", 1)])
def test_an_exported_program_gives_the_field_s_values_at_any_number_of_points(name, taken):
    field = make_field(LAYOUTS[name])
    field.readout.eval()
    example, given = places(field, 5)[:taken], places(field, 33)[:taken]
    shapes = ({1: torch.export.Dim("points")},) * taken
    program = torch.export.export(field.module(), example, dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(*given), field(*given))


def test_a_field_with_gradients_can_be_exported_too():
    field = make_field(LAYOUTS["line"])
    field.readout.eval()
    shapes = ({1: torch.export.Dim("points")},)
    program = torch.export.export(field.module(), (places(field, 5)[0],), dynamic_shapes=shapes).module()
    coords = places(field, 9)[0].requires_grad_()
    (slope,) = torch.autograd.grad(program(coords).sum(), coords)
    (own,) = torch.autograd.grad(field(coords).sum(), coords)
    torch.testing.assert_close(slope, own)

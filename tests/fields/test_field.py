"""Fields: what they compute, and how they are taken apart and moved."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from attrs import astuple, evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.fast.lattice import axis_interpolation, tile_steps
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig
from plane_layouts import perturbed

LAYOUTS = {
    "line": Layout(axes=("t",), planes=(("t",),)),
    "plane": Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",)),
    "turned": Layout(axes=("x", "y"), planes=(("y", "x"), ("x",))),
    "tri-plane": Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    "mixed": Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("z",), ("t", "z")), extra=("a", "b")),
}


def make_field(
    layout: Layout, batch: int = 2, scales: int = 2, join: str = "sum", joining: str = "coarse_to_fine", **options
):
    generator = torch.Generator().manual_seed(0)
    channels = [5, 4, 3][:scales]
    basis = tuple(
        Planes(
            torch.randn(batch, c, *[3 + 2 * s + i + p for i in range(len(plane))], generator=generator)
            for p, plane in enumerate(layout.planes)
        )
        for s, c in enumerate(channels)
    )
    factor = len(layout.planes) if join == "concatenate" else 1
    config = ReadoutConfig(width=12, depth=2, planes=join, joining=joining, activation="silu", **options)
    readout = CoarseToFineReadout([c * factor for c in channels], len(layout.extra), 3, config)
    return Field(basis, perturbed(readout, scale=0.1) if options else readout, layout)


def two_tap(grid: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
    """Linear interpolation by its definition, point by point in plain Python: the independent oracle."""
    values = []
    for point in coords.tolist():
        corners = [(1.0, ())]
        for size, x in zip(grid.shape[1:], reversed(point), strict=True):
            position = min(max((x + 1) / 2 * size - 0.5, 0), size - 1)
            low = int(position)
            high = min(low + 1, size - 1)
            weight = position - low
            corners = [(w * f, (*at, i)) for w, at in corners for f, i in ((1 - weight, low), (weight, high))]
        values.append(sum(w * grid[(slice(None), *at)] for w, at in corners))
    return torch.stack(values)


@pytest.mark.parametrize("join", ["sum", "concatenate"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_field_is_readout_of_two_tap_interpolation(layout, join):
    field = make_field(layout, join=join)
    coords = torch.rand(2, 7, len(layout.axes), generator=torch.Generator().manual_seed(1)) * 2.4 - 1.2
    extra = torch.randn(2, 7, len(layout.extra))
    for b in range(2):
        embeddings = []
        for planes in field.basis:
            parts = [
                two_tap(grid[b], coords[b][:, list(columns)])
                for grid, columns in zip(planes, layout.columns, strict=True)
            ]
            embeddings.append(sum(parts) if join == "sum" else torch.cat(parts, dim=-1))
        torch.testing.assert_close(field(coords, extra)[b], field.readout(embeddings, extra[b]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("joining", ["coarse_to_fine", "input"])
@pytest.mark.parametrize("join", ["sum", "concatenate"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("chunk", [1, 17, 4096])
@pytest.mark.parametrize("full", [False, True])
def test_lattice_equals_plain_path_at_any_chunk(layout, join, joining, chunk, full):
    options = {"residual": True, "tail": 2, "modulated": bool(layout.extra)} if full else {}
    field = make_field(layout, batch=1, join=join, joining=joining, **options)
    axes = [cell_centres(n) for n in (6, 5, 4, 3)[: len(layout.axes)]]
    extra = torch.randn(len(layout.extra))
    mesh = torch.meshgrid(*reversed(axes), indexing="ij")
    coords = torch.stack([m.flatten() for m in reversed(mesh)], dim=-1)[None]
    with torch.no_grad():
        slabs = list(field.lattice(axes, extra, chunk=chunk).slabs())
        plain = field(coords, extra)[0]
    fast = torch.cat([values for _, values in slabs])
    assert [start for start, _ in slabs] == list(torch.tensor([0] + [len(v) for _, v in slabs[:-1]]).cumsum(0))
    torch.testing.assert_close(fast.reshape(plain.shape), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cells", [200, 300])
@pytest.mark.parametrize("points", [256, 700])
def test_long_lines_are_interpolated_without_large_matrices(cells, points):
    axis = cell_centres(points)
    step = axis_interpolation(axis, cells)
    grid = torch.randn(3, cells, generator=torch.Generator().manual_seed(0))
    wanted = two_tap(grid, axis[:, None])
    torch.testing.assert_close(step.apply(grid.T[step.cells], 0), wanted, atol=1e-5, rtol=1e-5)
    assert sum(part.numel() for part in astuple(step, recurse=False) if isinstance(part, torch.Tensor)) <= 256 * points


def test_a_lattice_records_no_gradients_and_leaves_the_callers_mode_alone():
    field = make_field(LAYOUTS["plane"], batch=1).map(lambda plane: plane.requires_grad_())
    assert all(weight.requires_grad for weight in field.readout.parameters())
    axes = [cell_centres(n).requires_grad_() for n in (6, 5)]
    evaluator = field.lattice(axes, torch.zeros(1, requires_grad=True), chunk=4)
    folded = evaluator.readout
    tensors = [
        t for block in folded.blocks for t in (block.state, *(term.grid for term in block.terms), *sum(block.rest, ()))
    ]
    assert not any(tensor.requires_grad for tensor in (*tensors, *folded.head))
    for _, values in evaluator.slabs():
        assert not values.requires_grad
        assert torch.is_grad_enabled()


@given(st.lists(st.integers(1, 10**5), min_size=1, max_size=4), st.integers(1, 10**6))
def test_blocks_never_exceed_the_chunk(sizes, chunk):
    steps = tile_steps(sizes, chunk)
    product = 1
    for step, size in zip(steps, sizes, strict=True):
        assert 1 <= step <= size
        product *= step
    assert product <= chunk


def test_blocks_of_two_axes_are_at_most_256_points_wide():
    assert tile_steps((1000, 1000), 4096) == (256, 16)
    assert tile_steps((100, 1000, 7), 4096) == (100, 40, 1)
    assert tile_steps((1000,), 4096) == (1000,)
    assert tile_steps((3, 2), 0) == (1, 1)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(9)), st.integers(1, 9))
def test_values_do_not_depend_on_order_or_company_of_queries(order, chunk):
    field = make_field(LAYOUTS["tri-plane"])
    coords = torch.rand(2, 9, 3, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        whole = field(coords)
        parts = torch.cat([field(part) for part in coords[:, list(order)].split(chunk, dim=1)], dim=1)
    torch.testing.assert_close(parts, whole[:, list(order)], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_gradients_in_coordinates_and_basis_fields_match_finite_differences(layout):
    field = make_field(layout, batch=1)
    field.readout.double()
    basis = [[plane.double().requires_grad_() for plane in planes] for planes in field.basis]
    coords = (torch.rand(1, 3, len(layout.axes), dtype=torch.double) * 1.6 - 0.8).requires_grad_()

    def values(coords, *grids):
        tensors = iter(grids)
        scales = tuple(Planes(next(tensors) for _ in planes) for planes in basis)
        return Field(scales, field.readout, layout)(coords)

    assert torch.autograd.gradcheck(values, (coords, *[g for planes in basis for g in planes]), atol=1e-5)


def test_values_are_constant_beyond_the_outer_cells():
    field = make_field(LAYOUTS["line"])
    edge, beyond = torch.full((2, 1, 1), 1.0), torch.full((2, 1, 1), 1.7)
    torch.testing.assert_close(field(edge), field(beyond))


def test_slices_stack_back_to_the_batch():
    field = make_field(LAYOUTS["mixed"], batch=3)
    again = Field.stack([field[0], field[1:], field[-1]])
    assert len(again) == 4
    coords = torch.rand(4, 5, 4) * 2 - 1
    torch.testing.assert_close(again(coords)[:3], field(coords[:3]))
    torch.testing.assert_close(again(coords)[3:], field[2](coords[3:]))
    assert [len(part) for part in field] == [1, 1, 1]


def test_an_index_counts_from_either_end():
    field, coords = make_field(LAYOUTS["line"], batch=3), torch.full((3, 1, 1), 0.3)
    for index in range(-3, 3):
        part = field[index]
        assert len(part) == 1
        torch.testing.assert_close(part(coords[:1])[0], field(coords)[index])
    for index in (3, -4):
        with pytest.raises(IndexError, match=rf"index {index} is out of range for a batch of 3"):
            field[index]


def test_fields_of_different_models_do_not_stack():
    with pytest.raises(ValueError, match="different models"):
        Field.stack([make_field(LAYOUTS["line"]), make_field(LAYOUTS["line"])])
    with pytest.raises(ValueError, match="empty"):
        Field.stack([])


def test_wrong_coordinates_are_named():
    field = make_field(LAYOUTS["plane"])
    with pytest.raises(ValueError, match=r"\(2, 4, 3\).*\(2, N, 2\), columns x, y"):
        field(torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match=r"one field; got a batch of 2\. Fix: index it"):
        field.lattice([cell_centres(3)])


@pytest.mark.parametrize("trained", [False, True])
def test_field_moves_between_devices_without_its_model(trained):
    field = make_field(LAYOUTS["line"])
    field.readout.requires_grad_(trained)
    before = torch.get_rng_state()
    moved = field.to("meta")
    assert torch.equal(torch.get_rng_state(), before)
    assert moved.basis[0][0].is_meta
    assert all(weight.is_meta and weight.requires_grad is trained for weight in moved.readout.parameters())
    assert not any(weight.is_meta for weight in field.readout.parameters())


def test_a_field_that_need_not_move_keeps_its_readout():
    field = make_field(LAYOUTS["line"])
    assert field.to(torch.device("cpu")).readout is field.readout
    moved = field.to("meta")
    assert moved.to("meta:0").readout is moved.readout


def test_coordinates_come_to_the_field():
    field = make_field(LAYOUTS["plane"]).to("meta")
    assert field(torch.zeros(2, 3, 2), torch.zeros(1)).is_meta
    assert field(torch.zeros(2, 3, 2)).is_meta


def test_fields_that_were_moved_one_by_one_stack():
    field = make_field(LAYOUTS["plane"])
    first, second = (evolve(part, readout=deepcopy(field.readout)) for part in field)
    again, coords = Field.stack([first, second]), torch.zeros(2, 3, 2)
    assert torch.equal(again(coords), field(coords))
    with torch.no_grad():
        second.readout.head.bias += 1
    with pytest.raises(ValueError, match="different models"):
        Field.stack([first, second])
    second.readout.to("meta")
    with pytest.raises(ValueError, match="different models"):
        Field.stack([first, second])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axes": ("x",), "planes": ()}, "at least one plane"),
        ({"axes": ("x", "x"), "planes": (("x",),)}, "duplicate layout names"),
        ({"axes": ("x", "y"), "planes": (("x", "z"),)}, "unknown axes: z"),
        ({"axes": ("x", "y", "z"), "planes": (("x", "y", "z"),)}, "one or two"),
        ({"axes": ("x", "y"), "planes": (("x", "x"),)}, "one or two different axes"),
        ({"axes": ("x", "y"), "planes": (("x", "y"), ())}, "one or two"),
        ({"axes": (), "planes": ()}, "axes"),
        ({"axes": ("x",), "planes": (("x",),), "extra": ("x",)}, "duplicate layout names"),
    ],
)
def test_impossible_layouts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Layout(**arguments)


def test_a_layout_says_where_each_plane_lies_and_what_is_periodic():
    layout = Layout(axes="xyz", planes=("yx", "z"), extra=["a"], periodic=["x"])
    assert (layout.axes, layout.planes, layout.extra) == (("x", "y", "z"), (("y", "x"), ("z",)), ("a",))
    assert layout.columns == ((1, 0), (2,))
    assert layout.wraps == (True, False, False)
    assert layout.plane_wraps == ((False, True), (False,))
    coords = torch.zeros(4, 3)
    assert layout.in_planes(coords) is coords
    assert layout.plane_weights(coords) is None


def test_what_a_field_keeps_is_made_once_and_again_after_a_change():
    field = make_field(LAYOUTS["plane"])[0]
    made = []

    def make(own):
        made.append(own)
        return len(made)

    assert [field.kept("a", make) for _ in range(3)] == [1, 1, 1]
    assert field.kept("b", make) == 2
    assert made == [field, field]
    with torch.no_grad():
        next(field.readout.parameters()).add_(1)  # as a training step does
    assert [field.kept("a", make) for _ in range(2)] == [3, 3]
    field.basis[0][0].mul_(2)
    assert [field.kept("a", make) for _ in range(2)] == [4, 4]
    assert field.map(lambda plane: plane).kept("a", make) == 5
    assert field.kept("a", make) == 4


def test_fields_made_in_inference_mode_keep_things_too():
    with torch.inference_mode():
        field = make_field(LAYOUTS["plane"]).map(lambda plane: plane + 1)[0]
    first = field.kept("a", lambda own: object())
    assert field.kept("a", lambda own: object()) is first

"""Periodic axes and embeddings: a field has no seam, on any path."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.errors import CheckpointError, PluginError
from ddmi_core.fields.coordinates import lattice_points
from ddmi_core.fields.embeddings import circle, hemisphere_weights, hemispheres, sphere
from ddmi_core.fields.layout import Embedding
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig

SPHERE = Embedding(axes=("x", "y", "z"), function="ddmi_core.fields.embeddings:sphere")
PLANES = (("x", "y"), ("y", "z"), ("x", "z"))
PERIODIC = {
    "line": Layout(axes=("t",), planes=(("t",),), periodic=("t",)),
    "first": Layout(axes=("x", "y"), planes=(("x", "y"), ("x",)), periodic=("x",)),
    "second": Layout(axes=("x", "y"), planes=(("x", "y"), ("y",)), periodic=("y",)),
    "turned": Layout(axes=("x", "y"), planes=(("y", "x"), ("x",)), periodic=("x",)),
    "torus": Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("z", "y"), ("z", "x")), periodic=("x", "z")),
}
EMBEDDED = {
    "sphere": Layout(axes=("lon", "lat"), planes=PLANES, embedding=SPHERE),
    "globe in time": Layout(
        axes=("lon", "lat", "t"),
        planes=(("x", "y"), ("y", "z"), ("z", "x"), ("t",)),
        extra=("footprint",),
        periodic=("t",),
        embedding=Embedding(axes=("x", "y", "z", "t"), function=SPHERE.function),
    ),
    "ring": Layout(
        axes=("angle", "height"),
        planes=(("x", "y"), ("height", "y")),
        embedding=Embedding(axes=("x", "y", "height"), function="ddmi_core.fields.embeddings:circle"),
    ),
    "hemispheres": Layout(
        axes=("lon", "lat"),
        planes=(("u", "v"), ("b", "a")),
        embedding=Embedding(
            axes=("u", "v", "a", "b"),
            function="ddmi_core.fields.embeddings:hemispheres",
            weights="ddmi_core.fields.embeddings:hemisphere_weights",
        ),
    ),
}
GLOBES = ("sphere", "hemispheres")
periodic = pytest.mark.parametrize("layout", PERIODIC.values(), ids=PERIODIC)
embedded = pytest.mark.parametrize("layout", EMBEDDED.values(), ids=EMBEDDED)
all_layouts = pytest.mark.parametrize("layout", (PERIODIC | EMBEDDED).values(), ids=PERIODIC | EMBEDDED)


def make_field(layout: Layout, cells: tuple[int, ...] = (3, 1, 4, 5), batch: int = 1) -> Field:
    """A random field of two scales; the axes of the planes have `cells`, and one more in the finer scale."""
    generator = torch.Generator().manual_seed(0)

    def grid(plane: tuple[str, ...], channels: int, more: int) -> torch.Tensor:
        sizes = [cells[layout.plane_axes.index(axis)] + more for axis in reversed(plane)]
        return torch.randn(batch, channels, *sizes, generator=generator)

    scales = enumerate((4, 3))
    basis = tuple(Planes(grid(plane, channels, more) for plane in layout.planes) for more, channels in scales)
    torch.manual_seed(0)
    readout = CoarseToFineReadout((4, 3), len(layout.extra), 2, ReadoutConfig(width=8, activation="silu"))
    return Field(basis, readout, layout)


def points(layout: Layout, n: int = 40) -> torch.Tensor:
    """Points also beyond [-1, 1]."""
    return torch.rand(n, len(layout.axes), generator=torch.Generator().manual_seed(1)) * 5 - 2.5


def axes_of(layout: Layout) -> list[torch.Tensor]:
    """Increasing coordinates along each axis, also beyond [-1, 1], and irregular."""
    generator = torch.Generator().manual_seed(2)
    return [(torch.rand(n, generator=generator) * 4 - 2).sort().values for n in (6, 5, 4)[: len(layout.axes)]]


@torch.no_grad()
def on_all_paths(field: Field, axes: list[torch.Tensor], chunk: int = 7) -> dict[str, torch.Tensor]:
    """Values `(N, V)` at the points of a lattice, on each path."""
    coords = lattice_points(axes)
    numbers = [torch.arange(len(axis)) for axis in axes]
    slabs = [values for _, values in field.lattice(axes, chunk=chunk).slabs()]
    return {
        "plain": field(coords[None])[0],
        "points": field.points(chunk=chunk).at(coords),
        "slopes": field.points(chunk=chunk).slopes(coords)[0],
        "lattice": torch.cat(slabs).reshape(len(coords), -1),
        "subset": field.lattice_subset(axes, chunk=chunk).at(lattice_points(numbers).t()).t(),
    }


@all_layouts
@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_all_paths_agree(layout, chunk):
    found = on_all_paths(make_field(layout), axes_of(layout), chunk)
    for path, values in found.items():
        torch.testing.assert_close(values, found["plain"], atol=1e-5, rtol=1e-5, msg=path)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PERIODIC)), st.lists(st.integers(1, 7), min_size=3, max_size=3), st.integers(-9, 9))
def test_rolled_planes_are_a_shifted_field(name, cells, steps):
    layout = PERIODIC[name]
    field = make_field(layout, tuple(cells))
    axis = layout.periodic[0]
    column, size = layout.axes.index(axis), cells[layout.axes.index(axis)]
    coarse = field.basis[0]

    def rolled(plane: tuple[str, ...], grid: torch.Tensor) -> torch.Tensor:
        return grid.roll(steps, dims=-1 - plane.index(axis)) if axis in plane else grid

    # Both scales need the same number of cells along the axis.
    basis = (coarse, coarse.map(lambda grid: grid[:, :3].flip(1)))
    moved = tuple(Planes(rolled(p, g) for p, g in zip(layout.planes, scale, strict=True)) for scale in basis)
    axes = axes_of(layout)
    shifted = [a + 2 * steps / size if number == column else a for number, a in enumerate(axes)]
    before = on_all_paths(Field(basis, field.readout, layout), axes)
    after = on_all_paths(Field(moved, field.readout, layout), shifted)
    for path in before:
        torch.testing.assert_close(after[path], before[path], atol=1e-4, rtol=1e-4, msg=path)


@periodic
def test_values_and_slopes_repeat_and_meet_at_the_ends(layout):
    field, coords = make_field(layout), points(layout)
    for axis in layout.periodic:
        column = layout.axes.index(axis)
        step = torch.zeros(len(layout.axes)).index_fill(0, torch.tensor([column]), 2.0)
        for before, after in zip(field.points().slopes(coords), field.points().slopes(coords + step), strict=True):
            torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
        low, high = coords.clone(), coords.clone()
        low[:, column], high[:, column] = -1 + 1e-6, 1 - 1e-6
        torch.testing.assert_close(field(low[None]), field(high[None]), atol=1e-4, rtol=1e-4)


def test_halfway_between_the_last_cell_and_the_first_is_their_mean():
    layout = PERIODIC["line"]
    readout = CoarseToFineReadout((1,), extra=0, values=1, config=ReadoutConfig(width=1, activation="relu"))
    with torch.no_grad():
        for weight in readout.parameters():
            weight.fill_(1.0 if weight.ndim == 2 else 0.0)
    field = Field((Planes([torch.tensor([[[1.0, 9.0, 5.0]]])]),), readout, layout)
    for found in on_all_paths(field, [torch.tensor([-1.0, 1.0, 3.0, 0.0])]).values():
        torch.testing.assert_close(found[:, 0], torch.tensor([3.0, 3.0, 3.0, 9.0]))


@embedded
def test_an_embedded_field_is_the_field_of_its_planes_at_mapped_points(layout):
    field, coords = make_field(layout), points(layout)
    inner = tuple(axis for axis in layout.periodic if axis in layout.plane_axes)
    plain = Field(field.basis, field.readout, Layout(layout.plane_axes, layout.planes, layout.extra, inner))
    if (weights := layout.plane_weights(coords)) is None:
        torch.testing.assert_close(field(coords[None]), plain(layout.in_planes(coords)[None]), atol=1e-6, rtol=1e-6)
        return
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(coords)))
    for number in range(len(layout.planes)):
        alone = (weights[:, number] == 1).nonzero()[:, 0]
        assert len(alone)
        basis = tuple(Planes(p * (i == number) for i, p in enumerate(planes)) for planes in plain.basis)
        only = Field(basis, plain.readout, plain.layout)
        found, expected = field(coords[None, alone]), only(layout.in_planes(coords)[None, alone])
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@all_layouts
def test_gradients_match_finite_differences(layout):
    field = make_field(layout, batch=2)
    field.readout.double()
    basis = [[plane.double().requires_grad_() for plane in planes] for planes in field.basis]
    generator = torch.Generator().manual_seed(3)
    coords = torch.rand(2, 3, len(layout.axes), dtype=torch.double, generator=generator) * 3.2 - 1.6

    def values(coords, *grids):
        tensors = iter(grids)
        scales = tuple(Planes(next(tensors) for _ in planes) for planes in basis)
        return Field(scales, field.readout, layout)(coords)

    grids = [grid for planes in basis for grid in planes]
    assert torch.autograd.gradcheck(values, (coords.requires_grad_(), *grids), atol=1e-5)


@all_layouts
def test_slopes_are_gradients_in_the_domains_own_coordinates(layout):
    field, coords = make_field(layout), points(layout).requires_grad_()
    plain = field(coords[None])[0]
    gradients = [torch.autograd.grad(plain[:, v].sum(), coords, retain_graph=True)[0] for v in range(2)]
    _, slopes = field.points(chunk=17).slopes(coords)
    torch.testing.assert_close(slopes, torch.stack(gradients, dim=1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", GLOBES)
def test_a_field_on_the_sphere_has_one_value_at_each_pole_and_no_seam(name):
    field = make_field(EMBEDDED[name], (8, 7, 6, 5))
    around = torch.linspace(-1, 1, 9)
    for latitude in (-1.0, 1.0):
        pole = field.points().at(torch.stack([around, torch.full_like(around, latitude)], dim=1))
        torch.testing.assert_close(pole, pole[:1].expand_as(pole), atol=1e-5, rtol=1e-5)
    west, east = (field.points().at(torch.stack([torch.full_like(around, x), around], dim=1)) for x in (-1.0, 1.0))
    torch.testing.assert_close(west, east, atol=1e-5, rtol=1e-5)
    assert field.points().at(torch.stack([around, torch.zeros(9)], dim=1)).std(dim=0).min() > 1e-3


@pytest.mark.parametrize("name", GLOBES)
def test_a_field_on_the_sphere_is_smooth_across_the_equator_and_the_rims_of_the_maps(name):
    field = make_field(EMBEDDED[name], (8, 7, 6, 5))
    coords = torch.stack([torch.full((20001,), 0.3), torch.linspace(-1, 1, 20001)], dim=1)
    values = field.points().at(coords)
    assert values.diff(dim=0).abs().max() < 0.01


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_each_map_of_a_hemisphere_keeps_distances_from_its_pole(longitude, latitude):
    coords = torch.tensor([longitude / 180, latitude / 90, 0.3], dtype=torch.double)
    u, v, a, b, t = hemispheres(coords).tolist()
    assert math.isclose(math.hypot(u, v), min(1, (90 - latitude) / 112.5), abs_tol=1e-6)
    assert math.isclose(math.hypot(a, b), min(1, (90 + latitude) / 112.5), abs_tol=1e-6)
    north, south = hemisphere_weights(coords).tolist()
    assert north >= 0 <= south
    assert math.isclose(north + south, 1)
    if math.hypot(u, v) >= 1:
        assert north < 1e-6  # what lies beyond a map is not taken from it
    if math.hypot(a, b) >= 1:
        assert south < 1e-6
    assert t == 0.3


def test_weights_for_another_number_of_planes_are_refused():
    embedding = EMBEDDED["hemispheres"].embedding
    layout = Layout(axes=("lon", "lat"), planes=(("u", "v"), ("a", "b"), ("u", "a")), embedding=embedding)
    with pytest.raises(PluginError, match=r"weights .*hemisphere_weights.* must return 3 columns: u v, a b, u a"):
        layout.plane_weights(torch.zeros(5, 2))


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_the_sphere_has_radius_one_and_keeps_angles(longitude, latitude):
    x, y, z, t = sphere(torch.tensor([longitude / 180, latitude / 90, 0.3], dtype=torch.double)).tolist()
    assert math.isclose(x * x + y * y + z * z, 1, abs_tol=1e-9)
    assert math.isclose(math.degrees(math.asin(max(-1, min(1, z)))), latitude, abs_tol=1e-5)
    if abs(latitude) < 89:
        difference = math.degrees(math.atan2(y, x)) - longitude
        assert math.isclose((difference + 180) % 360, 180, abs_tol=1e-5)
    assert t == 0.3


@given(st.floats(-180, 180))
def test_the_circle_has_radius_one_and_keeps_angles(angle):
    x, y, height = circle(torch.tensor([angle / 180, -0.2], dtype=torch.double)).tolist()
    assert (x, y) == pytest.approx((math.cos(math.radians(angle)), math.sin(math.radians(angle))), abs=1e-9)
    assert height == -0.2


def test_an_embedded_lattice_is_evaluated_in_chunks():
    field = make_field(EMBEDDED["globe in time"])
    lattice = field.lattice([torch.linspace(-1, 1, n) for n in (9, 5, 3)], torch.ones(1), chunk=20)
    sizes, evaluate = [], lattice.points._evaluate
    lattice.points._evaluate = lambda coords: (sizes.append(len(coords)), evaluate(coords))[1]
    slabs = list(lattice.slabs())
    assert [(start, values.shape) for start, values in slabs] == [(n, (1, 5, 9, 2)) for n in range(3)]
    assert max(sizes) == 20


def test_an_embedded_lattice_refuses_what_does_not_fit():
    field = make_field(EMBEDDED["sphere"])
    axes = [torch.linspace(-1, 1, n) for n in (4, 3)]
    with pytest.raises(ValueError, match=r"indices have shape \(3, 2\); this lattice takes \(2, N\)"):
        field.lattice_subset(axes).at(torch.zeros(3, 2, dtype=torch.long))
    with pytest.raises(IndexError):
        field.lattice_subset(axes).at(torch.full((2, 1), 4))
    with pytest.raises(ValueError, match="a lattice of this field has 2 axes, lon, lat; got 3"):
        field.lattice([*axes, axes[0]])
    assert field.lattice_subset(axes).at(torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axes": ("x",), "planes": (("x",),), "periodic": ("y",)}, r"periodic has unknown axes: y\. Valid: x"),
        (
            {"axes": ("lon", "lat"), "planes": (("lon", "lat"),), "embedding": SPHERE},
            "unknown axes: lat, lon. Valid: x",
        ),
    ],
)
def test_impossible_spaces_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Layout(**arguments)


def test_an_embedding_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="function"):
        Embedding(axes=("x",), function="sphere")
    for function in ("no_such_package.maps:sphere", "ddmi_core.fields.embeddings:cube"):
        with pytest.raises(PluginError, match=f"{function}' cannot be imported"):
            Embedding(axes=("x", "y", "z"), function=function)(torch.zeros(5, 2))
    with pytest.raises(PluginError, match=r"must return 2 columns: x, y"):
        Embedding(axes=("x", "y"), function=SPHERE.function)(torch.zeros(5, 2))


@all_layouts
def test_stored_fields_keep_their_space(layout, tmp_path):
    field = make_field(layout, batch=2)
    field.save(tmp_path / "field.safetensors")
    again = Field.load(tmp_path / "field.safetensors")
    coords = points(layout).expand(2, -1, -1)
    assert again.layout == layout
    assert torch.equal(again(coords), field(coords))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("antigravity:sphere", "'antigravity', which is not imported. Fix: install the plugin that contains it"),
        ("ddmi_core.fields.embeddings:cube", "field.safetensors cannot be evaluated: .*cube' cannot be imported"),
        ("torch:sin", "must return 3 columns"),
        ("sphere", "not a stored field, or is damaged"),
    ],
)
def test_stored_embeddings_that_cannot_be_used_are_refused(function, message, tmp_path):
    path = tmp_path / "field.safetensors"
    make_field(EMBEDDED["sphere"]).save(path)
    path.write_bytes(renamed(path.read_bytes(), SPHERE.function, function))
    with pytest.raises(CheckpointError, match=message):
        Field.load(path)


def renamed(data: bytes, old: str, new: str) -> bytes:
    """A safetensors file with a word of its header replaced."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    record = header["__metadata__"]["ddmi.field"]
    assert old in record
    header["__metadata__"]["ddmi.field"] = record.replace(old, new)
    changed = json.dumps(header).encode()
    return len(changed).to_bytes(8, "little") + changed + data[8 + length :]


def test_a_format_that_knows_no_periodic_axes_is_kept_for_fields_without_them(tmp_path):
    for layout, number in ((Layout(axes=("t",), planes=(("t",),)), 1), (PERIODIC["line"], 2)):
        path = tmp_path / f"{number}.safetensors"
        make_field(layout).save(path)
        data = path.read_bytes()
        record = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["ddmi.field"])
        assert record["format"] == number
        assert ("periodic" in record["layout"]) is (number == 2)

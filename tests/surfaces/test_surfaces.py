"""Surface extraction: closed meshes of the right topology, equal to those of a dense lattice and of scikit-image."""

from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest
import torch
import trimesh
from skimage.measure import marching_cubes

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.errors import RequestError
from ddmi_core.fields.config import ReadoutConfig
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.readout import CoarseToFineReadout
from ddmi_core.surfaces import marching_cubes as tables
from ddmi_core.surfaces.closed_surface import extract_surface

LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))


def ball(points, radius=0.6):
    return radius - points.norm(dim=1)


def torus(points):
    ring = points[:, [0, 2]].norm(dim=1) - 0.55
    return 0.2 - torch.stack([ring, points[:, 1]], dim=1).norm(dim=1)


def box(points, half=(0.503, 0.31, 0.71), middle=(0.0, 0.0, 0.0)):
    beyond = (points - torch.tensor(middle)).abs() - torch.tensor(half)
    return -(beyond.clamp(min=0).norm(dim=1) + beyond.amax(dim=1).clamp(max=0))


def sharp(distance):
    """What training makes of a distance: a logit that grows fast near the surface and levels off."""
    return lambda points: 12 * torch.tanh(3 * distance(points))


SOLIDS = {"ball": (ball, 2), "torus": (torus, 0), "box": (box, 2)}
solids = pytest.mark.parametrize(("solid", "euler"), SOLIDS.values(), ids=SOLIDS)


def random_field(seed):
    """A field with smooth basis fields and a surface in most places, cut off at the border."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    basis = tuple(
        Planes(size * torch.randn(1, 8, cells, cells, generator=generator) for _ in range(3))
        for cells, size in ((4, 1.0), (8, 0.5))
    )
    return Field(basis, CoarseToFineReadout((8, 8), 0, 1, ReadoutConfig(width=16)), LAYOUT)


def checked(mesh):
    """The mesh as trimesh sees it: closed, of consistent winding, positive volume, unit normals, no vertex unused."""
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert mesh.volume > 0
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    assert np.array_equal(np.unique(mesh.faces), np.arange(len(mesh.vertices)))
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    return solid


@solids
@pytest.mark.parametrize("shape", [lambda distance: distance, sharp], ids=["distance", "logit"])
def test_surfaces_are_closed_and_where_the_function_is_zero(solid, euler, shape):
    n = 128
    mesh = extract_surface(shape(solid), (n, n, n))
    assert checked(mesh).euler_number == euler
    points, normals = mesh.sample_points(20000, torch.Generator().manual_seed(0))
    coords = torch.from_numpy(points).requires_grad_()
    distance = solid(coords)
    cells = distance.detach().numpy() * n / 2
    assert np.abs(cells).mean() < 0.1
    assert abs(cells.mean()) < 0.02
    (slopes,) = torch.autograd.grad(distance.sum(), coords)
    assert (-(slopes.numpy() * normals).sum(axis=1)).mean() > 0.98
    at_vertices = solid(torch.from_numpy(mesh.vertices)).numpy() * n / 2
    assert np.abs(at_vertices).mean() < 0.002


def test_normals_of_vertices_point_against_the_slopes():
    mesh = extract_surface(ball, (32, 32, 32))
    np.testing.assert_allclose(mesh.normals, mesh.vertices / 0.6, atol=1e-3)
    rough = extract_surface(ball, (32, 32, 32), normals=False)
    np.testing.assert_allclose(rough.normals, mesh.normals, atol=0.2)


def test_the_search_along_edges_moves_vertices_onto_the_surface():
    curved = sharp(ball)
    errors = [
        np.abs(np.linalg.norm(extract_surface(curved, (16, 16, 16), steps=steps).vertices, axis=1) - 0.6).mean()
        for steps in (0, 1, 3)
    ]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_the_slope_of_the_last_evaluation_moves_vertices_closer():
    field, n = random_field(0), 32
    with_slope, without = (
        extract_surface(field, (n, n, n), steps=2, normals=normals).vertices for normals in (True, False)
    )
    distance = [field.points().at(torch.from_numpy(part)).abs().mean() for part in (with_slope, without)]
    assert distance[0] < distance[1]


def test_vertices_and_normals_take_two_evaluations():
    calls = []

    def counted(points):
        calls.append(len(points))
        return ball(points)

    sizes = {}
    for steps in (0, 1, 2, None):
        calls.clear()
        sizes[steps] = len(extract_surface(counted, (16, 16, 16), steps=steps).vertices), sum(calls)
    vertices, lattice = sizes[0][0], sizes[0][1] - sizes[0][0]
    assert [sizes[steps][1] - lattice for steps in (1, 2, None)] == [vertices, 2 * vertices, 2 * vertices]


def dense(function, n):
    return extract_surface(function, (n, n, n), step=2, margin=float("inf"))


@pytest.mark.parametrize("n", [33, 64, 96])
@solids
def test_refinement_finds_what_all_points_of_the_lattice_show(solid, euler, n):
    assert_same(extract_surface(sharp(solid), (n, n, n)), dense(sharp(solid), n))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [32, 64])
def test_refinement_of_random_fields_finds_what_all_points_show(seed, n):
    assert_same(extract_surface(random_field(seed), (n, n, n)), dense(random_field(seed), n))


def assert_same(first, second):
    assert np.array_equal(first.faces, second.faces)
    np.testing.assert_allclose(first.vertices, second.vertices, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_vertices_are_those_of_an_independent_implementation(seed):
    """scikit-image adds points in the middle of some cells; all others are equal."""
    field, n = random_field(seed), 32
    with torch.no_grad():
        values = torch.cat([slab[..., 0] for _, slab in field.lattice([cell_centres(n)] * 3).slabs()]).numpy()
    padded = np.pad(values, 1, mode="edge")
    outside = np.pad(np.zeros(values.shape, dtype=bool), 1, constant_values=True)
    vertices, faces, _, _ = marching_cubes(np.where(outside, -np.abs(padded), padded), 0.0)
    theirs = vertices[:, ::-1] * 2 / n - 1 - 1 / n
    mesh = extract_surface(field, (n, n, n), steps=0)
    nearest, _ = trimesh.proximity.cKDTree(mesh.vertices).query(theirs)
    assert (nearest > 2e-3 / n).sum() <= 4
    assert abs(len(theirs) - len(mesh.vertices)) <= 4
    volume = trimesh.Trimesh(theirs, faces, process=False).volume
    assert abs(mesh.volume / abs(volume) - 1) < 0.005
    checked(mesh)


def test_any_values_give_a_closed_mesh():
    """Noise has all configurations of cells, faces that need their saddle, and middles of loops."""
    n = 24
    noise = torch.randn(n, n, n, generator=torch.Generator().manual_seed(0))

    def look_up(points):
        x, y, z = ((points + 1) * n / 2 - 0.5).round().long().unbind(dim=1)
        return noise[x, y, z] + 0 * points.sum(dim=1)

    mesh = extract_surface(look_up, (n, n, n), step=2, margin=float("inf"), steps=0, normals=False)
    checked(mesh)
    assert len(mesh.faces) > 2 * (n - 1) ** 3


def test_faces_with_alternating_signs_join_what_the_bilinear_interpolant_joins():
    corners = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    found = tables.configurations(corners)
    assert np.array_equal(found & 255, ((corners > 0) * 2 ** np.arange(8)).sum(axis=1))
    steps = np.linspace(0, 1, 201)
    seen = 0
    for values, number in zip(corners, found, strict=True):
        for face, places in enumerate(tables.FACES):
            a, b, c, d = values[list(places)]
            if not (a > 0) == (c > 0) != (b > 0) == (d > 0):
                assert not number >> 8 + face & 1
                continue
            # At the saddle, the interpolant is constant along both directions.
            u, v = (a - d) / (a - b + c - d), (a - b) / (a - b + c - d)
            along = a * (1 - steps) * (1 - v) + b * steps * (1 - v) + c * steps * v + d * (1 - steps) * v
            assert np.ptp(along) < 1e-4 * np.abs(values).max() / abs(a - b + c - d) + 1e-4
            saddle = a * (1 - u) * (1 - v) + b * u * (1 - v) + c * u * v + d * (1 - u) * v
            assert number >> 8 + face & 1 == (saddle > 0)
            seen += 1
    assert seen > 500


def test_all_loops_of_all_configurations_are_cut_into_triangles_without_diagonals_in_faces():
    known = tables.table()
    assert (known.row >= 0).sum() == 656
    assert known.count.max() <= tables.MOST_TRIANGLES
    assert known.row[0] >= 0
    assert known.count[known.row[0]] == known.count[known.row[255]] == 0
    for row in range(len(known.count)):
        sides = {}
        for triangle in known.edges[row, : known.count[row]].tolist():
            for pair in ((triangle[i], triangle[(i + 1) % 3]) for i in range(3)):
                sides[pair] = sides.get(pair, 0) + 1
        assert max(sides.values(), default=1) == 1
        # A side without a twin within the cell is on a face of it.
        for a, b in sides:
            if (b, a) not in sides:
                assert tables._share_a_face(a, b)
            elif tables.MIDDLE not in (a, b):
                assert not tables._share_a_face(a, b)


def test_solids_are_cut_off_at_the_border():
    mesh = extract_surface(lambda points: 1.3 - points.norm(dim=1), (32, 32, 32))
    assert checked(mesh).euler_number == 2
    assert np.abs(mesh.vertices).max() == pytest.approx(1, abs=1e-6)
    top = (mesh.vertices[:, 1] > 1 - 1e-6) & (np.linalg.norm(mesh.vertices[:, [0, 2]], axis=1) < 0.75)
    assert top.sum() > 100
    np.testing.assert_allclose(mesh.normals[top], [[0, 1, 0]] * top.sum(), atol=1e-5)


def test_functions_of_one_sign_give_nothing_or_the_whole_cube():
    nothing = extract_surface(lambda points: points.sum(dim=1) * 0 - 1, (16, 16, 16))
    assert nothing.vertices.shape == nothing.faces.shape == nothing.normals.shape == (0, 3)
    assert nothing.area == nothing.volume == 0
    everything = extract_surface(lambda points: points.sum(dim=1) * 0 + 1, (16, 16, 16))
    assert checked(everything).euler_number == 2
    assert everything.volume == pytest.approx(8, rel=0.02)
    np.testing.assert_allclose(np.abs(everything.vertices).max(axis=0), 1)


def test_vertices_never_coincide_where_lattice_points_are_on_the_surface():
    def octahedron(points):
        eighteenths = (points * 18).round()  # odd numbers at lattice points, on which the values are exact
        return 27 - eighteenths.abs().sum(dim=1) + 0 * points.sum(dim=1)

    mesh = extract_surface(octahedron, (18, 18, 18), steps=0, normals=False)
    assert checked(mesh).euler_number == 2
    assert len(np.unique(mesh.vertices, axis=0)) == len(mesh.vertices)


def test_thin_and_separate_parts_are_found():
    plate = lambda p: box(p, (0.8, 0.012, 0.8))  # noqa: E731
    n = 96
    assert checked(extract_surface(plate, (n, n, n))).euler_number == 2
    middles = list(product((-0.6, 0.6), repeat=3))
    posts = lambda p: torch.stack([box(p, (0.05, 0.25, 0.05), m) for m in middles]).amax(dim=0)  # noqa: E731
    found = checked(extract_surface(posts, (n, n, n)))
    assert found.body_count == 8
    assert found.euler_number == 16


def test_a_surface_is_followed_where_the_coarse_lattice_sees_nothing():
    """A wire much thinner than the coarse lattice, with values that are flat away from it, hangs at a ball."""
    n = 128

    def wired(points):
        wire = box(points, (0.013, 0.9, 0.013), (0.031, 0.0, 0.031))
        return torch.maximum(ball(points, 0.3), wire).clamp(-0.02, 0.02)

    step = 8
    mesh = extract_surface(wired, (n, n, n), step=step)
    assert mesh.vertices[:, 1].max() > 0.88
    assert_same(mesh, dense(wired, n))


def test_lattices_may_differ_along_the_axes():
    mesh = extract_surface(lambda p: ball(p) + 0 * p[:, 0], (24, 40, 64))
    assert checked(mesh).euler_number == 2
    np.testing.assert_allclose(np.abs(mesh.vertices).max(axis=0), 0.6, atol=0.01)


def test_few_points_of_a_large_lattice_are_evaluated():
    count = 0

    def counted(points):
        nonlocal count
        count += len(points)
        return ball(points)

    n = 256
    extract_surface(counted, (n, n, n), steps=0, normals=False)
    assert count < 0.04 * n**3


def test_memory_grows_with_the_surface_and_not_with_the_lattice():
    def peak(n):
        tracemalloc.start()
        extract_surface(ball, (n, n, n), steps=0, normals=False)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(16)
    assert peak(256) < 5 * peak(128)  # four times the surface, eight times the lattice


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(RequestError, match="not finite"):
        extract_surface(lambda points: points.sum(dim=1) / 0, (16, 16, 16))


def test_points_of_a_mesh_are_spread_evenly_and_repeat():
    mesh = extract_surface(box, (48, 48, 48))
    points, normals = mesh.sample_points(6000, torch.Generator().manual_seed(0))
    again, _ = mesh.sample_points(6000, torch.Generator().manual_seed(0))
    assert np.array_equal(points, again)
    half = np.array([0.503, 0.31, 0.71])
    areas = np.array([half[1] * half[2], half[0] * half[2], half[0] * half[1]])
    on_face = np.abs(np.abs(points) - half) < 0.02
    shares = (on_face & (on_face.sum(axis=1, keepdims=True) == 1)).mean(axis=0)
    np.testing.assert_allclose(shares / shares.sum(), areas / areas.sum(), atol=0.02)
    flat = on_face[:, 1] & (np.abs(points[:, [0, 2]]) < half[[0, 2]] - 0.06).all(axis=1)
    np.testing.assert_allclose(normals[flat], np.sign(points[flat][:, [1]]) * [[0, 1, 0]], atol=1e-3)
    with pytest.raises(ValueError, match="without faces"):
        extract_surface(lambda p: -1 - p.norm(dim=1), (8, 8, 8)).sample_points(3, torch.Generator())

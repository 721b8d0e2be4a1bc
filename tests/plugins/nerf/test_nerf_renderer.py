"""Rendering of fields: colours along rays, views by cameras, and normals, against the plain path and formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from attrs import evolve
from nerf_scenes import decibels, solids

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.errors import RequestError
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.rendering.occupancy_grid import OccupancyGrid
from ddmi_nerf.rendering.radiance import FieldRadiance, activated, density
from ddmi_nerf.rendering.rays import RayQueries, crossing, entering
from ddmi_nerf.rendering.renderer import NerfRenderer, ground_truth
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.signal import ViewSignal

LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))
WHITE = torch.ones(3)


def fields(batch=1, seed=0, bias=1.0):
    generator = torch.Generator().manual_seed(seed)
    basis = tuple(Planes(torch.randn(batch, 6, n, n, generator=generator) for _ in range(3)) for n in (6, 12))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        readout = CoarseToFineReadout((6, 6), 0, 4, ReadoutConfig(width=16))
    with torch.no_grad():
        readout.head.bias[0] = bias
        readout.head.weight *= 2
    return Field(basis, readout, LAYOUT)


def asked(camera, batch=1, **others):
    origins, directions = camera.rays()
    places, hit = entering(origins, directions)
    coords, extra = (part[hit].expand(batch, -1, 3) for part in (places, directions))
    return RayQueries(coords=coords, extra=extra, targets=torch.zeros_like(coords), **others), hit


@pytest.fixture(scope="module")
def camera():
    return Camera.orbit(20, 30, 2.8, width=14, height=12)


def test_observed_colours_are_those_of_a_view(camera):
    field = fields()
    renderer = NerfRenderer((12, 14), samples=600, step=0.004)
    queries, hit = asked(camera)
    with torch.no_grad():
        observed = renderer.observe(field, queries)[0]
    shown = torch.from_numpy(renderer.render(field, camera).colour).view(-1, 3)[hit]
    assert decibels(observed, shown) > 46
    assert observed.std() > 0.1


def test_observing_draws_no_random_numbers_and_rays_are_independent(camera):
    field, renderer = fields(2), NerfRenderer((12, 14), samples=24, fine=8)
    queries, _ = asked(camera, batch=2)
    with torch.no_grad():
        first, second = renderer.observe(field, queries), renderer.observe(field, queries)
        part = renderer.observe(
            field, evolve(queries, coords=queries.coords[:, 5:9], extra=queries.extra[:, 5:9], targets=first[:, 5:9])
        )
        alone = renderer.observe(field[1], evolve(queries, coords=queries.coords[:1], extra=queries.extra[:1]))
    assert torch.equal(first, second)
    torch.testing.assert_close(part, first[:, 5:9], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone, first[1:], rtol=0, atol=1e-5)
    assert (first[0] - first[1]).abs().max() > 0.1


def test_gradients_reach_basis_fields_and_readout(camera):
    field = fields()
    basis = tuple(Planes(plane.clone().requires_grad_() for plane in planes) for planes in field.basis)
    field = evolve(field, basis=basis)
    queries, _ = asked(camera)
    NerfRenderer((12, 14), samples=24, fine=8).observe(field, queries).square().sum().backward()
    found = [plane.grad for planes in basis for plane in planes]
    found += [weight.grad for weight in field.readout.parameters()]
    assert all(torch.isfinite(gradient).all() and gradient.abs().max() > 0 for gradient in found)


def test_jitter_moves_the_samples(camera):
    field, renderer = fields(), NerfRenderer((12, 14), samples=12)
    queries, _ = asked(camera)
    with torch.no_grad():
        middle = renderer.observe(field, queries)
        same = renderer.observe(field, evolve(queries, jitter=torch.full(queries.coords.shape[:2], 0.5)))
        moved = renderer.observe(field, evolve(queries, jitter=torch.full(queries.coords.shape[:2], 0.9)))
    assert torch.equal(middle, same)
    assert (moved - middle).abs().max() > 1e-3


def test_finer_samples_come_nearer_to_the_truth(camera):
    field = fields(bias=-1.0)
    queries, _ = asked(camera)
    with torch.no_grad():
        truth = NerfRenderer((12, 14), samples=2000).observe(field, queries)
        coarse = NerfRenderer((12, 14), samples=16).observe(field, queries)
        fine = NerfRenderer((12, 14), samples=16, fine=48).observe(field, queries)
    assert decibels(fine, truth) > decibels(coarse, truth) + 6


def test_samples_where_the_object_is_come_nearer_to_the_truth(camera):
    field = fields(bias=-1.0)
    queries, _ = asked(camera)
    # Known of the field is no box, but all that counts for this is that what is said is used.
    near, far = crossing(queries.coords, queries.extra)
    told = evolve(queries, close=torch.stack([near, far], dim=-1))
    wrong = evolve(queries, close=torch.stack([far - 1e-3, far], dim=-1))
    with torch.no_grad():
        truth = NerfRenderer((12, 14), samples=2000).observe(field, queries)
        unknown, known, missed = (
            NerfRenderer((12, 14), samples=8, close=60).observe(field, some) for some in (queries, told, wrong)
        )
    torch.testing.assert_close(unknown, known, rtol=0, atol=1e-5)
    assert decibels(known, truth) > decibels(missed, truth) + 6


def test_the_background_of_queries_is_behind_the_field(camera):
    field = fields(bias=-4.0)
    white, _ = asked(camera)
    black = evolve(white, background=-torch.ones_like(white.coords))
    renderer = NerfRenderer((12, 14), samples=64)
    with torch.no_grad():
        apart = renderer.observe(field, white) - renderer.observe(field, black)
    assert apart.min() >= 0
    assert apart.max() > 0.5
    torch.testing.assert_close(apart[..., 0], apart[..., 2])  # twice the transmittance


def test_an_empty_field_shows_the_background(camera):
    field = fields()
    with torch.no_grad():
        field.readout.head.weight[0] = 0
        field.readout.head.bias[0] = -30
    picture = NerfRenderer((12, 14), background=(0.5, 0.0, -0.5)).render(field, camera)
    assert abs(picture.colour - [0.5, 0.0, -0.5]).max() < 1e-6
    assert picture.opacity.max() < 1e-6
    assert not picture.normals.any()


def test_fast_and_plain_evaluation_are_equal():
    field = fields()
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1
    fast, shown = FieldRadiance(field)(points)
    with torch.no_grad():
        plain, colour = activated(field(points[None])[0])
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shown, colour, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("view", "size"), [(None, (12, 14)), (9, (9, 9)), ((5, 8), (5, 8))])
def test_views_have_the_size_asked_for(view, size):
    assert NerfRenderer((12, 14), step=0.1).render(fields(), view).size == size


@pytest.mark.parametrize("view", [0, (3, 4, 5), "12", 1.5, True, 10**6])
def test_other_views_are_refused(view):
    with pytest.raises(RequestError, match="size"):
        NerfRenderer((12, 14)).render(fields(), view)


def test_batches_are_refused():
    with pytest.raises(ValueError, match="batch of one"):
        NerfRenderer((12, 14)).render(fields(2))


def test_fields_that_are_no_numbers_are_refused(camera):
    with pytest.raises(RequestError, match="not finite"):
        NerfRenderer((12, 14)).render(fields().map(lambda plane: plane * torch.nan), camera)


def test_views_do_not_depend_on_bands(camera, monkeypatch):
    scene = Scene.of(solids, WHITE)
    whole = scene.view(camera)
    monkeypatch.setattr("ddmi_nerf.rendering.scene.BAND", 3 * camera.width)
    parts = scene.view(camera)
    torch.testing.assert_close(parts.colour, whole.colour, rtol=0, atol=1e-5)
    torch.testing.assert_close(parts.normals, whole.normals, rtol=0, atol=1e-5)


def ball(points):
    """A ball of radius 1/2, soft at its border."""
    return 120 * torch.sigmoid((0.5 - points.norm(dim=1)) / 0.01), points


def test_depth_and_normals_are_those_of_a_ball():
    camera = Camera.orbit(40, 20, 3, width=40, height=40)
    view = Scene.of(ball, WHITE, step=0.005).view(camera)
    origins, directions = camera.rays()
    along = (origins * directions).sum(dim=1)
    under = along**2 - (origins.square().sum(dim=1) - 0.25)
    sure = (under > 0.08).view(40, 40)  # away from its outline
    depth = (-along - under.clamp_min(0).sqrt()).view(40, 40)
    assert (view.depth[sure] - depth[sure]).abs().max() < 0.02
    places = origins + view.depth.flatten()[:, None] * directions
    normals = torch.nn.functional.normalize(places, dim=1).view(40, 40, 3)
    cosines = (view.normals * normals).sum(dim=-1)[sure]
    assert cosines.min() > math.cos(math.radians(6))
    assert not view.normals[(under < -0.05).view(40, 40)].any()
    assert torch.isinf(view.depth[0, 0]) or view.opacity[0, 0] < 1e-3


def test_x_is_right_and_z_is_up_from_before():
    def red_right_and_up(points):
        spot = (points - points.new_tensor([0.5, 0.0, 0.5])).norm(dim=1) < 0.2
        return 90.0 * spot, points.new_tensor([1.0, -1.0, -1.0]).expand(len(points), 3)

    view = Scene.of(red_right_and_up, WHITE).view(Camera.orbit(0, 0, 3, width=20, height=20))
    rows, columns = (view.opacity > 0.5).nonzero().unbind(dim=1)
    assert rows.max() < 10
    assert columns.min() >= 10


def test_an_original_is_the_first_view(camera):
    images = torch.rand(2, 3, 3, 12, 14) * 2 - 1
    signal = ViewSignal(
        images=images,
        opacity=torch.rand(2, 3, 1, 12, 14),
        to_world=torch.from_numpy(camera.to_world).expand(2, 3, 4, 4),
        intrinsics=torch.tensor(camera.intrinsics).expand(2, 3, 4),
        points=torch.zeros(2, 1, 3),
        point_colours=torch.zeros(2, 1, 3),
        background=torch.ones(2, 3),
    )
    picture = ground_truth(signal, 1, NerfRenderer((12, 14)))
    assert torch.equal(torch.from_numpy(picture.colour), images[1, 0].movedim(0, -1))
    torch.testing.assert_close(picture.camera.rays()[1], camera.rays()[1])
    assert picture.size == (12, 14)


def test_a_fitted_density_is_seen_where_it_is(camera):
    # The field's own densities, integrated by hand along one ray.
    field = fields()
    queries, _ = asked(camera)
    place, direction = queries.coords[0, 40], queries.extra[0, 40]
    far = crossing(place, direction)[1].item()
    edges = torch.linspace(0, far, 3001)
    points = place + (edges[1:] + edges[:-1])[:, None] / 2 * direction
    with torch.no_grad():
        thickness = density(field(points[None])[0, :, 0]).sum() * far / 3000
    seen = Scene.of(field, -WHITE, step=0.002)
    black = evolve(queries, coords=place[None, None], extra=direction[None, None], targets=torch.zeros(1, 1, 3))
    with torch.no_grad():
        shown = [
            NerfRenderer((2, 2), samples=3000).observe(field, evolve(black, background=torch.full((1, 1, 3), b)))
            for b in (-1.0, 1.0)
        ]
    assert ((shown[1] - shown[0]) / 2).mean().item() == pytest.approx(torch.exp(-thickness).item(), abs=1e-3)
    assert seen.grid.share > 0.1


def test_a_field_is_prepared_once_for_all_views(monkeypatch):
    grids = []
    make = OccupancyGrid.of
    monkeypatch.setattr(OccupancyGrid, "of", lambda *given: grids.append(given) or make(*given))
    field, renderer = fields(), NerfRenderer((6, 6), step=0.1)
    shown = [renderer.render(field, view).colour for view in (None, 5, None)]
    assert len(grids) == 1
    np.testing.assert_array_equal(shown[0], shown[2])
    renderer.render(fields())
    assert len(grids) == 2


@pytest.mark.parametrize("part", ["basis", "readout"])
def test_a_field_that_has_changed_is_prepared_again(part):
    field, renderer = fields(bias=-4.0), NerfRenderer((6, 6), step=0.1, background=(0.0, 0.0, 0.0))
    before = renderer.render(field).opacity
    with torch.no_grad():
        if part == "readout":
            field.readout.head.bias[0] += 6
        else:
            field.basis[0][0].add_(
                12 * torch.randn(field.basis[0][0].shape, generator=torch.Generator().manual_seed(0))
            )
    again = fields(bias=-4.0)
    again.readout.load_state_dict(field.readout.state_dict())
    after = renderer.render(field).opacity
    np.testing.assert_array_equal(after, renderer.render(evolve(again, basis=field.basis)).opacity)
    assert np.abs(after - before).max() > 0.01

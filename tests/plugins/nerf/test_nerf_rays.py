"""Rays: where they cross the cube, and which are not asked; density and colour of raw values."""

from __future__ import annotations

import pytest
import torch

from ddmi_nerf.rendering.radiance import activated, colour, density, raw_density
from ddmi_nerf.rendering.rays import RayQueries, crossing, entering


def aimed(count, seed=0):
    """Rays from outside towards places in the cube."""
    generator = torch.Generator().manual_seed(seed)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1) * 3
    places = torch.rand(count, 3, generator=generator) * 2 - 1
    return origins, torch.nn.functional.normalize(places - origins, dim=1)


def test_rays_cross_faces_of_the_cube():
    origins, directions = aimed(500)
    near, far = crossing(origins, directions)
    assert (far > near).all()
    for distance in (near, far):
        places = origins + distance[:, None] * directions
        torch.testing.assert_close(places.abs().amax(dim=1), torch.ones(500), rtol=0, atol=1e-5)
    middle = origins + ((near + far) / 2)[:, None] * directions
    assert (middle.abs() < 1).all()


def test_rays_that_look_away_or_pass_by_miss():
    origins, directions = aimed(100)
    assert not entering(origins, -directions)[1].any()
    beside = torch.tensor([[0.0, 1.5, -3.0]])
    assert not entering(beside, torch.tensor([[0.0, 0.0, 1.0]]))[1].any()


def test_a_ray_from_inside_begins_where_it_is():
    origin, direction = torch.tensor([[0.2, -0.3, 0.5]]), torch.tensor([[0.0, 0.0, 1.0]])
    place, hit = entering(origin, direction)
    assert hit.all()
    assert torch.equal(place, origin)
    assert crossing(origin, direction)[1].item() == pytest.approx(0.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rays_along_an_axis_are_exact(axis):
    direction = torch.eye(3)[axis]
    near, far = crossing(-4 * direction, direction)
    assert (near.item(), far.item()) == (3, 5)


def test_what_is_left_of_a_ray_is_the_same_from_where_it_enters():
    origins, directions = aimed(500)
    near, far = crossing(origins, directions)
    places, _ = entering(origins, directions)
    again, left = crossing(places, directions)
    torch.testing.assert_close(left, far - near, rtol=0, atol=2e-5)
    assert again.abs().max() < 1e-5


def test_queries_stand_for_the_middle_and_white_unless_told():
    queries = RayQueries(coords=torch.zeros(2, 5, 3), extra=torch.zeros(2, 5, 3), targets=torch.zeros(2, 5, 3))
    assert queries.jitter.item() == 0.5
    assert queries.background.flatten().tolist() == [1, 1, 1]


def test_density_is_positive_smooth_and_finite():
    raw = torch.tensor([-1e4, -5.0, 0.0, 3.0, 7.29, 7.31, 50.0, 1e4], dtype=torch.float64, requires_grad=True)
    values = density(raw)
    values.sum().backward()
    assert (values >= 0).all()
    assert torch.isfinite(values).all()
    assert torch.isfinite(raw.grad).all()
    assert (values.diff() > 0).all()
    bend = 2 + torch.tensor(200.0, dtype=torch.float64).log()
    around = (bend + torch.tensor([-1e-4, 1e-4], dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(density, around)
    slopes = torch.autograd.grad(density(around).sum(), around)[0]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=0)


def test_raw_density_is_the_inverse():
    wanted = torch.tensor([0.01, 0.5, 30.0, 199.0])
    torch.testing.assert_close(density(raw_density(wanted)), wanted)


def test_colours_reach_both_ends_and_have_gradients_there():
    raw = torch.tensor([-8.0, 0.0, 8.0], requires_grad=True)
    shown = colour(raw)
    assert shown.tolist() == [-1, 0, 1]
    shown.sum().backward()
    assert (raw.grad > 0).all()


def test_a_field_has_density_first():
    values = torch.tensor([[1.0, -9.0, 0.0, 9.0]])
    found, shown = activated(values)
    assert found.item() == pytest.approx(density(torch.tensor(1.0)).item())
    assert shown.tolist() == [[-1, 0, 1]]

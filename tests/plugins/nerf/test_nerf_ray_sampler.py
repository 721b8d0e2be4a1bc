"""Rays of signals: their pixels' colours, those that cross the cube, and weights that keep means what they are."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from nerf_scenes import BEHIND, seen

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.rendering.ray_sampler import MARGIN, RaySampler, pixel_rays
from ddmi_nerf.rendering.rays import entering


@pytest.fixture(scope="module")
def cameras():
    # Not all rays cross the cube; rows, columns and focal lengths differ.
    first, second = (Camera.orbit(turn, 20, 2.6, width=24, height=18, field_of_view=70) for turn in (0, 110))
    return [first, evolve(second, fx=second.fx * 1.2, cy=second.cy - 1)]


@pytest.fixture(scope="module")
def signal(cameras):
    return seen(cameras)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_rays_of_pixels_are_those_of_the_cameras(signal, cameras):
    coords, directions, crosses = pixel_rays(signal, 0)
    wanted = [camera.rays() for camera in cameras]
    torch.testing.assert_close(directions, torch.cat([looks for _, looks in wanted]), rtol=0, atol=1e-6)
    places, hit = (torch.cat(part) for part in zip(*(entering(*rays) for rays in wanted), strict=True))
    assert torch.equal(crosses, hit)
    assert 0.2 < crosses.float().mean() < 0.95
    torch.testing.assert_close(coords[crosses], places[hit], rtol=0, atol=1e-5)


def test_targets_are_the_colours_of_the_pixels(signal):
    queries = RaySampler().sample(signal, 300, generator())
    coords, directions, crosses = pixel_rays(signal, 0)
    colours = signal.images[0].movedim(1, -1).reshape(-1, 3)
    apart = (queries.extra[0][:, None] - directions).norm(dim=-1) + (queries.coords[0][:, None] - coords).norm(dim=-1)
    assert apart.min(dim=1).values.max() < 1e-6
    pixel = apart.argmin(dim=1)
    assert torch.equal(queries.targets[0], colours[pixel])
    assert crosses[pixel].all()
    assert torch.equal(queries.background[0, 7], BEHIND)
    assert queries.coords.abs().max() <= 1


def test_half_of_the_rays_see_the_object(signal):
    queries = RaySampler(on_object=0.5).sample(signal, 400, generator())
    share = float((signal.opacity > 0.01).float().mean())
    assert share < 0.4
    counted = (queries.targets[0] - BEHIND).abs().amax(dim=1) > 1e-4
    assert counted.float().mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("on_object", [0.0, 0.5, 0.9])
def test_weighted_means_are_means_over_pixels(signal, on_object):
    queries = RaySampler(on_object).sample(signal, 40000, generator())
    colours = signal.images[0].movedim(1, -1).reshape(-1, 3)[pixel_rays(signal, 0)[2]]
    mean = (queries.weights[..., None] * queries.targets).mean(dim=(0, 1))
    torch.testing.assert_close(mean, colours.mean(dim=0), rtol=0, atol=0.01)
    assert queries.weights.mean().item() == pytest.approx(1, abs=1e-4)


def test_the_generator_decides(signal):
    first, again, other = (RaySampler().sample(signal, 50, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.coords, again.coords)
    assert torch.equal(first.jitter, again.jitter)
    assert not torch.equal(first.coords, other.coords)
    assert 0 <= first.jitter.min() < 0.2 < 0.8 < first.jitter.max() < 1
    assert (RaySampler(jitter=False).sample(signal, 50, generator()).jitter == 0.5).all()


def test_places_are_different_rays(signal):
    queries = RaySampler().places(signal, 200, generator())
    rows = torch.cat([queries.coords[0], queries.extra[0]], dim=1)
    assert len(rows.unique(dim=0)) == len(rows) > 100
    assert queries.jitter.shape == queries.coords.shape[:2]


def test_signals_without_an_object_are_drawn_too(signal):
    empty = evolve(signal, opacity=torch.zeros_like(signal.opacity))
    queries = RaySampler().sample(empty, 60, generator())
    assert queries.targets.shape == (1, 60, 3)
    assert torch.equal(queries.weights, torch.ones(1, 60))


def test_cameras_that_look_away_are_refused(signal):
    away = signal.to_world.clone()
    away[..., :3, 2] *= -1
    away[..., :3, 0] *= -1
    with pytest.raises(DataError, match="shows the cube"):
        RaySampler().sample(evolve(signal, to_world=away), 10, generator())


def test_queries_know_where_the_points_of_the_object_are(signal):
    corners = torch.tensor([[-0.3, -0.2, -0.1], [0.4, 0.2, 0.3]])
    queries = RaySampler().sample(evolve(signal, points=corners[None]), 200, generator())
    near, far = queries.close[0].unbind(dim=-1)
    hit = far > near
    assert 0.1 < hit.float().mean() < 0.95
    middle = queries.coords[0] + (near + far)[:, None] / 2 * queries.extra[0]
    low, high = corners[0] - MARGIN, corners[1] + MARGIN
    assert ((middle > low) & (middle < high)).all(dim=1)[hit].all()
    # Places a little before and beyond are outside.
    for distance in (near - 1e-3, far + 1e-3):
        place = (queries.coords[0] + distance[:, None] * queries.extra[0])[hit & (near > 1e-2)]
        assert not ((place > low) & (place < high)).all(dim=1).any()

"""Colours that depend on where they are seen from."""

from __future__ import annotations

import pytest
import torch
from nerf_scenes import decibels
from scipy.special import sph_harm_y

from ddmi_core.api import Field, Layout, Planes
from ddmi_core.model.build import build_autoencoder
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.plugin import NERF
from ddmi_nerf.rendering.radiance import FieldRadiance, activated
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.rays import RayQueries, entering
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.rendering.spherical_harmonics import spherical_harmonics, value_names

LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))
WHITE = torch.ones(3)


def unit(count, seed=0):
    return torch.nn.functional.normalize(
        torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=1
    )


def test_harmonics_are_those_of_scipy_up_to_signs():
    directions = unit(50)
    polar, turn = torch.acos(directions[:, 2]), torch.atan2(directions[:, 1], directions[:, 0])
    found, column = spherical_harmonics(directions, 3), 0
    for degree in range(4):
        for order in range(-degree, degree + 1):
            complex_ = torch.from_numpy(sph_harm_y(degree, abs(order), polar.numpy(), turn.numpy()))
            real = complex_.real if order >= 0 else complex_.imag
            expected = real * (4 * torch.pi) ** 0.5 * (2**0.5 if order else 1)
            sign = torch.sign((expected * found[:, column]).sum())
            torch.testing.assert_close(found[:, column], sign * expected, atol=1e-12, rtol=0)
            column += 1
    assert column == found.shape[1] == 16


def test_degrees_out_of_range_are_refused():
    for degree in (-1, 4):
        with pytest.raises(ValueError, match="out of range"):
            spherical_harmonics(unit(1), degree)


def test_further_coefficients_of_zero_change_nothing_and_the_mean_has_the_first_alone():
    values, directions = torch.randn(30, 28, generator=torch.Generator().manual_seed(0)), unit(30).float()
    plain = activated(values[:, :4])
    for found in (activated(values), activated(torch.cat([values[:, :4], 0 * values[:, 4:]], 1), directions)):
        torch.testing.assert_close(found, plain)
    assert (activated(values, directions)[1] - plain[1]).abs().mean() > 0.1


@pytest.mark.parametrize("degree", [0, 2, 3])
def test_the_setting_decides_the_number_of_values(degree):
    config = resolve(NERF, "tiny", overrides=[f"domain.directions={degree}"])
    assert len(value_names(degree)) == 1 + 3 * (degree + 1) ** 2
    with torch.device("meta"):
        model = build_autoencoder(build_parts(NERF, config.domain), config)
    last = [weight for name, weight in model.readout.named_parameters() if weight.ndim == 2][-1]
    assert len(last) == len(value_names(degree))


class Shiny:
    """A ball that is red from one side and blue from another, wherever it is looked at."""

    def __call__(self, points):
        return 40.0 * (points.norm(dim=1) < 0.6), torch.zeros_like(points)

    def seen(self, points, directions):
        return self(points)[0], 0.8 * directions


def rays_of(cameras):
    """Rays of cameras with the colours of the shiny ball: a batch of one."""
    origins, looks = (torch.cat(part) for part in zip(*(camera.rays() for camera in cameras), strict=True))
    places, crosses = entering(origins, looks)
    colours = march(Shiny(), origins, looks, WHITE, step=0.02).colour
    return [part[crosses][None] for part in (places, looks, colours)]


def fitted(degree):
    """A field of free planes that was fitted to views from all around."""
    generator = torch.Generator().manual_seed(0)
    grids = [torch.randn(1, 4, 16, 16, generator=generator).mul_(0.1).requires_grad_() for _ in range(3)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        readout = CoarseToFineReadout((12,), 0, len(value_names(degree)), ReadoutConfig(width=32, planes="concatenate"))
    field, renderer = Field((Planes(grids),), readout, LAYOUT), NerfRenderer((16, 16), samples=24, step=0.04)
    cameras = [Camera.orbit(137.5 * i, -40 + 8 * i, 2.6, width=16, height=16) for i in range(12)]
    places, looks, colours = rays_of(cameras)
    optimiser = torch.optim.Adam([*grids, *readout.parameters()], 0.02)
    for _ in range(150):
        chosen = torch.randint(places.shape[1], (256,), generator=generator)
        queries = RayQueries(coords=places[:, chosen], extra=looks[:, chosen], targets=colours[:, chosen])
        loss = (renderer.observe(field, queries) - queries.targets).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return field.map(torch.Tensor.detach)


def test_a_shiny_ball_is_fitted_better_with_directions_than_without():
    found = []
    for degree in (0, 2):
        scene, truth = Scene.of(fitted(degree), WHITE, 0.04), Scene.of(Shiny(), WHITE, 0.04)
        unseen = [Camera.orbit(30 + 90 * i, 10 * i, 2.6, width=16, height=16) for i in range(4)]
        shown = [decibels(scene.view(camera).colour, truth.view(camera).colour) for camera in unseen]
        found.append(sum(shown) / len(shown))
    assert found[1] > found[0] + 4


def test_fast_paths_show_what_the_field_itself_shows_along_directions():
    field = fitted(1)
    points, directions = 2 * torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) - 1, unit(200).float()
    with torch.no_grad():
        plain = activated(field(points[None])[0], directions)
    torch.testing.assert_close(FieldRadiance(field).seen(points, directions), plain, atol=1e-4, rtol=1e-4)

"""Volume rendering against closed forms: homogeneous and layered media, gradients, and samples by weight."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddmi_nerf.rendering.volume_rendering import (
    absorbed,
    closer,
    composite,
    importance,
    quantiles,
    stopped_at,
    stratified,
)

WHITE = torch.ones(3, dtype=torch.float64)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def even(density, colour, edges, background=WHITE):
    """A ray through one medium."""
    count = len(edges) - 1
    return composite(torch.full((count,), density, dtype=torch.float64), colour.expand(count, 3), edges, background)


@pytest.mark.parametrize("density", [1e-4, 0.3, 2.0, 40.0, 1e4])
@pytest.mark.parametrize("cuts", [1, 2, 7, 100])
def test_a_homogeneous_medium_is_exact_whatever_the_intervals(density, cuts):
    near, far = 0.7, 2.9
    inner = torch.rand(cuts - 1, generator=torch.Generator().manual_seed(cuts)).double().sort().values
    edges = near + (far - near) * torch.cat([doubles(0), inner, doubles(1)])
    colour, thickness = doubles(-0.5, 0.2, 0.9), density * (far - near)
    light = even(density, colour, edges)
    left = math.exp(-thickness)
    torch.testing.assert_close(light.colour, colour * (1 - left) + WHITE * left, rtol=1e-10, atol=1e-12)
    assert light.opacity.item() == pytest.approx(-math.expm1(-thickness), rel=1e-10)
    stop = near + 1 / density - (far - near) * left / -math.expm1(-thickness)
    assert light.depth.item() == pytest.approx(stop, rel=1e-6 if thickness < 0.01 else 1e-9)


def test_layers_are_exact_on_their_edges():
    edges = doubles(0, 0.5, 0.9, 2.0, 2.2)
    density = doubles(0.4, 0, 3, 7)
    colour = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).double()
    light = composite(density, colour, edges, doubles(0.1, 0.2, 0.3))
    passed, wanted = 1.0, doubles(0, 0, 0)
    for number in range(4):
        through = math.exp(-density[number].item() * (edges[number + 1] - edges[number]).item())
        wanted = wanted + passed * (1 - through) * colour[number]
        passed *= through
    torch.testing.assert_close(light.colour, wanted + passed * doubles(0.1, 0.2, 0.3), rtol=1e-12, atol=1e-12)
    assert light.opacity.item() == pytest.approx(1 - passed, rel=1e-12)


def test_a_medium_that_grows_along_the_ray_is_near_its_closed_form():
    # Density 2 t on [0, 2], colour 2 t - 1: opacity 1 - exp(-4).
    samples = stratified(doubles(0), doubles(2), 256)
    t = samples.places[0]
    light = composite(2 * t, (2 * t - 1)[:, None].expand(-1, 3), samples.edges[0], -WHITE)
    assert light.opacity.item() == pytest.approx(1 - math.exp(-4), abs=1e-5)
    mean = math.sqrt(math.pi) / 2 * math.erf(2) - 2 * math.exp(-4)  # of t, where the ray is stopped
    assert light.depth.item() == pytest.approx(mean / (1 - math.exp(-4)), abs=1e-3)
    wanted = 2 * mean - (1 - math.exp(-4)) - math.exp(-4)
    assert light.colour[0].item() == pytest.approx(wanted, abs=1e-3)


def test_layers_between_the_samples_are_near_their_closed_form():
    # Three layers whose borders no sample knows; many thin intervals.
    borders, values = doubles(0.31, 0.77, 1.53), doubles(0, 1.5, 0.2, 6)
    samples = stratified(doubles(0), doubles(2), 4096)
    layer = torch.searchsorted(borders, samples.places[0])
    light = composite(values[layer], (layer / 3.0)[:, None].expand(-1, 3).double(), samples.edges[0], WHITE)
    exact = composite(
        values,
        (torch.arange(4) / 3.0)[:, None].expand(-1, 3).double(),
        torch.cat([doubles(0), borders, doubles(2)]),
        WHITE,
    )
    torch.testing.assert_close(light.colour, exact.colour, rtol=0, atol=1e-3)
    assert light.depth.item() == pytest.approx(exact.depth.item(), abs=1e-3)


def test_nothing_shows_the_background_and_no_depth():
    light = even(0.0, doubles(0, 0, 0), doubles(0, 1, 2), doubles(0.3, -0.1, 0.7))
    assert torch.equal(light.colour, doubles(0.3, -0.1, 0.7))
    assert light.opacity.item() == 0
    assert math.isinf(light.depth.item())


def test_gradients_are_those_of_differences():
    generator = torch.Generator().manual_seed(1)
    density = torch.rand(2, 5, generator=generator).double() * 3
    density[0, 1] = 1e-3  # on the series
    colour, widths = torch.rand(2, 5, 3, generator=generator).double(), torch.rand(2, 6, generator=generator).double()
    background = torch.rand(3, generator=generator).double()
    arguments = [part.requires_grad_() for part in (density, colour, widths, background)]

    def parts(density, colour, widths, background):
        light = composite(density, colour, (0.1 + widths).cumsum(-1), background)
        return light.colour, light.opacity, light.depth, light.weights

    assert torch.autograd.gradcheck(parts, arguments)


def test_gradients_stay_finite_where_a_medium_is_thick_or_empty():
    density = torch.tensor([0.0, 1e6, 0.0, 3e4], requires_grad=True)
    light = composite(density, torch.zeros(4, 3), torch.linspace(0, 4, 5), torch.ones(3))
    (light.colour.sum() + light.depth).backward()
    assert torch.isfinite(density.grad).all()


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=12), st.floats(1e-3, 10))
def test_weights_and_what_is_left_are_one(values, length):
    density = torch.tensor(values).double()
    weights, left = absorbed(density, torch.full_like(density, length))
    assert (weights >= 0).all()
    assert (weights.sum() + left).item() == pytest.approx(1, abs=1e-12)


def test_the_series_joins_the_formula():
    thickness = torch.linspace(0.2499, 0.2501, 101, dtype=torch.float64)
    exact = 1 / thickness - 1 / torch.expm1(thickness)
    torch.testing.assert_close(stopped_at(thickness), exact, rtol=1e-9, atol=0)
    assert stopped_at(doubles(0, 1e9)).tolist() == [0.5, pytest.approx(0, abs=1e-8)]


def test_stratified_places_lie_each_in_its_interval():
    near, far = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 5.0])
    jitter = torch.rand(2, 16, generator=torch.Generator().manual_seed(0))
    samples = stratified(near, far, 16, jitter)
    assert torch.allclose(samples.edges[:, 0], near)
    assert torch.allclose(samples.edges[:, -1], far)
    torch.testing.assert_close((samples.places - samples.edges[:, :-1]) / samples.lengths, jitter, rtol=0, atol=1e-5)
    middle = stratified(near, far, 16)
    torch.testing.assert_close(middle.places, (middle.edges[:, 1:] + middle.edges[:, :-1]) / 2)


def test_random_places_find_the_thickness_on_average():
    # Density t^2 on [0, 1] with four intervals: places that vary give 1/3, the middles do not.
    jitter = torch.rand(20000, 4, generator=torch.Generator().manual_seed(0))
    samples = stratified(torch.zeros(20000), torch.ones(20000), 4, jitter)
    thickness = (samples.places**2 * samples.lengths).sum(-1)
    assert thickness.mean().item() == pytest.approx(1 / 3, abs=1e-3)


def test_quantiles_part_the_weights_evenly():
    edges, weights = doubles(0, 1, 2, 4), doubles(1, 0, 3)
    found = quantiles(edges, weights, 8)
    # A quarter lies in [0, 1], the rest evenly in [2, 4].
    torch.testing.assert_close(found, doubles(0.25, 0.75, *(2 + (2 * i + 1) / 6 for i in range(6))))


def test_quantiles_of_nothing_are_even():
    torch.testing.assert_close(quantiles(doubles(0, 1, 4), doubles(0, 0), 2), doubles(1, 3))


def test_importance_samples_cut_where_the_weights_are():
    coarse = stratified(doubles(0), doubles(4), 8)
    weights = torch.zeros(1, 8).double()
    weights[0, 5] = 1
    finer = importance(coarse.edges, weights, 16)
    assert finer.edges.shape == (1, 25)
    assert (finer.lengths >= 0).all()
    inside = (finer.places > 2.5) & (finer.places < 3)
    around = (finer.places > 2) & (finer.places < 3.5)
    assert inside.sum().item() == 9
    assert around.sum().item() == 19
    known = {round(edge, 9) for edge in finer.edges[0].tolist()}
    assert {round(edge, 9) for edge in coarse.edges[0].tolist()} <= known


def test_importance_samples_see_thin_sheets_better():
    middles = 1 + torch.linspace(0, 1, 200)[:, None]

    def opacity(samples):
        density = torch.where((samples.places - middles).abs() < 0.05, 30.0, 0.0)
        return composite(density, torch.zeros(*density.shape, 3), samples.edges, torch.ones(3))

    coarse = stratified(torch.zeros(200), torch.full((200,), 4.0), 64)
    first = opacity(coarse)
    second = opacity(importance(coarse.edges, first.weights, 64))
    wrong = [(light.opacity - (1 - math.exp(-30 * 0.1))).abs().mean().item() for light in (first, second)]
    assert wrong[1] < 0.5 * wrong[0]


def test_intervals_are_cut_where_an_object_is():
    rays = stratified(doubles(1, 1, 1), doubles(3, 3, 3), 4)
    # Inside the ray, partly before it, and missed.
    close = torch.stack([doubles(1.5, 2), doubles(0, 1.3), doubles(0, 0)])
    samples = closer(rays, close, 3)
    wanted = [
        [1, 1.5, 1.5, 1.75, 2, 2, 2.5, 3],
        [1, 1, 1.15, 1.3, 1.5, 2, 2.5, 3],
        [1, 1, 1.5, 2, 2, 2.5, 3, 3],
    ]
    torch.testing.assert_close(samples.edges, doubles(*wanted))
    torch.testing.assert_close(samples.places, (samples.edges[:, 1:] + samples.edges[:, :-1]) / 2)
    everywhere = closer(rays, doubles([0, torch.inf]).expand(3, 2), 3)
    torch.testing.assert_close(everywhere.edges, doubles([1, 1, 1.5, 2, 2, 2.5, 3, 3]).expand(3, 8))

"""Guidance: its formula, its identity, its interval and what it costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ddmi_core.diffusion.config import DiffusionConfig
from ddmi_core.diffusion.denoisers.embeddings import marked
from ddmi_core.diffusion.guidance import autoguidance, classifier_free
from ddmi_core.diffusion.latent_diffusion import TOGETHER, LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.paths import RectifiedFlow
from ddmi_core.diffusion.samplers import Denoise, ddim
from ddmi_core.errors import RequestError
from ddmi_core.fields.layout import Layout

Guide = Callable[..., Denoise]
both = pytest.mark.parametrize("guide", [classifier_free, autoguidance])


class Counting:
    """A denoiser that estimates `slope x` and counts its calls."""

    def __init__(self, slope: float) -> None:
        self.slope, self.calls = slope, 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return self.slope * x


X = torch.arange(6.0).reshape(3, 2)


@both
def test_estimate_is_extrapolated(guide: Guide) -> None:
    guided = guide(Counting(2.0), Counting(0.5), 3.0)
    torch.testing.assert_close(guided(X, torch.full((3,), 0.5)), (0.5 + 3 * 1.5) * X)


@both
def test_scale_one_is_the_main_denoiser_itself(guide: Guide) -> None:
    main = Counting(2.0)
    assert guide(main, Counting(0.5), 1.0) is main


@both
@pytest.mark.parametrize(("time", "inside"), [(0.1, False), (0.2, True), (0.5, True), (0.7, True), (0.9, False)])
def test_guidance_acts_inside_its_interval_only(guide: Guide, time: float, inside: bool) -> None:
    main, reference = Counting(2.0), Counting(0.5)
    t = torch.full((3,), time, dtype=torch.float64)
    estimate = guide(main, reference, 3.0, (0.2, 0.7))(X, t)
    torch.testing.assert_close(estimate, (5.0 if inside else 2.0) * X)
    assert (main.calls, reference.calls) == (1, int(inside))


@both
def test_rows_may_have_different_times(guide: Guide) -> None:
    estimate = guide(Counting(2.0), Counting(0.5), 3.0, (0.2, 0.7))(X, torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(estimate, torch.tensor([2.0, 5.0, 2.0])[:, None] * X)


def test_sampling_evaluates_the_reference_inside_the_interval_only() -> None:
    main, reference = Counting(0.5), Counting(0.1)
    path = RectifiedFlow()
    ddim(classifier_free(main, reference, 2.0, (0.25, 0.75)), path, X, path.times(8))
    assert (main.calls, reference.calls) == (8, 5)


@both
@pytest.mark.parametrize("interval", [(0.7, 0.2), (-0.1, 0.5), (0.5, 1.1)])
def test_interval_must_be_two_rising_times(guide: Guide, interval: tuple[float, float]) -> None:
    with pytest.raises(RequestError, match="interval"):
        guide(Counting(1.0), Counting(1.0), 2.0, interval)


@both
@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_an_interval_may_reach_both_ends_and_be_a_single_time(guide: Guide, interval: tuple[float, float]) -> None:
    guided = guide(Counting(2.0), Counting(0.5), 3.0, interval)
    torch.testing.assert_close(guided(X, torch.full((3,), interval[1])), 5.0 * X)


LINE = Layout(axes=("t",), planes=(("t",),))
SHAPE = LatentShape(channels=2, grids=((4,),))
GIVEN = {
    "classes": (3, 0, 0, torch.arange(12) % 3),
    "vectors": (0, 5, 0, marked(torch.linspace(-1, 1, 60).view(12, 5))),
    "tokens": (0, 0, 3, torch.linspace(-1, 1, 12 * 4 * 4).view(12, 4, 4).index_fill(2, torch.tensor(3), 1.0)),
}


@pytest.mark.parametrize("count", [1, TOGETHER, TOGETHER + 1])
@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.3, 0.6)])
def test_one_call_for_few_latents_estimates_the_same(kind: str, count: int, interval: tuple[float, float]) -> None:
    classes, vectors, tokens, conditions = GIVEN[kind]
    torch.manual_seed(0)
    model = LatentDiffusion(LINE, SHAPE, classes, DiffusionConfig(), vectors, tokens).eval()
    for weight in model.parameters():  # networks that start at zero ignore conditions
        torch.nn.init.normal_(weight, std=0.3)
    calls: list[int] = []
    model.network.register_forward_hook(lambda network, given, output: calls.append(len(given[0][0])))
    noisy, times = torch.randn(count, SHAPE.length), torch.linspace(0.2, 0.7, count)
    with torch.no_grad():
        found = model.guided(conditions[:count], 3.0, interval)(noisy, times)
        made = list(calls)
        plain = classifier_free(model.denoiser(conditions[:count]), model.denoiser(), 3.0, interval)(noisy, times)
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
    if interval == (0.0, 1.0):
        assert made == ([2 * count] if count <= TOGETHER else [count, count])
        assert not torch.allclose(found, model.denoiser(conditions[:count])(noisy, times), rtol=0, atol=1e-3)


@pytest.mark.parametrize("count", [4, TOGETHER + 1])
def test_one_condition_guides_all_latents(count: int) -> None:
    torch.manual_seed(0)
    model = LatentDiffusion(LINE, SHAPE, 3, DiffusionConfig()).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    noisy, times = torch.randn(count, SHAPE.length), torch.full((count,), 0.5)
    with torch.no_grad():
        one = model.guided(torch.tensor([1]), 3.0)(noisy, times)
        each = model.guided(torch.ones(count, dtype=torch.long), 3.0)(noisy, times)
    torch.testing.assert_close(one, each)

"""Conditions as sequences of tokens: padding has no influence, and samples follow the tokens that they are given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddmi_core.api.conditions import TokenSequences
from ddmi_core.diffusion.config import DenoiserConfig, DiffusionConfig
from ddmi_core.diffusion.denoisers.cross_attention import Context, CrossAttention, TokenCondition, pack
from ddmi_core.diffusion.denoisers.denoiser import PlaneDenoiser
from ddmi_core.diffusion.guidance import classifier_free
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.samplers import sampler_named
from ddmi_core.errors import ConfigError
from ddmi_core.networks import as_maps
from ddmi_core.training.objective import StepContext, generator_for
from plane_layouts import LAYOUTS, cells_of, planes

KINDS = {
    "unet": DenoiserConfig(width=16, multipliers=(1, 2), heads=2),
    "levels": DenoiserConfig(width=16, multipliers=(1, 2), heads=2, attention=(1, 2), planes="attending"),
    "transformer": DenoiserConfig(kind="transformer", width=16, blocks=2, heads=2),
}
LAYOUT, LINE = LAYOUTS["mixed"], LAYOUTS["line"]
SHAPE, LINE_SHAPE = (LatentShape.of(planes(layout, 1, cells_of(layout, 4, 4))) for layout in (LAYOUT, LINE))
CPU = torch.device("cpu")


def model(kind: str = "transformer", vectors: int = 0, tokens: int = 3, trained: bool = True, **changes):
    """A model; `trained` moves all weights from their start, at which the network predicts zero."""
    torch.manual_seed(0)
    module = LatentDiffusion(LAYOUT, SHAPE, 0, DiffusionConfig(denoiser=KINDS[kind], **changes), vectors, tokens)
    if trained:
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(0.2 * torch.randn(weight.shape))
    return module


def rows(*lengths: int, length: int = 3, seed: int = 0) -> list[Tensor]:
    """Sequences of some lengths, in numbers that half precision holds exactly."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, length, generator=generator).half().float() for count in lengths]


def packed(*sequences: Tensor, vectors: Tensor | None = None) -> Tensor:
    return pack(TokenSequences.listed(sequences, vectors=vectors), torch.arange(len(sequences)))


@torch.no_grad()
def predicted(module: LatentDiffusion, given: Tensor, seed: int = 1) -> Tensor:
    noise = torch.randn(1, SHAPE.length, generator=torch.Generator().manual_seed(seed)).expand(len(given), -1)
    return module(noise, torch.full((len(given),), 0.5), given)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_padding_has_no_influence(kind):
    module = model(kind)
    short, long = rows(2, 7)
    alone, together = packed(short), packed(short, long)
    together[0, 2:, :-1] = 1e4  # padding may hold any number
    assert together.shape == (2, 7, 4)
    torch.testing.assert_close(predicted(module, together)[:1], predicted(module, alone), atol=1e-5, rtol=1e-5)


def test_every_token_has_an_influence_and_their_order_has_none(kind):
    module = model(kind)
    (tokens,) = rows(4)
    whole = predicted(module, packed(tokens))
    for number in range(4):
        changed = tokens.clone()
        changed[number] += 1
        assert (predicted(module, packed(changed)) - whole).abs().max() > 1e-4
    torch.testing.assert_close(predicted(module, packed(tokens.flip(0))), whole, atol=1e-5, rtol=1e-5)


def test_each_signal_has_its_own_sequence(kind):
    module = model(kind)
    whole = packed(*rows(3, 1, 5))
    order = torch.tensor([2, 0, 1])
    expected = predicted(module, whole)[order]
    torch.testing.assert_close(predicted(module, whole[order]), expected, atol=1e-5, rtol=1e-5)
    assert (expected[0] - expected[1]).abs().max() > 1e-4


def test_without_tokens_the_learned_sequence_is_attended_to_and_else_it_is_not(kind):
    module = model(kind)
    assert isinstance(module.condition, TokenCondition)
    given, none = packed(*rows(2)), module.condition.none(1)
    before = predicted(module, given), predicted(module, none)
    with torch.no_grad():
        module.condition.null.add_(torch.randn_like(module.condition.null))
    assert torch.equal(predicted(module, given), before[0])
    assert (predicted(module, none) - before[1]).abs().max() > 1e-4


def test_a_vector_beside_the_tokens_counts_as_well(kind):
    module = model(kind, vectors=5)
    (tokens,) = rows(2)
    vectors = torch.eye(5)[:2]
    both = packed(tokens, tokens, vectors=vectors)
    assert both.shape == (2, 3, 6)
    assert torch.equal(both[:, 0, :5], vectors)
    first, second = predicted(module, both)
    assert (first - second).abs().max() > 1e-4
    assert module.condition.none(2).shape == (2, 1, 6)


def test_an_untrained_cross_attention_changes_nothing(kind):
    module = model(kind, trained=False)
    head = module.network.head
    torch.nn.init.normal_(head.weight)
    maps, condition = as_maps(planes(LAYOUT, 1, cells_of(LAYOUT, 4, 4))), torch.randn(2, module.condition.width)
    context = module.condition.context(packed(*rows(2, 3)))
    with torch.no_grad():
        without, attending = module.network(maps, condition), module.network(maps, condition, context)
    assert all(torch.equal(one, other) for one, other in zip(without, attending, strict=True))
    assert without[0].abs().max() > 0.01


def test_attention_is_the_mean_of_values_weighted_by_the_softmax_of_scores():
    """One head, identity maps: the closed form of scaled dot-product attention over the tokens that are there."""
    width = 4
    module = CrossAttention(width, 1, width)
    with torch.no_grad():
        for layer in (module.query, module.output):
            layer.weight.copy_(torch.eye(width))
            layer.bias.zero_()
        module.inputs.weight.copy_(torch.cat([torch.eye(width)] * 2))
        module.inputs.bias.zero_()
    tokens, context = torch.randn(1, 2, width), torch.randn(1, 3, width)
    mask = torch.tensor([[True, False, True]])
    norm = torch.nn.functional.layer_norm
    query, key = norm(norm(tokens, (width,)), (width,)), norm(context, (width,))
    scores = (query @ key.transpose(1, 2) / width**0.5)[..., mask[0]]
    expected = tokens + scores.softmax(dim=-1) @ context[:, mask[0]]
    torch.testing.assert_close(module(tokens, Context(context, mask)), expected, atol=1e-5, rtol=1e-4)


def test_half_precision_gives_about_the_same(kind):
    module = model(kind, vectors=2)
    given = packed(*rows(2, 5), vectors=torch.eye(2))
    exact = predicted(module, given)
    with torch.autocast("cpu", torch.bfloat16):
        found = predicted(module, given)
    assert (found - exact).abs().max() < 0.1 * exact.abs().max()


def test_a_denoiser_that_cannot_attend_is_refused():
    class Plain(PlaneDenoiser):
        def __init__(self):
            torch.nn.Module.__init__(self)

        def forward(self, maps, condition):
            return maps

    with pytest.raises(ConfigError, match=r"the denoiser Plain cannot attend to. Fix: set diffusion.denoiser.kind"):
        Plain().attend(8)


def context(step: int, indices: tuple[int, ...]) -> StepContext:
    return StepContext(step, indices, generator_for(0, "test", step), CPU)


@pytest.mark.parametrize("drop", [0.0, 1.0])
def test_each_of_several_sequences_is_seen_or_all_are_dropped(drop, monkeypatch):
    sequences = [torch.full((count, 3), float(count)) for count in (1, 2, 3)]
    given = TokenSequences.listed(sequences, torch.tensor([[0, 1], [2, 2]]))
    module = model(drop_condition=drop)
    objective = DenoisingObjective(module, torch.zeros(2, SHAPE.length), given)
    seen, forward = [], module.forward

    def watched(noisy, times, conditions):
        seen.append(conditions)
        return forward(noisy, times, conditions)

    monkeypatch.setattr(module, "forward", watched)
    for step in range(20):
        objective(context(step, (0, 1)))
    marks = [row[..., -1].sum(dim=1).tolist() for row in seen]
    assert {row[0] for row in marks} == ({1.0, 2.0} if drop == 0 else {0.0})
    assert {row[1] for row in marks} == ({3.0} if drop == 0 else {0.0})


def test_samples_follow_the_token_that_they_are_given_and_guidance_strengthens_it(kind):
    """Latents are constant, at the number in one of two tokens; the other token is the same everywhere."""
    values = torch.linspace(-1, 1, 32)
    sequences = [torch.tensor([[0.0, 1.0, 0.0], [float(value), 0.0, 1.0]]) for value in values]
    torch.manual_seed(0)
    module = LatentDiffusion(LINE, LINE_SHAPE, 0, DiffusionConfig(denoiser=KINDS[kind], drop_condition=0.2), tokens=3)
    latents = values[:, None].expand(-1, LINE_SHAPE.length).contiguous()
    objective = DenoisingObjective(module, latents, TokenSequences.listed(sequences))
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for step in range(150):
        loss = objective(context(step, tuple(range(32)))).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    asked = torch.tensor([-0.8, 0.0, 0.8]).repeat_interleave(8)
    given = packed(*(torch.tensor([[0.0, 1.0, 0.0], [float(value), 0.0, 1.0]]) for value in asked))
    noise = torch.randn(24, LINE_SHAPE.length, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        conditional, free = module.denoiser(given), module.denoiser()
        drawn = sampler_named("dpmpp_2m")(conditional, module.path, noise, module.path.times(8))
        guided = sampler_named("dpmpp_2m")(
            classifier_free(conditional, free, 2.0), module.path, noise, module.path.times(8)
        )
    assert (drawn.mean(dim=1) - asked).abs().mean() < 0.2
    assert guided[16:].mean() > drawn[16:].mean() > 0.4


def test_padding_after_a_vector_does_not_change_its_embedding():
    condition = TokenCondition(2, 3, 8)
    vectors = torch.tensor([[0.5, -1.0], [2.0, 0.25]])
    short, long = rows(1, 4)
    together = condition(packed(short, long, vectors=vectors))
    alone = torch.cat([condition(packed(own, vectors=v[None])) for own, v in zip((short, long), vectors, strict=True)])
    torch.testing.assert_close(together, alone)
    assert condition(condition.none(2)).equal(condition.vector(torch.zeros(2, 3)))


def test_the_learned_sequence_has_four_tokens_and_is_masked_beside_others():
    condition = TokenCondition(0, 3, 8)
    given = torch.cat([packed(*rows(2)), condition.none(1).expand(1, 2, -1)])
    tokens, mask = condition.context(given)
    assert tokens.shape == (2, 4 + 2, 8)
    assert mask.tolist() == [[False] * 4 + [True] * 2, [True] * 4 + [False] * 2]
    assert torch.equal(tokens[1, :4], condition.null)


@pytest.mark.parametrize(("width", "heads", "used"), [(12, 4, 4), (10, 4, 2), (7, 4, 1)])
def test_heads_of_cross_attention_are_lowered_to_divide_the_width(width, heads, used):
    module = CrossAttention(width, heads, 5)
    assert module.heads == used
    assert module.query_norm.normalized_shape == (width // used,)

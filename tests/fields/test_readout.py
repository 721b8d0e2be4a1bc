"""The readout: residual blocks, blocks after the finest scale, and layers that the extra columns modulate."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch.nn import functional as F

from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig
from plane_layouts import perturbed

CONFIG = ReadoutConfig(width=8, depth=2)
EMBEDDINGS = [torch.randn(2, 5, c, generator=torch.Generator().manual_seed(c)) for c in (4, 3)]
EXTRA = torch.randn(2, 1, 2, generator=torch.Generator().manual_seed(0))


def readout(extra: int = 2, **options) -> CoarseToFineReadout:
    torch.manual_seed(0)
    return CoarseToFineReadout((4, 3), extra, 3, evolve(CONFIG, **options))


def test_residual_blocks_add_to_the_hidden_state():
    module = perturbed(readout(extra=0, residual=True, tail=1))
    first, second, tail = ([*block] for block in module.blocks)
    hidden = first[1](F.relu(first[0](EMBEDDINGS[0])))
    hidden = hidden + second[1](F.relu(second[0](torch.cat([F.relu(hidden), EMBEDDINGS[1]], dim=-1))))
    hidden = hidden + tail[1](F.relu(tail[0](F.relu(hidden))))
    torch.testing.assert_close(module(EMBEDDINGS, torch.zeros(2, 5, 0)), module.head(F.relu(hidden)))


def test_residual_blocks_start_as_identities():
    shallow, deep = readout(residual=True), readout(residual=True, tail=3)
    deep.load_state_dict({**deep.state_dict(), **shallow.state_dict()})
    assert torch.equal(shallow(EMBEDDINGS, EXTRA), deep(EMBEDDINGS, EXTRA))


@pytest.mark.parametrize("joining", ["coarse_to_fine", "input"])
def test_blocks_after_the_finest_scale_are_further_layers(joining):
    module = perturbed(readout(extra=0, tail=1, joining=joining))
    assert [block[0].in_features for block in module.blocks] == ([4, 11, 8] if joining != "input" else [7, 8, 8])
    empty = torch.zeros(2, 5, 0)
    before = torch.nn.ModuleList(module.blocks)[:2]
    hidden = torch.cat(EMBEDDINGS, -1) if joining == "input" else EMBEDDINGS[0]
    for number, block in enumerate(before):
        if number and joining != "input":
            hidden = torch.cat([hidden, EMBEDDINGS[1]], dim=-1)
        for layer in block:
            hidden = F.relu(layer(hidden))
    for layer in module.blocks[2]:
        hidden = F.relu(layer(hidden))
    torch.testing.assert_close(module(EMBEDDINGS, empty), module.head(hidden))


@pytest.mark.parametrize("residual", [False, True])
def test_modulation_scales_inputs_and_keeps_the_norms_of_rows(residual):
    plain, module = readout(residual=residual), readout(residual=residual, modulated=True)
    torch.testing.assert_close(module(EMBEDDINGS, EXTRA), plain(EMBEDDINGS, EXTRA))  # it starts without an effect
    perturbed(module)
    extra = EXTRA[0, 0]
    scales = module.modulation(extra)
    for block, own, layers in zip(module.blocks, scales, module.affine(extra), strict=True):
        for layer, scale, (weight, bias) in zip(block, own, layers, strict=True):
            direction = layer.weight * scale
            expected = direction * (layer.weight.norm(dim=1) / direction.norm(dim=1))[:, None]
            torch.testing.assert_close(weight, expected)
            assert torch.equal(bias, layer.bias)


@pytest.mark.parametrize("residual", [False, True])
def test_columns_that_differ_between_points_modulate_each_point(residual):
    module = perturbed(readout(residual=residual, modulated=True))
    extra = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(3))
    whole = module(EMBEDDINGS, extra)
    for point in range(5):
        own = [e[:, point : point + 1] for e in EMBEDDINGS]
        torch.testing.assert_close(module(own, extra[:, point : point + 1]), whole[:, point : point + 1])
    torch.testing.assert_close(module(EMBEDDINGS, EXTRA.expand(2, 5, 2)), module(EMBEDDINGS, EXTRA.repeat(1, 5, 1)))


def test_modulation_costs_nothing_per_point_for_expanded_columns():
    from torch.utils.flop_counter import FlopCounterMode

    module = readout(modulated=True)
    costs = []
    for points in (1, 2, 3):
        embeddings = [torch.zeros(1, points, c) for c in (4, 3)]
        with FlopCounterMode(display=False) as counter:
            module(embeddings, torch.zeros(2).expand(1, points, 2))
        costs.append(counter.get_total_flops())
    layers = sum(layer.weight.numel() for block in module.blocks for layer in block) + module.head.weight.numel()
    assert costs[2] - costs[1] == costs[1] - costs[0] == 2 * layers


@pytest.mark.parametrize("options", [{"residual": True, "tail": 1}, {"modulated": True}], ids=str)
def test_training_from_the_initial_weights_moves_every_parameter(options):
    module = readout(**options)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(4):
        optimiser.zero_grad()
        (module(EMBEDDINGS, EXTRA) - 1).square().mean().backward()
        optimiser.step()
    assert [name for name, p in module.named_parameters() if torch.equal(p, before[name])] == []


def test_layers_cannot_be_modulated_without_extra_columns():
    with pytest.raises(ValueError, match=r"readout.modulated = true .* has none. Fix: .* readout.depth"):
        readout(extra=0, modulated=True)


def test_initial_weights_keep_the_variance_of_the_hidden_state_and_biases_are_zero():
    torch.manual_seed(0)
    module = CoarseToFineReadout((100, 60), 0, 300, ReadoutConfig(width=200, depth=2))
    for layer in (layer for block in module.blocks for layer in block):
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.03)
        assert not layer.bias.any()
    assert module.head.weight.std().item() == pytest.approx(200**-0.5, rel=0.03)
    assert not module.head.bias.any()


def test_readouts_are_equal_if_settings_and_weights_are():
    module = readout()
    assert module.equals(module)
    assert module.equals(readout())
    assert not module.equals(perturbed(readout()))
    assert not module.equals(readout(activation="silu"))
    assert not module.equals(readout(tail=1))

"""Blocks that compute their activations again: the same values and gradients, in less memory."""

from __future__ import annotations

import weakref

import pytest
import torch
from attrs import evolve
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ddmi_core.api import Block, Field, Layout, Planes, Split
from ddmi_core.blocks import blocks
from ddmi_core.fields import field as field_module
from ddmi_core.fields.config import ReadoutConfig
from ddmi_core.fields.readout import CoarseToFineReadout
from ddmi_core.model import needs
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.needs import stage_needs
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import StepContext


class Layered(Block):
    """A deep block that counts its calls."""

    def __init__(self, width=8, depth=6):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(depth))
        self.calls = 0

    def forward(self, values, scale=1.0):
        self.calls += 1
        for layer in self.layers:
            values = torch.tanh(layer(values)) * scale
        return values


def test_a_block_computes_again_only_where_gradients_follow():
    torch.manual_seed(0)
    block, values = Layered(), torch.randn(3, 8)
    expected = torch.autograd.grad(block(values, scale=2.0).sum(), list(block.parameters()))
    block.recomputes, block.calls = True, 0
    result = block(values, scale=2.0)
    assert block.calls == 1
    for found, gradient in zip(torch.autograd.grad(result.sum(), list(block.parameters())), expected, strict=True):
        assert torch.equal(found, gradient)
    assert block.calls == 2
    with torch.no_grad():
        assert torch.equal(block(values, scale=2.0), result)
    assert block.calls == 3


def test_outermost_blocks_alone_are_found():
    inner, outer = Layered(), Layered()
    outer.inner = Layered()
    network = torch.nn.Sequential(torch.nn.Sequential(inner), torch.nn.Linear(2, 2), outer)
    assert list(blocks(network)) == [inner, outer]
    assert not list(blocks(torch.nn.Linear(2, 2)))


class Live(TorchDispatchMode):
    """Bytes of the storages that are alive, and their peak; an oracle that does not know the autograd graph."""

    def __init__(self):
        super().__init__()
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.alive:
                storage = tensor.untyped_storage()
                self.alive[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return result


def trained(name, overrides):
    """Gradients of a step of the autoencoder, bounds of its peak memory beside the weights, and the estimate."""
    domain = domain_named(name)
    config = resolve(domain, "quick", overrides=["autoencoder.perceptual.kind=none", *overrides])
    parts = build_parts(domain, config.domain)
    torch.manual_seed(0)
    model, blank = build_autoencoder(parts, config), needs.BlankSignals(parts)
    (objective,) = autoencoder_objectives(parts, config, model, Split(blank, blank)).values()
    for block in blocks(model):
        block.recomputes = config.autoencoder.training.gradient_checkpointing
    weights = list(model.parameters())
    context = StepContext(0, (0,), torch.Generator().manual_seed(0), torch.device("cpu"))
    context = evolve(context, batch=objective.read(0, (0,), torch.Generator().manual_seed(0)))
    with Live() as live:
        objective(context).total.backward()
    gradients = [weight.grad for weight in weights]
    # Some gradients of weights exist at the peak.
    low = live.peak - sum(gradient.nbytes for gradient in gradients)
    return gradients, (low, live.peak), stage_needs(parts, config)["autoencoder"]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("image", ["autoencoder.points=16384"]),
        ("video", []),
        ("nerf", ["domain.samples=16"]),
        ("occupancy", ["autoencoder.points=8192"]),
    ],
)
def test_a_step_has_the_same_gradients_and_the_estimated_memory(name, overrides, monkeypatch):
    monkeypatch.setattr(field_module, "PIECE", 2048)
    plain, without, kept = trained(name, overrides)
    again, within, fewer = trained(name, [*overrides, "autoencoder.training.gradient_checkpointing=true"])
    for one, other in zip(plain, again, strict=True):
        assert torch.equal(one, other)
    assert within[1] < 0.75 * without[1]
    for (low, high), estimate in ((without, kept), (within, fewer)):
        assert low <= 1.2 * estimate.activations
        assert estimate.activations <= 1.2 * high
    assert 1 < fewer.flops / kept.flops < 4 / 3 + 1e-6


def test_a_field_in_pieces_is_the_whole_field(monkeypatch):
    torch.manual_seed(1)
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("size",))
    readout = CoarseToFineReadout((3, 2), extra=1, values=2, config=ReadoutConfig(width=8))
    planes = [torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 2, 8, 8, requires_grad=True)]
    field = Field(tuple(Planes([plane]) for plane in planes), readout, layout)
    coords, extra = torch.rand(2, 101, 2) * 2 - 1, torch.randn(2, 101, 1)
    targets = torch.randn(2, 101, 2)
    results = []
    for size in (1000, 16):
        monkeypatch.setattr(field_module, "PIECE", size)
        values = field(coords, extra)
        results.append((values, *torch.autograd.grad(((values - targets) ** 2).sum(), [*planes, readout.head.weight])))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)

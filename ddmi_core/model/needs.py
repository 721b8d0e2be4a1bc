"""Memory and operations that the training of a configuration requires, counted without data or memory for weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.blocks import blocks
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.errors import DdmiError, PluginError
from ddmi_core.model.build import (
    autoencoder_objectives,
    build_autoencoder,
    build_condition,
    build_diffusion,
    check_networks,
)
from ddmi_core.model.memory import STATE, Kept
from ddmi_core.nested import mapped, move
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.settings.config import RunConfig
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.objective import Objective, StepContext

META, CPU = torch.device("meta"), torch.device("cpu")
FROZEN = 4


def _forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)  # type: ignore[no-any-return, no-untyped-call]


def _backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)  # type: ignore[no-any-return, no-untyped-call]


_ATTENTION = {  # the counter does not know the fused kernel of the CPU
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
}


@frozen
class StageNeeds:
    """What one stage of training requires.

    Args:
        parameters: that are trained, with those of a discriminator.
        state: bytes of weights, gradients, moments of the optimiser, moving average, and frozen networks.
        activations: bytes that one signal keeps for the gradients, with 32 bits a number. With gradient checkpointing,
            these are the inputs of blocks, and all that the largest block keeps.
        signals: in memory at once, in one process.
        flops: of the training step for one signal, forward and backward: products, convolutions and attention.
        steps: of the stage.
        batch: signals of a step.
    """

    parameters: int
    state: int
    activations: int
    signals: int
    flops: int
    steps: int
    batch: int

    @property
    def memory(self) -> int:
        """Bytes in all, beside libraries and data."""
        return self.state + self.signals * self.activations

    def seconds(self, rate: float) -> float:
        """Time of the stage in one process that computes `rate` floating-point operations a second."""
        return self.steps * self.batch * self.flops / rate


def stage_needs(parts: AnyParts, config: RunConfig) -> dict[str, StageNeeds]:
    """Requirements of both stages, by the name of their section in the settings.

    The signal is that of `DomainParts.blank`. The perceptual term and the spectral penalty, which are small beside the
    networks, are left out.

    Raises:
        ConfigError: if settings do not fit together.
        PluginError: if a part requires values, which counting does not have.
    """
    check_networks(parts, config)
    try:
        return {"autoencoder": _autoencoder(parts, config), "diffusion": _diffusion(parts, config)}
    except DdmiError:
        raise
    except Exception as error:  # whatever a part does that requires values
        raise PluginError(
            f"domain {parts.domain.name!r}: its training cannot be counted without values: {type(error).__name__}: "
            f"{error}. Fix: let networks, `loss` and `observe` take tensors of the meta device"
        ) from error


def _autoencoder(parts: AnyParts, config: RunConfig) -> StageNeeds:
    settings = config.autoencoder
    plain = evolve(settings, spectral=0.0, spectral_start=0.0, perceptual=evolve(settings.perceptual, kind="none"))
    blanks = BlankSignals(parts)
    with META:
        model = build_autoencoder(parts, config)
        players = autoencoder_objectives(parts, evolve(config, autoencoder=plain), model, Split(blanks, blanks))
    networks = nn.ModuleList(players.values())  # each objective uses the networks of the other
    losses = [_loss(objective, settings.training.steps) for objective in players.values()]
    costs = _costs(networks, losses, settings.training.gradient_checkpointing)
    parameters = sum(_size(objective.trained) for objective in players.values())
    # The objectives take turns, so only one's activations are in memory.
    return _stage(settings.training, parameters, 0, max(kept for kept, _ in costs), sum(flops for _, flops in costs))


def _loss(objective: Objective, step: int) -> Callable[[], Tensor]:
    """The loss of a step for one signal; what is read of the signal has values."""
    generator = torch.Generator().manual_seed(0)
    context = StepContext(step, (0,), generator, CPU, objective.read(step, (0,), generator))
    return lambda: objective(context).total


def _diffusion(parts: AnyParts, config: RunConfig) -> StageNeeds:
    signal, condition = move(parts.blank(), META), build_condition(parts, config)
    with META:
        autoencoder = build_autoencoder(parts, config).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as encoder:
            shape = LatentShape.of(autoencoder.encode(signal).mean)
        lengths = (condition.length, condition.token_length) if condition else (0, 0)
        model = build_diffusion(parts.domain, config, shape, 1, *lengths)

    def loss() -> Tensor:
        predicted: Tensor = model(torch.zeros(1, shape.length), torch.ones(1), model.condition.none(1))
        return predicted.square().mean()

    ((kept, flops),) = _costs(model, [loss], config.diffusion.training.gradient_checkpointing)
    parameters, other = _size(model), 0
    if config.diffusion.latents == "fresh":
        flops += encoder.get_total_flops()
        other = FROZEN * _size(autoencoder)
    return _stage(config.diffusion.training, parameters, other, kept, flops)


def _stage(training: TrainingConfig, parameters: int, other: int, activations: int, flops: int) -> StageNeeds:
    signals, batch = training.batch // training.accumulation, training.batch
    return StageNeeds(parameters, STATE * parameters + other, activations, signals, flops, training.steps, batch)


def _costs(network: nn.Module, losses: Sequence[Callable[[], Tensor]], recompute: bool) -> list[tuple[int, int]]:
    """For each loss: bytes that the forward pass keeps for the gradients, and operations of both passes.

    Parameters, which are in memory anyway, do not count. Fake tensors take the kernels of the CPU, so attention does
    not keep its weights, as it would on `meta`.
    """
    costs = []
    with FakeTensorMode(allow_non_fake_inputs=True):
        network.to_empty(device=CPU)
        weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
        for loss in losses:
            with FlopCounterMode(display=False, custom_mapping=_ATTENTION) as counter:
                kept = Kept(weights, counter.get_total_flops)
                with kept.outside(blocks(network) if recompute else ()):
                    with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda tensor: tensor):
                        value = loss()
                    value.backward()  # type: ignore[no-untyped-call]
            costs.append((kept.bytes, counter.get_total_flops() + kept.again))
    return costs


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class BlankSignals(SignalSet):
    """Copies of a blank signal, `DomainParts.blank`.

    Args:
        parts: the domain.
        count: number of copies.
    """

    def __init__(self, parts: AnyParts, count: int = 1) -> None:
        self.blank, self.classes = parts.blank(), ()
        self.names, self.labels = ("blank",) * count, torch.zeros(count, dtype=torch.long)

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Any:
        """One copy for each index."""
        return mapped(self.blank, lambda tensor: tensor.expand(len(indices), *tensor.shape[1:]).clone())

    def fingerprint(self) -> str:
        """The same for all."""
        return ""

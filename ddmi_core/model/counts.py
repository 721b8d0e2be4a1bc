"""Parameters and floating-point operations of the parts of a configuration, counted without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import asdict, frozen
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.errors import DdmiError, PluginError
from ddmi_core.model.build import build_autoencoder, build_condition, build_diffusion, check_networks
from ddmi_core.nested import move
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.settings.config import RunConfig

CLASSES = 1  # of the data, which are not read
DEVICES = ("meta", "cpu")  # "meta" has shapes without values


@frozen
class PartCounts:
    """One number for each part of a model."""

    encoder: int
    decoder: int
    readout: int
    denoiser: int


@frozen
class Counts:
    """Sizes and costs of the parts of a model.

    Args:
        parameters: numbers of parameters; those of the denoiser include the embeddings of time and condition.
        flops: floating-point operations of matrix products, convolutions and attention, a multiplication and an
            addition counted as two: the encoder for one signal, the decoder for one latent, the readout for one more
            point, the denoiser for one evaluation of one latent.
    """

    parameters: PartCounts
    flops: PartCounts

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """A table."""
        per = {"encoder": "signal", "decoder": "latent", "readout": "point", "denoiser": "latent and evaluation"}
        parameters, flops = asdict(self.parameters), asdict(self.flops)
        rows = [("part", "parameters", "forward FLOPs", "per")]
        rows += [(part, f"{parameters[part]:,}", f"{flops[part]:,}", one) for part, one in per.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]


def count(parts: AnyParts, config: RunConfig) -> Counts:
    """Count the parts of a model on the meta device, which needs neither data nor memory for weights.

    The signal is that of `DomainParts.blank`. Data that would have classes count as one class. Parts that cannot be
    built or called on the meta device are counted on the CPU.

    Raises:
        ConfigError: if settings do not fit together.
        PluginError: if the parts cannot be called on the CPU either.
    """
    check_networks(parts, config)
    failures = []
    for device in DEVICES:
        try:
            return _count(parts, config, torch.device(device))
        except DdmiError:
            raise
        except Exception as error:  # whatever a part does that requires values
            failures.append(error)
    what = failures[-1]
    raise PluginError(
        f"domain {parts.domain.name!r}: its parts cannot be counted, because they fail on the signal of `blank`, also "
        f"on the CPU: {type(what).__name__}: {what}. Fix: define {type(parts).__name__}.blank, which returns a signal "
        "(B = 1) that the encoder takes"
    ) from what


def _count(parts: AnyParts, config: RunConfig, device: torch.device) -> Counts:
    layout = parts.domain.layout
    condition = build_condition(parts, config)
    with device:
        autoencoder = build_autoencoder(parts, config).to(device).eval()
    signal = move(parts.blank(), device)
    posterior, encoder = _counted(lambda: autoencoder.encode(signal))
    fields, decoder = _counted(lambda: autoencoder.decode(posterior.mean))
    one, two = (torch.zeros(1, points, len(layout.axes), device=device) for points in (1, 2))
    # The difference: layers that the extra columns modulate are scaled once for all points.
    readout = _counted(lambda: fields(two))[1] - _counted(lambda: fields(one))[1]
    shape = LatentShape.of(posterior.mean)
    with device:
        lengths = (condition.length, condition.token_length) if condition else (0, 0)
        diffusion = build_diffusion(parts.domain, config, shape, CLASSES, *lengths)
    diffusion = diffusion.to(device).eval()
    latent, times = torch.zeros(1, shape.length, device=device), torch.ones(1, device=device)
    given = diffusion.condition.none(1).to(device)
    _, denoiser = _counted(lambda: diffusion(latent, times, given))
    networks = (autoencoder.encoder, autoencoder.decoder, autoencoder.readout, diffusion)
    return Counts(PartCounts(*map(parameters, networks)), PartCounts(encoder, decoder, readout, denoiser))


def parameters(network: nn.Module) -> int:
    """Number of parameters of a network; a shared one counts once."""
    return sum(parameter.numel() for parameter in network.parameters())


def _counted(call: Callable[[], Any]) -> tuple[Any, int]:
    """The result of a call, and its floating-point operations."""
    # Attention by plain products: the counter does not know the fused kernel of the CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        result = call()
    return result, counter.get_total_flops()

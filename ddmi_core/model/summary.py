"""A model in a few lines: its domain, its networks, and how it draws samples."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from torch import nn

from ddmi_core.model.tuned import as_words, options_of

if TYPE_CHECKING:
    from ddmi_core.model.model import Model


def facts(model: Model) -> dict[str, str]:
    """What a user asks first, with a name for each."""
    own, domain = model.config.sampling, model.domain
    grids = ", ".join("x".join(map(str, grid)) for grid in dict.fromkeys(model.shape.grids))
    if not model.diffusion.conditioned:
        condition = "none"
    elif model.diffusion.classes:
        condition = f"{len(model.classes)} classes"
    else:
        condition = model.config.diffusion.condition
    return {
        "domain": f"{domain.name}: {domain.summary}",
        "latents": f"{len(model.shape.grids)} of {model.shape.channels} x {grids}",
        "parameters": f"autoencoder {_count(model.autoencoder)}, denoiser {_count(model.diffusion)}",
        "samples": as_words(options_of(own)),
        "condition": condition,
        "device": str(model.device),
    }


def as_text(model: Model) -> str:
    """Three lines."""
    found = facts(model)
    return (
        f"Model of {found['domain']}\n"
        f"  parameters: {found['parameters']}; on {found['device']}\n"
        f"  samples: {found['samples']}; condition: {found['condition']}"
    )


def as_table(model: Model) -> str:
    """HTML."""
    rows = (f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts(model).items())
    return f"<table>{''.join(rows)}</table>"


def _count(network: nn.Module) -> str:
    count = sum(weight.numel() for weight in network.parameters())
    return f"{count / 1e6:.3g} M" if count >= 1e5 else f"{count:,}"

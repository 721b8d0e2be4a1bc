"""A command that counts the parameters of a model."""

from __future__ import annotations

from pathlib import Path

import typer

import ddmi_core


def parameters(run: Path, millions: bool = False) -> None:
    """Count the parameters of the two networks of a RUN."""
    model = ddmi_core.load(run, device="cpu")
    for name, network in (("autoencoder", model.autoencoder), ("denoiser", model.diffusion)):
        count = sum(parameter.numel() for parameter in network.parameters())
        typer.echo(f"{name} {count / 1e6:.2f} M" if millions else f"{name} {count}")

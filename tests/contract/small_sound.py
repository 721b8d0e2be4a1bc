"""Where the plugin of sounds is, and settings under which checks of it are quick."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
# Small enough that a check takes a fraction of a second.
SMALL = (
    "domain.samples=512",
    "domain.count=6",
    "autoencoder.encoder.widths=[8, 16, 16]",
    "autoencoder.decoder.widths=[16, 16, 8]",
    "autoencoder.decoder.basis=[6, 4]",
    "autoencoder.readout.width=16",
    "diffusion.denoiser.width=32",
    "diffusion.denoiser.blocks=1",
)

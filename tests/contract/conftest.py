"""What the tests of the kit share: the plugin that keeps the contract, small, and its data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "ddmi-audio"))

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


@pytest.fixture(scope="session")
def sound():
    """The plugin that keeps the contract."""
    from ddmi_audio.plugin import AUDIO

    return AUDIO


@pytest.fixture(scope="session")
def subject(sound):
    """It, under examination."""
    from ddmi_core.testing import Subject

    with Subject(sound, settings=SMALL) as subject:
        yield subject

"""Provenance of latents and denoiser: the plugin and the autoencoder weights that their records name."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ddmi_core.api.domain import Domain
from ddmi_core.errors import CheckpointError
from ddmi_core.steps import AUTOENCODER  # also the entry with the digest of its weights
from ddmi_core.training.checkpoint import Checkpoint, load_final

NETWORK = "text_network"  # entry with the digest of the text network of conditions


def load_stage(domain: Domain, folder: Path, module: nn.Module) -> Checkpoint:
    """Load a stage's final weights into a module.

    Raises:
        CheckpointError: as for `load_final`, or if they belong to another plugin.
    """
    stored = load_final(folder, module)
    check_plugin(domain, stored)
    return stored


def check_plugin(domain: Domain, stored: Checkpoint) -> None:
    """Check that a stage's weights belong to the plugin of a domain; a stage without this record passes.

    Raises:
        CheckpointError: if they are of another one.
    """
    if (found := stored.record.get("plugin", domain.name)) != domain.name:
        raise CheckpointError(f"the weights in {stored.folder.parent} are of plugin {found!r}, not of {domain.name!r}")


def check_origin(stored: Checkpoint, weights: str) -> None:
    """Check that a stage was trained with an autoencoder; a stage without this record passes.

    Args:
        stored: the stage's final state.
        weights: digest of the autoencoder's weights.

    Raises:
        CheckpointError: if it was trained with other weights.
    """
    if stored.record.get(AUTOENCODER, weights) != weights:
        folder = stored.folder.parent
        raise CheckpointError(
            f"{folder} was created with other weights of the autoencoder than those now in the run; restore the "
            f"weights, or remove the folder {folder} and continue with ddmi run --resume"
        )

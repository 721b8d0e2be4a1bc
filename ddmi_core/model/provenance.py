"""Where a stage comes from: its record names its plugin and the autoencoder's weights that it was made with."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ddmi_core.api.domain import Domain
from ddmi_core.errors import CheckpointError
from ddmi_core.training.checkpoint import Checkpoint, load_final

AUTOENCODER = "autoencoder"  # entry with the digest of the autoencoder's weights


def load_stage(domain: Domain, folder: Path, module: nn.Module) -> Checkpoint:
    """Load a stage's final weights into a module.

    Raises:
        CheckpointError: as `load_final`, or if they belong to another plugin.
    """
    stored = load_final(folder, module)
    if (found := stored.record.get("plugin", domain.name)) != domain.name:
        raise CheckpointError(f"the weights in {folder} are of plugin {found!r}, not of {domain.name!r}")
    return stored


def check_origin(stored: Checkpoint, weights: str) -> None:
    """See that a stage was made with an autoencoder; one whose record does not say so is taken as it is.

    Args:
        stored: the stage's final state.
        weights: digest of the autoencoder's weights.

    Raises:
        CheckpointError: if it was made with others.
    """
    if stored.record.get(AUTOENCODER, weights) != weights:
        folder = stored.folder.parent
        raise CheckpointError(
            f"{folder} was made with other weights of the autoencoder than those that now lie beside it; "
            f"put the weights back, or remove the folder {folder} and go on with ddmi run --resume"
        )

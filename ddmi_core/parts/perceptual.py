"""The learned perceptual distance LPIPS, from the optional package `lpips`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ddmi_core.autoencoder.config import PerceptualConfig
from ddmi_core.errors import ConfigError, first_line

KEY = "autoencoder.perceptual"


def lpips_network(weights_file: str, asked: str, setting: str, otherwise: str) -> nn.Module:
    """LPIPS with a VGG backbone (arXiv 1801.03924): two batches of pictures in [-1, 1] to `(B, 1, 1, 1)`.

    Args:
        weights_file: a local state dictionary of the whole network (`lpips.LPIPS(net="vgg")`), `.safetensors` or
            `.pth`; if empty, the package downloads the backbone's weights.
        asked: the setting that requests it, for messages: `domain.lpips=vgg`.
        setting: the setting for the path of a file, for messages.
        otherwise: the alternative to it, for messages.

    Raises:
        ConfigError: if the package is missing, or the weights cannot be loaded.
    """
    try:
        import lpips
    except ImportError as error:
        raise ConfigError(f"{asked} requires an extra: pip install 'ddmi[lpips]'; or {otherwise}") from error
    try:
        network: nn.Module = lpips.LPIPS(
            net="vgg", pretrained=not weights_file, pnet_rand=bool(weights_file), verbose=False
        )
        if weights_file:
            network.load_state_dict(_state(Path(weights_file)))
    except (OSError, EOFError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise ConfigError(
            f"the weights of LPIPS cannot be loaded ({first_line(error)}); set {setting} to a local file of the whole "
            "network"
        ) from error
    return network.eval()


def _state(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class LpipsTerm(nn.Module):
    """LPIPS with a VGG backbone (arXiv 1801.03924).

    Attributes:
        axes: of the patches that the term gets; of patches with more axes, a random position along the slower ones.
        smallest: pixels along each axis that it needs, since the backbone halves a picture four times.

    Args:
        options: `weights_file` is a local state dictionary of the whole network (`lpips.LPIPS(net="vgg")`),
            `.safetensors` or `.pth`. Without it the package downloads the weights of the backbone.

    Raises:
        ConfigError: if the package or the weights are missing.
    """

    axes = 2
    smallest = 32

    def __init__(self, options: PerceptualConfig) -> None:
        super().__init__()
        asked, otherwise = f"{KEY}.kind=lpips", "choose multiscale, which needs no weights"
        self.network = lpips_network(options.weights_file, asked, f"{KEY}.weights_file", otherwise)

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        """Mean distance between predicted and true patches `(B, 3, H, W)` in [-1, 1]: a scalar."""
        distance: Tensor = self.network(values, targets).mean()
        return distance

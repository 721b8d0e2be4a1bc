"""The learned perceptual distance LPIPS as a training term; it comes with the extra `lpips`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ddmi_core.errors import ConfigError
from ddmi_core.parts import PerceptualConfig

KEY = "autoencoder.perceptual"
SMALLEST = 32  # the backbone halves a picture four times


class LpipsTerm(nn.Module):
    """LPIPS with a VGG backbone (arXiv 1801.03924) on patches of at least 32 pixels a side.

    Args:
        options: `weights_file` names a local state dictionary of the whole network (`lpips.LPIPS(net="vgg")`),
            `.safetensors` or `.pth`. Without it the package fetches the backbone's weights, which needs a network.

    Raises:
        ConfigError: if the package is missing, or the weights cannot be had.
    """

    def __init__(self, options: PerceptualConfig) -> None:
        super().__init__()
        try:
            import lpips
        except ImportError as error:
            raise ConfigError(
                f"{KEY}.kind=lpips needs the extra: pip install 'ddmi[lpips]'; "
                "or choose multiscale, which needs no weights"
            ) from error
        given = options.weights_file
        try:
            self.network: nn.Module = lpips.LPIPS(net="vgg", pretrained=not given, pnet_rand=bool(given), verbose=False)
            if given:
                self.network.load_state_dict(_state(Path(given)))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise ConfigError(
                f"the weights of LPIPS cannot be loaded ({error}); "
                f"name a local file of the whole network by {KEY}.weights_file"
            ) from error
        self.network.eval()

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        """Mean distance of predicted and true patches `(B, 3, H, W)` in [-1, 1]: a scalar.

        Raises:
            ConfigError: if the patches are too small for the backbone.
        """
        if min(values.shape[2:]) < SMALLEST:
            raise ConfigError(
                f"LPIPS needs patches of {SMALLEST} x {SMALLEST} pixels, these have "
                f"{' x '.join(map(str, values.shape[2:]))}; set autoencoder.points to at least {SMALLEST**2}"
            )
        distance: Tensor = self.network(values, targets).mean()
        return distance


def _state(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state

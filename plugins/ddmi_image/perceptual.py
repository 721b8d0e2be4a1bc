"""The perceptual loss LPIPS, which needs the extra `lpips`."""

from __future__ import annotations

from torch import Tensor, nn

from ddmi_core.errors import ConfigError
from ddmi_core.parts import PerceptualConfig, lpips_network

KEY = "autoencoder.perceptual"
SMALLEST = 32  # pixels; the backbone halves a picture four times


class LpipsTerm(nn.Module):
    """LPIPS with a VGG backbone (arXiv 1801.03924), on patches of at least 32 x 32 pixels.

    Args:
        options: `weights_file` is a local state dictionary of the whole network (`lpips.LPIPS(net="vgg")`),
            `.safetensors` or `.pth`. Without it the package downloads the weights of the backbone.

    Raises:
        ConfigError: if the package or the weights are missing.
    """

    def __init__(self, options: PerceptualConfig) -> None:
        super().__init__()
        asked, otherwise = f"{KEY}.kind=lpips", "choose multiscale, which needs no weights"
        self.network = lpips_network(options.weights_file, asked, f"{KEY}.weights_file", otherwise)

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        """Mean distance between predicted and true patches `(B, 3, H, W)` in [-1, 1]: a scalar.

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

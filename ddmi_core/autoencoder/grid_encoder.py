"""A ready encoder for signals on grids of one to three axes, projected to the planes of a layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api.interfaces import Encoder
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.fields.blocks import ResidualBlock, convolution, groups, patches
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.posterior import Posterior


class GridEncoder(Encoder):
    """Convolutional stages that halve the grid, then a projection to each plane.

    A plane that spans fewer axes than the grid receives the mean over the other axes.

    Args:
        grid: function from a signal to its grid `(B, channels, *grid)`, slowest axis first.
        channels: channels of that grid.
        layout: its axes are the grid's axes.
        latent_channels: C of the latent.
        config: widths, blocks, and how cells are joined.

    Raises:
        ValueError: if the configuration does not fit the number of axes.

    Example:
        >>> layout = Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t")))
        >>> encoder = GridEncoder(lambda signal: signal, 3, layout, 4, EncoderConfig(widths=(8, 16)))
        >>> [tuple(plane.shape) for plane in encoder(torch.zeros(1, 3, 6, 8, 10)).mean]
        [(1, 4, 4, 5), (1, 4, 3, 4), (1, 4, 3, 5)]
    """

    def __init__(
        self,
        grid: Callable[[Any], Tensor],
        channels: int,
        layout: Layout,
        latent_channels: int,
        config: EncoderConfig,
    ) -> None:
        super().__init__()
        axes = len(layout.axes)
        if config.patch and len(config.patch) != axes:
            raise ValueError(f"encoder.patch={config.patch} needs a number for each of {axes} axes, slowest first")
        if config.factorised and axes != 3:
            raise ValueError(f"encoder.factorised needs a grid of three axes; this one has {axes}")
        self.grid, self.layout = grid, layout
        first = config.widths[0]
        self.stem = patches(axes, channels, first, config.patch) if config.patch else convolution(axes, channels, first)
        stages: list[nn.Module] = []
        before = first
        for number, width in enumerate(config.widths):
            if number:
                stages.append(convolution(axes, before, width, stride=2))
            stages.extend(
                ResidualBlock(axes, width, width, kernel) for _ in range(config.blocks) for kernel in _kernels(config)
            )
            before = width
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(groups(before), before)
        self.heads = nn.ModuleList(convolution(len(plane), before, 2 * latent_channels, 1) for plane in layout.planes)

    def forward(self, signal: Any) -> Posterior:
        """Posterior with one latent a plane: `(B, C, *grid)`, divided by the patch and by 2^(stages - 1)."""
        features = F.silu(self.norm(self.stages(self.stem(self.grid(signal)))))
        axes = len(self.layout.axes)
        means, log_variances = [], []
        for head, columns in zip(self.heads, self.layout.columns, strict=True):
            # Column c of the coordinates is dimension -1 - c of a grid.
            away = [-1 - column for column in range(axes) if column not in columns]
            plane = features.mean(dim=away) if away else features
            if columns[0] > columns[-1]:
                plane = plane.transpose(-1, -2)
            mean, log_variance = head(plane).chunk(2, dim=1)
            means.append(mean)
            log_variances.append(log_variance.clamp(-20, 10))
        return Posterior(Planes(means), Planes(log_variances))


def _kernels(config: EncoderConfig) -> tuple[int | tuple[int, ...], ...]:
    """Kernels of the residual blocks that follow each other."""
    return ((1, 3, 3), (3, 1, 1)) if config.factorised else (3,)

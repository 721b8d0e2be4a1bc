"""Interface of the denoising networks."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.errors import ConfigError
from ddmi_core.fields.layout import Layout
from ddmi_core.networks import Maps


class PlaneDenoiser(nn.Module, ABC):
    """A network over the planes of a latent. An untrained one predicts zero.

    Args:
        layout: planes and axes.
        channels: channels of the latent.
        condition: width of the conditioning vector.
        config: sizes.
    """

    @abstractmethod
    def __init__(self, layout: Layout, channels: int, condition: int, config: DenoiserConfig) -> None:
        super().__init__()

    def attend(self, width: int) -> None:
        """Add cross-attention to the tokens of a condition; `forward` then gets a third argument, a `Context`.

        Args:
            width: channels of a token of the context.

        Raises:
            ConfigError: by default, because the network cannot attend to tokens.
        """
        raise ConfigError(
            f"diffusion.condition gives sequences of tokens, which the denoiser {type(self).__name__} cannot attend "
            "to. Fix: set diffusion.denoiser.kind to unet or transformer, or choose a condition that gives vectors"
        )

    @abstractmethod
    def forward(self, maps: Maps, condition: Tensor) -> Maps:
        """Map one noisy `(B, C, H, W)` per plane, and `(B, condition)`, to predictions of the same shapes."""

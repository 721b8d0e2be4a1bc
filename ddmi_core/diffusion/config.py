"""Settings of the latent diffusion model: path, prediction target, denoiser and condition."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_core.registry.extensions import Named
from ddmi_core.training.config import TrainingConfig


@frozen
class PathConfig:
    """The path from data to noise.

    Args:
        kind: `variance_preserving` (the paper), `rectified_flow`, or a path of an extension.
        steps, beta_start, beta_end: the paper's discrete schedule (variance preserving only).
        shift: shift of the training and sampling times of the rectified flow towards noise (1: no shift).
    """

    kind: str = field(default="rectified_flow", validator=Named("paths"))
    steps: int = field(default=1000, validator=validators.ge(2))
    beta_start: float = field(default=0.0015, validator=validators.gt(0))
    beta_end: float = field(default=0.0195, validator=[validators.gt(0), validators.lt(1)])
    shift: float = field(default=1.0, validator=validators.gt(0))


@frozen
class DenoiserConfig:
    """Sizes of the denoiser.

    Args:
        kind: `unet` (plane-aware U-Net, as in the paper), `transformer` (over the tokens of all planes), or a denoiser
            of an extension.
        width: channels (U-Net: of the finest level; transformer: of a token).
        multipliers: U-Net: channels of each level as multiples of the width.
        blocks: U-Net: residual blocks per level; transformer: layers.
        heads: attention heads.
        patch: transformer: cells along each axis per token.
    """

    kind: str = field(default="unet", validator=Named("denoisers"))
    width: int = field(default=64, validator=validators.ge(8))
    multipliers: tuple[int, ...] = field(default=(1, 2, 2), validator=validators.min_len(1))
    blocks: int = field(default=1, validator=validators.ge(1))
    heads: int = field(default=4, validator=validators.ge(1))
    patch: int = field(default=1, validator=validators.ge(1))


@frozen
class DiffusionConfig:
    """Latent diffusion.

    Args:
        target: prediction target of the network: `noise`, `data`, `velocity`, or one of an extension.
        condition: `none`, `class`, the name of a condition of the domain, or the path of a text network (TorchScript,
            `.pt`, `.pth` or `.ts`) for captions.
        drop_condition: share of training signals whose condition is dropped (classifier-free guidance).
        copies: encoded variants of each signal in the latent cache: one original, the others augmented.
    """

    target: str = field(default="velocity", validator=Named("targets"))
    condition: str = "class"
    drop_condition: float = field(default=0.1, validator=[validators.ge(0), validators.le(1)])
    copies: int = field(default=1, validator=validators.ge(1))
    path: PathConfig = PathConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    training: TrainingConfig = TrainingConfig()

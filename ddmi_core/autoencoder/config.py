"""Settings of the D2C-VAE: sizes of its parts, losses and training."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_core.fields.config import ReadoutConfig
from ddmi_core.training.config import TrainingConfig


@frozen
class EncoderConfig:
    """Sizes of an encoder.

    Args:
        widths: channels of each stage, finest first; each stage after the first halves the grid.
        blocks: residual blocks per stage.
        patch: grid encoders: cells along each axis, slowest first, that the first layer merges into one.
        factorised: grid encoders with three axes: alternate convolutions over the two faster axes and along the
            slowest one, at less than half of the cost.
    """

    widths: tuple[int, ...] = field(default=(32, 64, 96), validator=validators.min_len(1))
    blocks: int = field(default=1, validator=validators.ge(1))
    patch: tuple[int, ...] = field(default=(), validator=validators.deep_iterable(validators.ge(1)))
    factorised: bool = False


@frozen
class DecoderConfig:
    """Sizes of a basis-field decoder.

    Args:
        widths: channels of each stage, coarsest first; each stage after the first doubles the grid.
        blocks: residual blocks per stage.
        basis: channels of the basis fields of each scale, coarse to fine. The last `len(basis)` stages emit
            one scale each; `(C,)` is a single scale at the finest stage.
    """

    widths: tuple[int, ...] = field(default=(96, 64, 32), validator=validators.min_len(1))
    blocks: int = field(default=1, validator=validators.ge(1))
    basis: tuple[int, ...] = field(default=(64, 48, 32), validator=validators.min_len(1))

    def __attrs_post_init__(self) -> None:
        """Check that there is a stage for each scale."""
        if len(self.basis) > len(self.widths):
            raise ValueError(
                f"basis has {len(self.basis)} scales but widths only {len(self.widths)} stages. "
                "Fix: give each scale a stage"
            )


@frozen
class PerceptualConfig:
    """Options of the perceptual term.

    Args:
        kind: name of a perceptual term of the domain, for example `multiscale`, or `none`.
        weight: weight of the term in the loss.
        weights_file: path of a local weight file, for terms that need one.
    """

    kind: str = "multiscale"
    weight: float = field(default=0.5, validator=validators.ge(0))
    weights_file: str = ""


@frozen
class AdversarialConfig:
    """Options of the adversarial second phase (the paper's stage 1 follows VQGAN here).

    Args:
        start: first step that trains the discriminator; 0 disables it.
        weight: weight of the generator's adversarial loss, relative to the reconstruction's gradient.
        width: channels of the discriminator's first layer.
        rate: learning rate of the discriminator.
    """

    start: int = field(default=0, validator=validators.ge(0))
    weight: float = field(default=0.1, validator=validators.ge(0))
    width: int = field(default=32, validator=validators.ge(1))
    rate: float = field(default=2e-4, validator=validators.gt(0))


@frozen
class AutoencoderConfig:
    """The D2C-VAE.

    Args:
        latent_channels: C of the latent.
        points: coordinates per signal at which the loss is evaluated.
        kl: final weight of the KL divergence per latent element, relative to the loss per value element.
        kl_anneal: steps over which this weight increases from zero; below 1, as a share of `training.steps`.
        equivariance: weight of the scale-equivariance regulariser (arXiv 2502.14831); 0 disables it.
    """

    latent_channels: int = field(default=4, validator=validators.ge(1))
    points: int = field(default=1024, validator=validators.ge(1))
    kl: float = field(default=1e-5, validator=validators.ge(0))
    kl_anneal: float = field(default=500, validator=validators.ge(0))
    equivariance: float = field(default=0.0, validator=validators.ge(0))
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    readout: ReadoutConfig = ReadoutConfig()
    perceptual: PerceptualConfig = PerceptualConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    training: TrainingConfig = TrainingConfig()

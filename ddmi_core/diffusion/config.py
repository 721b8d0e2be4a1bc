"""Settings of the latent diffusion model: path, prediction target, denoiser and condition."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_core.bounds import MOST_BLOCKS, MOST_WIDTH, above, each_within, inside, within
from ddmi_core.registry.extensions import Named
from ddmi_core.steps import LATENTS, acts_on, since
from ddmi_core.training.config import TrainingConfig


@frozen
class PathConfig:
    """The path from data to noise.

    Args:
        kind: `variance_preserving` (the authors' path), `rectified_flow`, or a path of an extension.
        schedule: of the betas (variance preserving only): `scaled_linear`, whose square roots are linear, as in the
            authors' code and latent diffusion (arXiv 2112.10752), or `linear` (DDPM, arXiv 2006.11239).
        steps, beta_start, beta_end: the discrete schedule (variance preserving only); the defaults are the authors'.
        shift: shift of the training and sampling times of the rectified flow towards noise (1: no shift).
    """

    kind: str = field(default="rectified_flow", validator=Named("paths"))
    schedule: str = field(default="scaled_linear", validator=validators.in_(("scaled_linear", "linear")))
    steps: int = field(default=1000, validator=within(2, 1_000_000))
    beta_start: float = field(default=0.0015, validator=inside(0, 1))
    beta_end: float = field(default=0.0195, validator=inside(0, 1))
    shift: float = field(default=1.0, validator=above(0, 1e6))

    def __attrs_post_init__(self) -> None:
        """Check the order of the betas."""
        if self.beta_start > self.beta_end:
            raise ValueError(
                f"beta_start is {self.beta_start:g} and beta_end {self.beta_end:g}; the noise of a step must not "
                "decrease. Fix: give a beta_end that is not below beta_start"
            )


@frozen
class DenoiserConfig:
    """Sizes of the denoiser.

    Args:
        kind: `unet` (U-Net over the planes), `transformer` (over the tokens of all planes), or a denoiser
            of an extension.
        width: channels (U-Net: of the finest level; transformer: of a token).
        multipliers: U-Net: channels of each level as multiples of the width.
        blocks: U-Net: residual blocks per level; transformer: layers.
        heads: attention heads, a divisor of each width with attention.
        head_channels: channels of each attention head, a divisor of each width with attention, from which the number
            of heads follows; 0 uses `heads`.
        attention: U-Net: levels with attention after each block, as downsampling factors: 1, 2, 4, ... Between the
            way down and the way up there is always attention.
        skips: U-Net: `level` connects the last block of each level to the way up; `block` connects every layer, as
            ADM (arXiv 2105.05233): one block more per level on the way up, a convolution after each enlargement, and
            a residual block before and after the attention between both ways.
        planes: U-Net: `shared` applies the same weights to each plane, and exchanges features along common axes after
            each block; `attending` exchanges them by attention over the cells of all planes instead; `joined` treats
            planes of equal grids as one map with the channels of all.
        patch: transformer: cells along each axis per token.
    """

    kind: str = field(default="unet", validator=Named("denoisers"))
    width: int = field(default=64, validator=within(8, MOST_WIDTH))
    multipliers: tuple[int, ...] = field(default=(1, 2, 2), validator=each_within(1, MOST_BLOCKS, least=1))
    blocks: int = field(default=1, validator=within(1, MOST_BLOCKS))
    heads: int = field(default=4, validator=within(1, MOST_WIDTH))
    head_channels: int = field(default=0, validator=within(0, MOST_WIDTH))
    attention: tuple[int, ...] = field(default=(), validator=each_within(1, MOST_WIDTH))
    skips: str = field(default="level", validator=validators.in_(("level", "block")))
    planes: str = field(default="shared", validator=validators.in_(("shared", "attending", "joined")))
    patch: int = field(default=1, validator=within(1, MOST_WIDTH))

    def __attrs_post_init__(self) -> None:
        """Check that the levels with attention exist."""
        factors = [2**level for level in range(len(self.multipliers))]
        if unknown := [factor for factor in self.attention if factor not in factors]:
            raise ValueError(
                f"attention names the level {unknown[0]}, but the {len(factors)} multipliers give levels with the "
                f"downsampling factors {', '.join(map(str, factors))}. Fix: name some of these, or add a multiplier"
            )

    def heads_of(self, width: int) -> int:
        """Number of attention heads for tokens of so many channels.

        Raises:
            ValueError: if `head_channels` does not divide these.
        """
        if not self.head_channels:
            return self.heads
        heads, rest = divmod(width, self.head_channels)
        if rest:
            fitting = max(number for number in range(1, self.head_channels) if not width % number)
            raise ValueError(
                f"head_channels = {self.head_channels} does not divide a width of {width} channels with attention. "
                f"Fix: set head_channels to {fitting}, or change the width"
            )
        return heads


@frozen
class DiffusionConfig:
    """Latent diffusion.

    Args:
        target: prediction target of the network: `noise`, `data`, `velocity`, or one of an extension.
        mixed: mix the network's prediction with the optimal one for standard normal latents, in a share that is learned
            for each plane and channel (LSGM, arXiv 2106.05931, section 3.2; on in the authors' configurations).
        condition: `none`, `class`, the name of a condition of the domain, or the path of a text network (TorchScript,
            `.pt`, `.pth` or `.ts`) for captions.
        drop_condition: share of training signals whose condition is dropped (classifier-free guidance).
        few_steps: share of each batch that trains the average velocity over an interval of times instead of the
            velocity at one time, for the sampler `mean_flow` with one to four steps; 0 switches it off. It requires the
            target `velocity`, and two more calls of the network without gradients for that share.
        latents: `cached`: means of the posterior, encoded once; `fresh`: at every step, signals are augmented and
            encoded again, and latents drawn from their posterior, as in the authors' code. Fresh latents cost a pass
            of the encoder a step.
        copies: encoded variants of each signal in the latent cache: one original, the others augmented.
        stored: type in which cached latents are stored: `fp32`, or `bf16` or `fp16`, which halve their files and round
            latents to 8 or 11 significant bits.
    """

    target: str = field(default="velocity", validator=Named("targets"))
    mixed: bool = False
    condition: str = field(default="class", metadata=acts_on(*since(LATENTS)))
    drop_condition: float = field(default=0.1, validator=within(0, 1))
    few_steps: float = field(default=0.0, validator=within(0, 0.9))
    latents: str = field(
        default="cached", validator=validators.in_(("cached", "fresh")), metadata=acts_on(*since(LATENTS))
    )
    copies: int = field(default=1, validator=within(1, 10_000), metadata=acts_on(*since(LATENTS)))
    stored: str = field(
        default="fp32", validator=validators.in_(("fp32", "bf16", "fp16")), metadata=acts_on(*since(LATENTS))
    )
    path: PathConfig = PathConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    training: TrainingConfig = TrainingConfig()

    def __attrs_post_init__(self) -> None:
        """Check the number of steps, that copies are of cached latents, and average velocities of velocities."""
        if not self.training.steps:
            raise ValueError("training.steps is 0, which the autoencoder alone takes. Fix: set it to 1 or more")
        if self.few_steps and self.target != "velocity":
            raise ValueError(
                f"few_steps is {self.few_steps:g}, but target is {self.target!r}, and an average velocity is one of "
                "velocities. Fix: set target to 'velocity', or few_steps to 0"
            )
        if self.latents == "fresh" and self.copies > 1:
            raise ValueError(
                f"copies is {self.copies}, but latents is 'fresh', which augments signals at every step and caches no "
                "copies. Fix: set copies to 1, or latents to 'cached'"
            )

"""Settings of the D2C-VAE: sizes of its parts, losses and training."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, fields_dict, frozen, validators

from ddmi_core.bounds import MOST_BLOCKS, MOST_POINTS, MOST_STEPS, MOST_WEIGHT, MOST_WIDTH, above, each_within, within
from ddmi_core.fields.config import ReadoutConfig
from ddmi_core.training.config import MOST_RATE, TrainingConfig

KINDS = ("convolution", "transformer")
TRANSITIONS = ("convolution", "block")
_TRANSFORMER_ONLY = ("head_width", "plane_blocks")
_CONVOLUTION_ONLY = ("transition", "middle", "joined", "attention", "wide_heads", "factorised")


@frozen
class StagesConfig:
    """Sizes that encoders and decoders have in common.

    Args:
        blocks: residual blocks per stage; transformer: layers.
        transition: what maps one stage's width to the next one's: `convolution`, the one that changes the size of the
            grid, or `block`, the first residual block after it.
        middle: add a block, attention and a block at the coarsest stage, on each plane or on the grid.
        joined: join planes in blocks of their own after each stage (see `JoinedPlanes`), instead of adding lines of
            each other's features; not for encoders with stages on a grid.
        attention: factors by which the grid of a stage is smaller than the finest one's (1, 2, 4, ...), after which
            there is attention over all cells, of all planes together; for the coarsest stage of several planes, after
            the middle too. Its cost grows with the square of the number of cells.
        heads: heads of every attention, a divisor of its width.
        wide_heads: give each head of `attention` as many channels as the stage.
    """

    blocks: int = field(default=1, validator=within(1, MOST_BLOCKS))
    transition: str = field(default="convolution", validator=validators.in_(TRANSITIONS))
    middle: bool = False
    joined: bool = False
    attention: tuple[int, ...] = field(default=(), validator=each_within(1, MOST_WIDTH))
    heads: int = field(default=1, validator=within(1, MOST_WIDTH))
    wide_heads: bool = False

    def _check(self, widths: Sequence[int]) -> None:
        """Refuse settings of attention and of transitions that would have no effect."""
        if self.wide_heads and not self.attention:
            raise ValueError("wide_heads = true has no effect without attention. Fix: set `attention`, or remove it")
        if self.heads > 1 and not (self.middle or self.joined or self.attention):
            raise ValueError(
                f"heads = {self.heads} has no effect without attention. Fix: set `middle`, `joined` or `attention`, or "
                "remove `heads`"
            )
        if self.transition == "block" and len(widths) == 1:
            raise ValueError(
                'transition = "block" has no effect with a single stage. Fix: give `widths` another one, or remove it'
            )


@frozen
class EncoderConfig(StagesConfig):
    """Sizes of an encoder.

    Args:
        kind: `convolution`, or `transformer`: attention over patches of a grid (see `GridTransformer`).
        widths: channels of each stage, finest first; each stage after the first halves the grid. Transformer: one
            width, that of a token.
        head_width: transformer: channels of a head; 0 divides the width among the heads.
        plane_blocks: transformer: layers of each plane along the axes that it lacks.
        patch: grid encoders: cells along each axis, slowest first, that the first layer merges into one.
        factorised: grid encoders with three axes: alternate convolutions over the two faster axes and along the
            slowest one, at less than half of the cost.
        point_width: point encoders: channels of the network on points; 0 for those of the first stage.
        point_blocks: point encoders: residual blocks of the network on points.
    """

    kind: str = field(default="convolution", validator=validators.in_(KINDS))
    widths: tuple[int, ...] = field(default=(32, 64, 96), validator=each_within(1, MOST_WIDTH, least=1))
    head_width: int = field(default=0, validator=within(0, MOST_WIDTH))
    plane_blocks: int = field(default=1, validator=within(0, MOST_BLOCKS))
    patch: tuple[int, ...] = field(default=(), validator=each_within(1, MOST_WIDTH))
    factorised: bool = False
    point_width: int = field(default=0, validator=within(0, MOST_WIDTH))
    point_blocks: int = field(default=3, validator=within(1, MOST_BLOCKS))

    def __attrs_post_init__(self) -> None:
        """Check that every setting has an effect."""
        convolves, default = self.kind == "convolution", fields_dict(EncoderConfig)
        for name in _TRANSFORMER_ONLY if convolves else _CONVOLUTION_ONLY:
            if getattr(self, name) != default[name].default:
                raise ValueError(
                    f'encoder.{name} has no effect with encoder.kind = "{self.kind}". Fix: remove encoder.{name}, or '
                    f'set encoder.kind = "{KINDS[convolves]}"'
                )
        if convolves:
            self._check(self.widths)
        elif len(self.widths) > 1:
            raise ValueError(
                f'encoder.widths has {len(self.widths)} stages, but the tokens of encoder.kind = "{self.kind}" have '
                "one width. Fix: give one width, and encoder.patch for the size of a token"
            )


@frozen
class DecoderConfig(StagesConfig):
    """Sizes of a basis-field decoder.

    Args:
        widths: channels of each stage, coarsest first; each stage after the first doubles the grid.
        basis: channels of the basis fields of each scale, coarse to fine. The last `len(basis)` stages emit
            one scale each; `(C,)` is a single scale at the finest stage.
        fixed: names of axes of the planes that no stage doubles, for example a short axis that the latent already
            resolves.
    """

    widths: tuple[int, ...] = field(default=(96, 64, 32), validator=each_within(1, MOST_WIDTH, least=1))
    basis: tuple[int, ...] = field(default=(64, 48, 32), validator=each_within(1, MOST_WIDTH, least=1))
    fixed: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Check that there is a stage for each scale, and that every setting has an effect."""
        self._check(self.widths)
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
    weight: float = field(default=0.5, validator=within(0, MOST_WEIGHT))
    weights_file: str = ""


@frozen
class AdversarialConfig:
    """Options of the adversarial terms (VQGAN, arXiv 2012.09841, equations 4 to 7).

    Args:
        start: first step that trains the discriminator; 0 disables it.
        weight: weight of the generator's adversarial loss.
        width: channels of the discriminator's first layer.
        rate: learning rate of the discriminator.
        kind: `small`, or `patchgan`, which sees 70 cells and the extra columns of the layout, such as the footprint.
        axes: numbers of grid axes of the discriminators. One of fewer axes than a patch gets the patch at a random
            position along its slower axes. Without numbers, there is one discriminator of all axes.
        adaptive: whether `weight` is relative to the reconstruction's gradient, or else to the loss per value element.
        features: weight of feature matching, relative to the loss per value element.
    """

    start: int = field(default=0, validator=within(0, MOST_STEPS))
    weight: float = field(default=0.1, validator=within(0, MOST_WEIGHT))
    width: int = field(default=32, validator=within(1, MOST_WIDTH))
    rate: float = field(default=2e-4, validator=above(0, MOST_RATE))
    kind: str = field(default="small", validator=validators.in_(("small", "patchgan")))
    axes: tuple[int, ...] = field(default=(), validator=each_within(1, MOST_WIDTH))
    adaptive: bool = True
    features: float = field(default=0.0, validator=within(0, MOST_WEIGHT))


@frozen
class AutoencoderConfig:
    """The D2C-VAE.

    Args:
        latent_channels: C of the latent.
        points: coordinates per signal at which the loss is evaluated.
        patch: cells along each axis, slowest first, of a regular patch that is drawn for perceptual and adversarial
            terms beside the points; empty if the points are a patch, or for no such terms.
        kl: final weight of the KL divergence per latent element, relative to the loss per value element.
        kl_anneal: steps over which this weight increases from zero; below 1, as a share of `training.steps`.
        spectral: final weight of the penalty on the largest singular values of the convolutions of encoder and decoder,
            relative to the loss per value element; 0 disables it.
        spectral_start: its weight at the start, from which it changes geometrically over `kl_anneal`; 0 keeps it
            constant.
        equivariance: weight of the scale-equivariance term (arXiv 2502.14831): a latent averaged over blocks of 2, 3 or
            4 cells must decode to the field averaged over such blocks; 0 disables it.
    """

    latent_channels: int = field(default=4, validator=within(1, MOST_WIDTH))
    points: int = field(default=1024, validator=within(1, MOST_POINTS))
    patch: tuple[int, ...] = field(default=(), validator=each_within(1, MOST_WIDTH))
    kl: float = field(default=1e-5, validator=within(0, MOST_WEIGHT))
    kl_anneal: float = field(default=500, validator=within(0, MOST_STEPS))
    spectral: float = field(default=0.0, validator=within(0, MOST_WEIGHT))
    spectral_start: float = field(default=0.0, validator=within(0, MOST_WEIGHT))
    equivariance: float = field(default=0.0, validator=within(0, MOST_WEIGHT))
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    readout: ReadoutConfig = ReadoutConfig()
    perceptual: PerceptualConfig = PerceptualConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    training: TrainingConfig = TrainingConfig()

    def __attrs_post_init__(self) -> None:
        """Check that the setting of the other stage is left out."""
        if self.training.shard:
            raise ValueError("training.shard is for the denoiser: set diffusion.training.shard")
        if self.training.snapshot:
            raise ValueError("training.snapshot is for the denoiser: set diffusion.training.snapshot")

"""Settings of the readout."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_core.bounds import MOST_BLOCKS, MOST_WIDTH, within

ACTIVATIONS = ("relu", "silu", "gelu")


@frozen
class ReadoutConfig:
    """Sizes of the readout.

    Args:
        width: hidden units of every layer.
        depth: layers of each block; one block per scale.
        joining: `coarse_to_fine` concatenates each finer embedding to a deeper hidden state (the paper's CFC,
            section 3.2); `input` concatenates all embeddings at the input of a network of the same depth.
        planes: how the embeddings of the planes of one scale are combined, `sum` or `concatenate`.
        activation: `relu`, `silu` or `gelu`.
        residual: each block adds the result of its layers to the hidden state (arXiv 1603.05027).
        tail: blocks after that of the finest scale, which take the hidden state alone.
        modulated: the extra columns of the layout scale the inputs of every layer, whose outputs keep their scale
            (StyleGAN2, arXiv 1912.04958, section 2.2). Constant columns cost nothing per point.
    """

    width: int = field(default=32, validator=within(1, MOST_WIDTH))
    depth: int = field(default=1, validator=within(1, MOST_BLOCKS))
    joining: str = field(default="coarse_to_fine", validator=validators.in_(("coarse_to_fine", "input")))
    planes: str = field(default="sum", validator=validators.in_(("sum", "concatenate")))
    activation: str = field(default="relu", validator=validators.in_(ACTIVATIONS))
    residual: bool = False
    tail: int = field(default=0, validator=within(0, MOST_BLOCKS))
    modulated: bool = False

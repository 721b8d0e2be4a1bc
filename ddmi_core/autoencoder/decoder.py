"""Decoder from latents to basis fields at several scales, for any layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api.interfaces import BasisFieldDecoder
from ddmi_core.autoencoder.config import DecoderConfig
from ddmi_core.autoencoder.plane_blocks import (
    PlaneMiddle,
    attended,
    attentions,
    exchange,
    plane_kernel,
    residual_blocks,
)
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.networks import (
    Maps,
    Stages,
    Wraps,
    apply,
    apply_shared,
    as_maps,
    as_planes,
    convolution,
    group_norm,
    map_wraps,
)


class PlaneDecoder(BasisFieldDecoder):
    """Emits basis fields coarse to fine from successive stages of its up-sampling path (HDBF).

    Planes share weights, have their own learned offset, and exchange features along common axes. With `joined`, blocks
    with weights of their own for each plane follow every stage.

    Args:
        layout: planes of the latent and of the basis fields.
        latent_channels: C of the latent.
        config: widths, blocks and channels of the scales.

    Raises:
        ValueError: if `fixed` names an axis that no plane spans, `attention` a stage that does not exist, or no planes
            can be joined.

    Example:
        >>> layout = Layout(axes=("t",), planes=(("t",),))
        >>> decoder = PlaneDecoder(layout, 4, DecoderConfig(widths=(16, 8), basis=(6, 4)))
        >>> [tuple(scale[0].shape) for scale in decoder(Planes([torch.zeros(2, 4, 5)]))]
        [(2, 6, 5), (2, 4, 10)]
    """

    def __init__(self, layout: Layout, latent_channels: int, config: DecoderConfig) -> None:
        super().__init__()
        self.layout, self.channels = layout, config.basis
        self.wraps = map_wraps(layout)
        kernel = plane_kernel(layout)
        if unknown := sorted(set(config.fixed) - {axis for plane in layout.planes for axis in plane}):
            raise ValueError(
                f"decoder.fixed names {', '.join(unknown)}, which no plane spans. Fix: choose among the axes "
                f"{', '.join(layout.plane_axes)}"
            )
        first = config.widths[0]
        self.stem = convolution(2, latent_channels, first, kernel)
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(first, 1, 1)) for _ in layout.planes)
        self.entries, self.stages, self.exchanges, self.heads = (nn.ModuleList() for _ in range(4))
        first_scale = len(config.widths) - len(config.basis)  # stages before it emit no basis fields
        before = first
        for number, width in enumerate(config.widths):
            entered = before if config.transition == "block" else width
            self.entries.append(convolution(2, before, entered, kernel) if number else nn.Identity())
            self.stages.append(Stages(*residual_blocks(2, entered, width, config, [kernel])))
            self.exchanges.append(exchange(layout, width, config))
            if number >= first_scale:
                head = Stages(
                    group_norm(width),
                    nn.SiLU(),
                    convolution(2, width, config.basis[number - first_scale], kernel),
                )
                self.heads.append(head)
            else:
                self.heads.append(nn.Identity())
            before = width
        self.first_scale = first_scale
        factors = [2**number for number in reversed(range(len(config.widths)))]
        self.attentions = attentions(config.widths, factors, config)
        self.middle = PlaneMiddle(layout, first, config, factors[0]) if config.middle else None
        # Scale factors of H and W; a line has H = 1.
        growth = [[1.0 if axis in config.fixed else 2.0 for axis in plane] for plane in layout.planes]
        self.doubled = [(sizes[1] if len(sizes) == 2 else 1.0, sizes[0]) for sizes in growth]

    def forward(self, latent: Planes) -> tuple[Planes, ...]:
        """Basis fields `(B, C_s, *grid * 2^s)`, coarse to fine; along the axes in `fixed`, `grid` cells."""
        maps: Maps = apply_shared(self.stem, as_maps(latent), self.wraps)
        maps = [m + offset for m, offset in zip(maps, self.offsets, strict=True)]
        if self.middle is not None:
            maps = self.middle(maps)
        scales = []
        parts = zip(self.entries, self.stages, self.exchanges, self.attentions, self.heads, strict=True)
        for number, (entry, stage, between, attention, head) in enumerate(parts):
            if number:
                maps = [F.interpolate(m, scale_factor=scale) for m, scale in zip(maps, self.doubled, strict=True)]

            def block(features: Tensor, wraps: Wraps, entry: nn.Module = entry, stage: nn.Module = stage) -> Tensor:
                return apply(stage, apply(entry, features, wraps), wraps)

            maps = attended(attention, between(apply_shared(block, maps, self.wraps)))
            if number >= self.first_scale:
                scales.append(as_planes(apply_shared(head, maps, self.wraps), self.layout))
        return tuple(scales)

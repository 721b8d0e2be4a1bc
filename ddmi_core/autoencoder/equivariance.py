"""Scale equivariance: a latent averaged over blocks of cells must decode to the field averaged over blocks of cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api.signals import Queries
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.draws import per_row
from ddmi_core.errors import ConfigError
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

FACTORS = (2, 3, 4)  # the authors take 2 and 4; 3 is for sizes such as 9


def scale_error(
    model: D2CVAE, latent: Planes, field: Field, queries: Queries, step: int, points: int, generator: torch.Generator
) -> Tensor:
    """Mean difference of the field of an averaged latent from the averaged field (arXiv 2502.14831, equation 3).

    The blocks have 2, 3 or 4 cells along each axis of the planes, a step after the other. The latent is averaged over
    its blocks, and the field, without gradients, over the same number of cells of its finest basis fields, at their
    centres. Both are compared at the centres of random blocks, so the term needs neither patches nor data, and means
    the same for points, rays and clips. The authors compare with the data instead.

    Where the values of a field differ from their mean by more than 1 on average, as logits and densities do, errors
    are relative to this difference.

    Args:
        model: autoencoder.
        latent: of the signals, with gradients.
        field: its decoded field.
        queries: of the signals; the first one of each gives the extra columns, if the layout has them.
        step: selects the number of cells.
        points: most evaluations of the field for a signal.
        generator: draws the blocks.

    Returns:
        scalar

    Raises:
        ConfigError: if no axis of the latent can be divided into blocks.
    """
    layout = model.layout
    factors = block_sizes(latent, layout)
    factor = factors[step % len(factors)]
    reduced = model.decode(averaged(latent, layout, factor))
    count = max(1, points // prod(factor))
    size = (count, len(layout.axes))
    coords = 2 * per_row(generator, len(field), partial(_uniform, size)).to(field.device) - 1
    weights = layout.plane_weights(coords)
    extra = None
    if layout.extra and queries.extra.shape[-1] == len(layout.extra):
        extra = queries.extra[:, :1].expand(len(field), count, -1)
    # A layout's embedding maps coordinates to places of planes, where the cells are.
    centres, cells = _blocks(layout.in_planes(coords), field, factor)
    values = reduced.at_places(centres, weights, extra)
    with torch.no_grad():
        within = torch.cartesian_prod(*(torch.arange(n) + (1 - n) / 2 for n in factor)).view(-1, len(factor))
        places = (centres[:, :, None] + within.to(cells) * cells).flatten(1, 2)
        repeated = None if weights is None else weights.repeat_interleave(len(within), dim=1)
        expanded = None if extra is None else extra[:, :1].expand(-1, places.shape[1], -1)
        whole = field.at_places(places, repeated, expanded).view(*centres.shape[:2], len(within), -1).mean(dim=2)
        spread = (whole - whole.mean(dim=1, keepdim=True)).abs().mean(dim=1, keepdim=True).clamp(min=1)
    error: Tensor = ((values - whole).abs() / spread).mean()
    return error


def block_sizes(latent: Planes, layout: Layout) -> list[tuple[int, ...]]:
    """Cells of a block along each axis of the planes, for each possible number of them.

    An axis whose cells a number does not divide, on all planes that span it, has the size 1.

    Raises:
        ConfigError: if no number divides the cells of any axis.
    """
    lengths: list[set[int]] = [set() for _ in layout.plane_axes]
    for plane, columns in zip(latent, layout.columns, strict=True):
        for column, length in zip(columns, reversed(plane.shape[2:]), strict=True):
            lengths[column].add(length)
    found = [tuple(n if own and all(length % n == 0 for length in own) else 1 for own in lengths) for n in FACTORS]
    if possible := [sizes for sizes in found if max(sizes) > 1]:
        return possible
    cells = ", ".join(f"{axis}: {max(own, default=1)}" for axis, own in zip(layout.plane_axes, lengths, strict=True))
    raise ConfigError(
        f"autoencoder.equivariance cannot act: the latent has cells {cells}, and none of the numbers "
        f"{', '.join(map(str, FACTORS))} divides those of an axis. Fix: choose another size of signals or number of "
        "stages, or set autoencoder.equivariance=0",
        "autoencoder.equivariance",
    )


def averaged(latent: Planes, layout: Layout, sizes: Sequence[int]) -> Planes:
    """Means over blocks of cells, with the sizes along each axis of the planes."""
    planes = []
    for plane, columns in zip(latent, layout.columns, strict=True):
        kernel = [sizes[column] for column in reversed(columns)]
        planes.append(F.avg_pool2d(plane, kernel) if len(kernel) == 2 else F.avg_pool1d(plane, kernel))
    return Planes(planes)


def _blocks(places: Tensor, field: Field, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Centres `(B, N, D)` of the blocks that contain places, and the lengths `(D,)` of cells, along each plane axis."""
    cells = [1] * len(sizes)
    for plane, columns in zip(field.basis[-1], field.layout.columns, strict=True):
        for column, length in zip(columns, reversed(plane.shape[2:]), strict=True):
            cells[column] = max(cells[column], length)
    blocks = places.new_tensor([max(1, length // size) for length, size in zip(cells, sizes, strict=True)])
    number = ((places + 1) / 2 * blocks).floor().clamp(min=0).minimum(blocks - 1)
    lengths = 2 / blocks / places.new_tensor(sizes)
    return (2 * number + 1) / blocks - 1, lengths


def _uniform(size: tuple[int, int], rows: int, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, *size, generator=generator, device=generator.device)

"""Sampling of training rays and of observed pixels from posed images, with half of the rays on the object."""

from __future__ import annotations

import math

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import CoordinateSampler, per_row
from ddmi_core.errors import DataError
from ddmi_nerf.rendering.rays import RayQueries, crossing, entering
from ddmi_nerf.signal import ViewSignal

ON_OBJECT = 0.5  # share of rays through pixels that show the object
MARGIN = 0.05  # around the bounding box of an object's points
SEEN = 0.01  # opacity above which a pixel shows the object
MOST_OF_VIEW = 1500  # pixels of one view
OBJECT, NEAR = 3 / 4, 2 / 3  # share of them on the object, and share of the rest near the object
REACH = 12  # a pixel is near the object within 1/12 of the image's longer side


@frozen(eq=False, kw_only=True)
class PixelQueries(RayQueries):
    """Rays of pixels, with the pixels' positions in their views."""

    view: Tensor  # (B, N), 0, 1, ...
    row: Tensor  # (B, N), from -1 at the top of the image to 1
    column: Tensor  # (B, N), from -1 at its left to 1


class RaySampler(CoordinateSampler[ViewSignal]):
    """Sampler of rays through the centres of random pixels of all views of a signal.

    Pixels whose rays miss the cube are not drawn. A share of the rays goes to pixels that show the object. Weights
    compensate for this, so that weighted means over rays are means over all pixels whose rays cross the cube.

    Args:
        on_object: share of rays through pixels that show the object, in [0, 1); 0 draws all pixels uniformly.
        jitter: vary the sample positions along rays, see `RayQueries.jitter`; otherwise use the middles of intervals.
    """

    labels = ("view", "row", "column")
    most_places = 32 * MOST_OF_VIEW

    def __init__(self, on_object: float = ON_OBJECT, jitter: bool = True) -> None:
        self.on_object, self.jitter = on_object, jitter

    def sample(self, signal: ViewSignal, n: int, generator: torch.Generator) -> RayQueries:
        """Draw `n` rays of each signal, with the colours of their pixels.

        Args:
            signal: a batch of objects.
            n: rays of each.
            generator: source of randomness, on the CPU.

        Raises:
            DataError: if no view of an object shows the cube.
        """
        # Of each signal: which of the pixels, as shares of their number, and places along the rays.
        draws = per_row(generator, len(signal.images), lambda rows, g: torch.rand(rows, 2, n, generator=g))
        drawn = [self._drawn(signal, index, shares) for index, shares in enumerate(draws[:, 0])]
        coords, extra, targets, weights = (torch.stack(part) for part in zip(*drawn, strict=True))
        low = signal.points.amin(dim=1, keepdim=True) - MARGIN
        high = signal.points.amax(dim=1, keepdim=True) + MARGIN
        close = torch.stack(crossing(coords, extra, low, high), dim=-1)
        jitter = torch.full(coords.shape[:2], 0.5, device=coords.device)
        if self.jitter:
            jitter = draws[:, 1].to(coords.device)
        background = signal.background[:, None].expand_as(targets)
        return RayQueries(
            coords=coords,
            extra=extra,
            targets=targets,
            weights=weights,
            jitter=jitter,
            background=background,
            close=close,
            training=True,
        )

    def places(self, signal: ViewSignal, most: int, generator: torch.Generator) -> PixelQueries:
        """Distinct pixels of all views of one signal, most of them on or near the object, to choose observations from.

        Each view contributes at most 1500 pixels and at most its share of `most`, a random subset if there are more.

        Args:
            signal: one object.
            most: maximum number of pixels.
            generator: source of randomness, on the CPU.

        Raises:
            DataError: if no view shows the cube.
        """
        coords, directions, crosses = pixel_rays(signal, 0)
        views, height, width = signal.images.shape[1], *signal.images.shape[-2:]
        share = max(1, min(MOST_OF_VIEW, most // views))
        kinds = zip(crosses.view(views, height, width), signal.opacity[0, :, 0], strict=True)
        chosen = [
            _informative(allowed, opacity > SEEN, share, generator) + number * height * width
            for number, (allowed, opacity) in enumerate(kinds)
        ]
        pixel = torch.cat(chosen)[:most]
        if not len(pixel):
            raise DataError("no view shows the cube [-1, 1]^3; check the cameras, or give another --set domain.extent")
        view, row, column = torch.unravel_index(pixel, (views, height, width))
        jitter = torch.full((len(pixel),), 0.5)
        if self.jitter:
            # Neighbouring rays get different sample positions, so a surface cannot hide between samples.
            jitter = torch.rand(len(pixel), generator=generator)
        targets = signal.images[0].movedim(1, -1).reshape(-1, 3)[pixel]
        return PixelQueries(
            coords=coords[pixel][None],
            extra=directions[pixel][None],
            targets=targets[None],
            jitter=jitter.to(coords)[None],
            background=signal.background[:, None].expand(1, len(pixel), 3),
            view=view.to(coords)[None],
            row=((2 * row + 1) / height - 1).to(coords)[None],
            column=((2 * column + 1) / width - 1).to(coords)[None],
        )

    def _drawn(self, signal: ViewSignal, index: int, shares: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Entry points, directions, colours and weights of rays of one signal, chosen by shares `(N,)` in [0, 1)."""
        n = len(shares)
        coords, directions, crosses = pixel_rays(signal, index)
        allowed = crosses.nonzero()[:, 0]
        if not len(allowed):
            raise DataError(
                f"no view of signal {index} shows the cube [-1, 1]^3; check its cameras, or give another "
                "--set domain.extent"
            )
        full = signal.opacity[index].flatten()[allowed] > SEEN
        object_, others = allowed[full], allowed[~full]
        share = len(object_) / len(allowed)
        more = self.on_object if len(object_) and len(others) else share
        number = round(n * max(more, share))
        chosen = torch.cat([_some(object_, shares[:number]), _some(others, shares[number:])])
        weights = torch.cat(
            [
                torch.full((number,), share * n / max(1, number)),
                torch.full((n - number,), (1 - share) * n / max(1, n - number)),
            ]
        )
        colours = signal.images[index].movedim(1, -1).reshape(-1, 3)
        return coords[chosen], directions[chosen], colours[chosen], weights.to(coords.device)


def pixel_rays(signal: ViewSignal, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rays of all pixels of one object, view by view and row by row.

    Returns:
        points at which they enter the cube `(K * H * W, 3)`, unit directions `(K * H * W, 3)`, and `(K * H * W,)`,
        whether they cross the cube.
    """
    views, height, width = signal.images.shape[1], *signal.images.shape[-2:]
    poses = signal.to_world[index].double()
    fx, fy, cx, cy = (part[:, None] for part in signal.intrinsics[index].double().unbind(dim=-1))
    across = (torch.arange(width, device=poses.device) + 0.5 - cx) / fx  # (K, W)
    down = (torch.arange(height, device=poses.device) + 0.5 - cy) / fy  # (K, H)
    local = torch.stack(
        [
            across[:, None].expand(views, height, width),
            down[:, :, None].expand(views, height, width),
            torch.ones(views, height, width, device=poses.device, dtype=poses.dtype),
        ],
        dim=-1,
    )
    local = torch.nn.functional.normalize(local.flatten(1, 2), dim=-1)
    directions = (local @ poses[:, :3, :3].mT).flatten(0, 1).float()
    origins = poses[:, None, :3, 3].expand(views, height * width, 3).flatten(0, 1).float()
    coords, crosses = entering(origins, directions)
    return coords, directions, crosses


def _informative(allowed: Tensor, object_: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Indices of at most `most` pixels of one view `(H, W)`, mostly on or near the object, ascending."""
    reach = max(1, max(allowed.shape) // REACH)
    around = F.max_pool2d(object_[None].float(), 2 * reach + 1, 1, reach)[0] > 0
    left, chosen = most, []
    for kind, share in ((object_, OBJECT), (around & ~object_, NEAR), (~around, 1.0)):
        numbers = (allowed & kind).flatten().nonzero()[:, 0]
        order = torch.randperm(len(numbers), generator=generator).to(numbers.device)
        chosen.append(numbers[order[: math.ceil(share * left)]])
        left -= len(chosen[-1])
    return torch.cat(chosen).sort().values


def _some(numbers: Tensor, shares: Tensor) -> Tensor:
    """The numbers at shares in [0, 1) of their length."""
    return numbers[(shares.double() * len(numbers)).long().to(numbers.device)]

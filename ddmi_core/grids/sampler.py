"""Coordinate sampler of grid signals: regular patches or scattered cells of any level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import inf, log2, prod
from typing import Protocol

import torch
from torch import Tensor

from ddmi_core.api.interfaces import CoordinateSampler
from ddmi_core.api.signals import Queries
from ddmi_core.draws import per_row, shared
from ddmi_core.errors import ConfigError
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.layout import Layout

FOOTPRINT = "footprint"


class OnGrids(Protocol):
    """Protocol of signals that `GridSampler` accepts, such as `GridSignal`."""

    def levels(self) -> tuple[Tensor, ...]:
        """Values `(B, V, *grid)` of the same signals on grids of different sizes, the native one first.

        A level may have an integer type: bytes 0 to 255, or 16-bit integers -32767 to 32767, represent -1 to 1.
        Prefer these for large levels, because only the sampled cells are converted.
        """


class GridSampler(CoordinateSampler[OnGrids]):
    """Samples cells of a grid, with their values as targets.

    Each call draws one of the signal's levels, then one regular patch, or random cells, of every signal in the
    batch. If the layout has the extra column `footprint`, it is the cell size of the level relative to the native
    one: `log2(native cells / level's cells)` along the last grid axis, 0 at native size, -2 on a grid of four times
    as many cells. Other extra columns are zero.

    Patches start anywhere on a periodic axis and continue across its border.

    Args:
        layout: axes, and the names of the extra columns.
        scattered: draw cells independently, with replacement, instead of a patch.
        shares: how often each level is drawn, native first, relative to each other; a level without a share is never
            drawn, and shares of levels that a signal does not have are ignored. Without shares, all levels are
            equally frequent.

    Raises:
        ValueError: if the first share is not positive, or another one is negative or not finite.

    Example:
        >>> from ddmi_core.parts import GridSignal
        >>> sampler = GridSampler(Layout(axes=("t",), planes=(("t",),)))
        >>> queries = sampler.sample(GridSignal(torch.zeros(2, 1, 100)), 10, torch.Generator())
        >>> queries.coords.shape, queries.targets.shape, queries.patch
        (torch.Size([2, 10, 1]), torch.Size([2, 10, 1]), (10,))
    """

    def __init__(self, layout: Layout, *, scattered: bool = False, shares: Sequence[float] = ()) -> None:
        if not all(0 <= share < inf for share in shares) or (shares and not shares[0] > 0):
            raise ValueError(
                f"shares={tuple(shares)} must be finite and at least 0, the native level's share above 0; "
                "(0.3, 0.3, 0.4) draws the native level in 30 % of all steps, and (1,) always"
            )
        self.layout, self.scattered, self.shares = layout, scattered, tuple(shares)

    def sample(self, signal: OnGrids, n: int, generator: torch.Generator) -> Queries:
        """About `n` cells of one level, the same number for each signal of the batch.

        Args:
            signal: grids, `(B, V, *grid)` per level.
            n: requested number of points; a patch has the nearest number that a block of the grid allows.
            generator: source of randomness.

        Raises:
            ValueError: if `n` is below 1, or the grids have another number of axes than the layout.
        """
        if n < 1:
            raise ValueError(f"n={n} points cannot be sampled; the minimum is 1")
        return self._draw(signal, lambda size: () if self.scattered else patch_shape(size, n), n, generator)

    def block(self, signal: OnGrids, shape: Sequence[int], generator: torch.Generator) -> Queries:
        """A regular patch of one level at a random place of each signal.

        Args:
            signal: grids, `(B, V, *grid)` per level.
            shape: cells along each axis, slowest first; at most those of the grid are drawn.
            generator: source of randomness.

        Raises:
            ConfigError: if the shape has another number of axes than the layout.
            ValueError: if the grids have.
        """
        axes = self.layout.axes[::-1]
        if len(shape) != len(axes):
            raise ConfigError(
                f"autoencoder.patch={list(shape)} has {len(shape)} numbers; give one for each axis: {', '.join(axes)}"
            )
        return self._draw(signal, lambda size: tuple(map(min, size, shape)), prod(shape), generator)

    def _draw(
        self, signal: OnGrids, shape: Callable[[Sequence[int]], tuple[int, ...]], n: int, generator: torch.Generator
    ) -> Queries:
        """One patch of the shape for a grid, or `n` cells if it is empty, of every signal."""
        levels = signal.levels()
        level = levels[self._draw_level(len(levels), generator)]
        batch, channels, *size = level.shape
        self._check(size)
        patch = shape(size)
        cells = self._draw_cells(size, batch, n, patch, generator)
        coords, index = [], torch.zeros((batch, *[1] * len(patch or (1,))), dtype=torch.long)
        for length, axis_cells in zip(size, cells, strict=True):
            index = index * length + axis_cells
            coords.append(cell_centres(length)[axis_cells])
        index = index.flatten(1)
        points = (batch, *patch) if patch else (batch, n)
        columns = torch.stack([column.expand(points).flatten(1) for column in reversed(coords)], dim=-1)
        values = level.flatten(2).gather(2, index.to(level.device)[:, None].expand(-1, channels, -1))
        extra = torch.zeros(len(self.layout.extra))
        if FOOTPRINT in self.layout.extra:
            extra[self.layout.extra.index(FOOTPRINT)] = log2(levels[0].shape[-1] / size[-1])
        return Queries(
            coords=columns.to(level.device),
            extra=extra.to(level.device).expand(batch, index.shape[1], -1),
            targets=as_values(values.transpose(1, 2)),
            patch=patch,
        )

    def places(self, signal: OnGrids, most: int, generator: torch.Generator) -> Queries:
        """The cells of the native level, by rows; a random subset of `most` cells if there are more.

        Raises:
            ValueError: if the grid has another number of axes than the layout.
        """
        level = signal.levels()[0]
        self._check(level.shape[2:])
        count = level[0, 0].numel()
        chosen = torch.arange(count)
        if count > most:
            chosen = torch.randperm(count, generator=generator, device=generator.device)[:most].sort().values.cpu()
        cells = torch.unravel_index(chosen, level.shape[2:])
        columns = [cell_centres(length)[cell] for length, cell in zip(level.shape[2:], cells, strict=True)]
        coords = torch.stack(columns[::-1], dim=-1).to(level.device).expand(len(level), -1, -1)
        return Queries(
            coords=coords,
            extra=coords.new_zeros(len(level), len(chosen), len(self.layout.extra)),
            targets=as_values(level.flatten(2)[..., chosen.to(level.device)].transpose(1, 2)),
        )

    def _check(self, size: Sequence[int]) -> None:
        if len(size) != len(self.layout.axes):
            raise ValueError(
                f"a grid of {len(size)} axes {tuple(size)} does not fit the layout, "
                f"which has {len(self.layout.axes)} axes: {', '.join(self.layout.axes)}"
            )

    def _draw_level(self, levels: int, generator: torch.Generator) -> int:
        if levels == 1:
            return 0
        shares, generator = self.shares[:levels] or (1,) * levels, shared(generator)
        draw = torch.rand((), generator=generator, device=generator.device).item() * sum(shares)
        return next(number for number, most in enumerate(accumulate(shares)) if draw < most)

    def _draw_cells(
        self, size: Sequence[int], batch: int, n: int, patch: Sequence[int], generator: torch.Generator
    ) -> list[Tensor]:
        """Cell numbers along each axis, slowest first: `(B, n)`, or broadcastable to `(B, *patch)`."""

        def drawn(low: int, high: int, count: int) -> Tensor:
            def draw(rows: int, generator: torch.Generator) -> Tensor:
                return torch.randint(low, high, (rows, count), generator=generator, device=generator.device)

            return per_row(generator, batch, draw).cpu()

        if not patch:
            return [drawn(0, length, n) for length in size]
        cells = []
        for axis, (length, side, wraps) in enumerate(zip(size, patch, reversed(self.layout.wraps), strict=True)):
            # Offsets are drawn beyond the grid and clipped, so that side / (length + side - 1) of the patches contain
            # the first cell of an axis; with valid offsets only, 1 / (length - side + 1) would. Large patches still
            # contain the middle more often: with 48 cells and patches of 32, 41 % (instead of 6 %) of the patches
            # contain the outermost cells, and all contain the middle ones.
            # A periodic axis needs none of this: offsets are uniform, and every cell is equally frequent.
            low, high = 0 if wraps else 1 - side, length
            offset = drawn(low, high, 1)
            run = (offset if wraps else offset.clamp(0, length - side)) + torch.arange(side)
            run = run % length  # across the border of a periodic axis
            view = [batch] + [1] * len(patch)
            view[1 + axis] = side
            cells.append(run.view(view))
        return cells


def as_values(level: Tensor) -> Tensor:
    """Values of a level, or of a part of it, as float32; bytes and 16-bit integers are scaled to -1 to 1.

    Raises:
        ValueError: if the level has another type.
    """
    if level.dtype == torch.uint8:
        return level.float().div_(127.5).sub_(1)
    if level.dtype == torch.int16:
        return level.float().div_(32767)
    if not level.is_floating_point():
        raise ValueError(f"levels of type {level.dtype} are not supported; use bytes, int16 or floats")
    return level.float()


def native_grid(signal: OnGrids) -> Tensor:
    """Values of signals on the native grid: `(B, V, *grid)`, in [-1, 1]."""
    return as_values(signal.levels()[0])


def patch_shape(size: Sequence[int], n: int) -> tuple[int, ...]:
    """Sides of a block of about `n` cells, as equal as a grid of the given size allows.

    Example:
        >>> patch_shape((48, 48), 1024), patch_shape((2, 48, 48), 1024)
        ((32, 32), (2, 23, 22))
    """
    sides = list(size)
    left, axes = float(n), len(size)
    for axis in sorted(range(len(size)), key=lambda a: size[a]):
        sides[axis] = max(1, min(size[axis], round(left ** (1 / axes))))
        left, axes = max(left / sides[axis], 1.0), axes - 1
    return tuple(sides)

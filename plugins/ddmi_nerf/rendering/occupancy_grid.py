"""Occupancy grid of a medium, which lets ray marching skip empty space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import field, frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_nerf.rendering.radiance import FieldRadiance, Radiance, densities, density

CELLS = 48
COARSEST = 24  # most blocks along each axis with which bounds of densities begin
WIDE = 0.4  # share of the cube from which bounds are too wide
SAMPLES = 2  # along each side of a cell
THRESHOLDS = (1.0, 0.3, 0.1, 0.03, 0.01)  # of density, tried in turn
LOST = 0.005  # root mean square of the opacity of skipped cells; for white on black, an error of 46 dB
MOST_LOST = 0.05  # along any single row of cells
LARGEST = 256  # cells along each axis


@frozen(eq=False)
class OccupancyGrid:
    """Which of n x n x n cells of the cube [-1, 1]^3 may contain some of a medium.

    Example:
        >>> def ball(points):
        ...     return 50.0 * (points.norm(dim=1) < 0.5), torch.zeros(len(points), 3)
        >>> grid = OccupancyGrid.of(ball, cells=16)
        >>> grid.at(torch.tensor([[0.0, 0.0, 0.4], [0.9, 0.9, 0.9]])).tolist()
        [True, False]
    """

    occupied: Tensor = field()  # (n, n, n), bool, slowest axis z
    around: Tensor = field(init=False)  # the same with all neighbours of occupied cells

    @occupied.validator
    def _fits(self, attribute: object, value: Tensor) -> None:
        if len(value) > LARGEST:
            raise ValueError(f"a grid of {len(value)} cells along each axis is too large; the limit is {LARGEST}")

    @around.default
    def _dilated(self) -> Tensor:
        return _wider(self.occupied)

    @staticmethod
    def of(radiance: Radiance, cells: int = CELLS, samples: int = SAMPLES, lost: float = LOST) -> OccupancyGrid:
        """Build the grid of a medium: cells with a density above a threshold.

        Densities are sampled in the cells and next to them. Bounds of the density of a field leave most cells out, so
        that only the others are sampled, unless the bounds are too wide.

        The threshold is the largest candidate that loses little: the opacity of the skipped cells, summed along each
        row of cells, stays below `lost`.

        Args:
            radiance: the medium.
            cells: n, up to 256.
            samples: sub-intervals along each side of a cell. The density is sampled at their corners, including the
                cell's faces and one sub-interval beyond.
            lost: limit of the root mean square of lost opacity; a single row may lose ten times as much.
        """
        bounds = _bounds(radiance.field, cells) if isinstance(radiance, FieldRadiance) else None
        densest, mean = _sampled(radiance, cells, samples, bounds)
        for threshold in THRESHOLDS:
            occupied = densest > threshold
            if _lost(torch.where(occupied, 0, mean)) <= lost:
                return OccupancyGrid(occupied)
        return OccupancyGrid(densest > 0)

    @property
    def cells(self) -> int:
        """Cells along each axis."""
        return len(self.occupied)

    @property
    def share(self) -> float:
        """Occupied share of the cube."""
        return float(self.occupied.float().mean())

    def at(self, points: Tensor, reach: bool = False) -> Tensor:
        """Whether points `(..., 3)` lie in occupied cells, or, with `reach`, in neighbours of such cells: `(...)`."""
        return self.at_columns(points.unbind(dim=-1), reach)

    def at_columns(self, columns: Sequence[Tensor], reach: bool = False) -> Tensor:
        """The same for points given by their x, y and z, `(...)` each; faster than for three numbers side by side."""
        row = torch.zeros_like(columns[0])
        for column in reversed(columns):
            cell = torch.add(self.cells / 2, column, alpha=self.cells / 2).floor_().clamp_(0, self.cells - 1)
            row = cell.add_(row, alpha=self.cells)  # exact in single precision up to 256^3
        grid = self.around if reach else self.occupied
        return grid.view(-1).index_select(0, row.view(-1).to(torch.int32)).view(row.shape)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest corner `(3,)`, in x, y, z, of the box around occupied cells; the origin if none is."""
        cells = self.occupied.nonzero().flip(1)
        if not len(cells):
            middle = torch.zeros(3, device=cells.device)
            return middle, middle
        return cells.amin(dim=0) * (2 / self.cells) - 1, (cells.amax(dim=0) + 1) * (2 / self.cells) - 1


def _bounds(field: Field, cells: int) -> Tensor | None:
    """Upper bounds `(n, n, n)` of the density of a field in cells, or `None` if they are wide or unknown.

    Blocks of cells are halved where their bound is not low; the others share it.
    """
    if field.layout.embedding is not None:
        return None
    sizes = [cells]
    while sizes[0] % 2 == 0 and sizes[0] > COARSEST:
        sizes.insert(0, sizes[0] // 2)
    found = torch.full((sizes[0],) * 3, torch.inf, device=field.device)
    for size in sizes:
        if size > len(found):
            found = found.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
        z, y, x = (found > THRESHOLDS[-1]).nonzero().unbind(dim=1)
        _, high = field.boxes([torch.linspace(-1, 1, size + 1)] * 3).at(torch.stack([x, y, z]))
        # Values that are not finite count as occupied, so that errors stay visible.
        found[z, y, x] = density(high[0]).nan_to_num(nan=torch.inf)
        if (found > THRESHOLDS[-1]).float().mean() > WIDE:
            return None
    return found


def _sampled(radiance: Radiance, cells: int, samples: int, bounds: Tensor | None) -> tuple[Tensor, Tensor]:
    """Highest and mean densities `(n, n, n)` at samples in cells; the highest also at those next to them.

    With bounds of a field, cells whose bound is low have their bound in place of samples.
    """
    axis = torch.linspace(-1, 1, cells * samples + 1)
    if bounds is None or not isinstance(radiance, FieldRadiance):
        return _pooled(densities(radiance, (axis, axis, axis)), samples)
    open_cells = bounds > THRESHOLDS[-1]
    wanted = open_cells
    for dim in range(3):
        wanted = wanted.repeat_interleave(samples, dim)
    # A sample lies on the corners of up to eight sub-intervals.
    wanted = F.max_pool3d(wanted[None, None].float(), 2, 1, 1)[0, 0] > 0
    found = torch.zeros(wanted.shape, device=bounds.device)
    z, y, x = wanted.nonzero().unbind(dim=1)
    found[z, y, x] = density(radiance.field.lattice_subset([axis] * 3).at(torch.stack([x, y, z]))[0])
    highest, mean = _pooled(found, samples)
    return torch.where(open_cells, highest.minimum(bounds), bounds), torch.where(open_cells, mean, bounds)


def _pooled(found: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Highest and mean densities of cells from samples on a lattice; those that are no numbers count as infinite."""
    found = found.nan_to_num(nan=torch.inf)[None]
    return F.max_pool3d(found, samples + 3, samples, 1)[0], F.avg_pool3d(found, samples + 1, samples)[0]


def _lost(density: Tensor) -> float:
    """Root mean square of the opacities of all rows of cells `(n, n, n)`, or a tenth of the largest one if greater."""
    worst = 0.0
    for axis in range(3):
        opacity = -torch.expm1(-density.sum(dim=axis) * (2 / len(density)))
        worst = max(worst, float(opacity.square().mean().sqrt()), float(opacity.max()) * LOST / MOST_LOST)
    return worst


def _wider(occupied: Tensor) -> Tensor:
    """Occupied cells and their neighbours."""
    return F.max_pool3d(occupied[None, None].float(), 3, 1, 1)[0, 0] > 0

"""Where a medium is: a grid of the cube's cells that may hold some of it, so that rays can leave out the others."""

from __future__ import annotations

import torch
from attrs import field, frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_nerf.radiance import Radiance, densities

CELLS = 48
SAMPLES = 2  # a side of a cell
THRESHOLD = 0.02  # density; the cube's side, two units of it, hides 4 %


@frozen(eq=False)
class OccupancyGrid:
    """Which of n x n x n cells of the cube [-1, 1]^3 may hold some of a medium.

    Example:
        >>> def ball(points):
        ...     return 50.0 * (points.norm(dim=1) < 0.5), torch.zeros(len(points), 3)
        >>> grid = OccupancyGrid.of(ball, cells=16)
        >>> grid.at(torch.tensor([[0.0, 0.0, 0.4], [0.9, 0.9, 0.9]])).tolist()
        [True, False]
    """

    occupied: Tensor  # (n, n, n), bool, slowest axis z
    around: Tensor = field(init=False)  # the same with all neighbours of occupied cells

    @around.default
    def _dilated(self) -> Tensor:
        return _wider(self.occupied)

    @staticmethod
    def of(
        radiance: Radiance, cells: int = CELLS, samples: int = SAMPLES, threshold: float = THRESHOLD
    ) -> OccupancyGrid:
        """The grid of a medium: cells with a density above a threshold at one of their samples, and all neighbours.

        Args:
            radiance: the medium.
            cells: n.
            samples: parts along each side of a cell, at whose corners the density is taken; those on the cell's own
                sides are among them.
            threshold: what is thinner is taken for empty.
        """
        axis = torch.linspace(-1, 1, cells * samples + 1)
        found = densities(radiance, (axis, axis, axis))
        # Not by comparison: a density that is not a number must not be skipped.
        full = ~(found <= threshold)
        pooled = F.max_pool3d(full[None, None].float(), samples + 1, samples)[0, 0] > 0
        return OccupancyGrid(_wider(pooled))

    @property
    def cells(self) -> int:
        """Cells along each axis."""
        return len(self.occupied)

    @property
    def share(self) -> float:
        """Share of the cube that is occupied."""
        return float(self.occupied.float().mean())

    def at(self, points: Tensor, reach: bool = False) -> Tensor:
        """Whether points `(..., 3)` of the cube lie in occupied cells, or within reach, one cell, of them: `(...)`."""
        cell = ((points + 1) * (self.cells / 2)).long().clamp_(0, self.cells - 1)
        x, y, z = cell.unbind(dim=-1)
        grid = self.around if reach else self.occupied
        return grid.view(-1)[(z * self.cells + y) * self.cells + x]

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest corner `(3,)`, in x, y, z, of the box around occupied cells; the middle without any."""
        cells = self.occupied.nonzero().flip(1)
        if not len(cells):
            middle = torch.zeros(3, device=cells.device)
            return middle, middle
        return cells.amin(dim=0) * (2 / self.cells) - 1, (cells.amax(dim=0) + 1) * (2 / self.cells) - 1


def _wider(occupied: Tensor) -> Tensor:
    """Occupied cells and their neighbours."""
    return F.max_pool3d(occupied[None, None].float(), 3, 1, 1)[0, 0] > 0

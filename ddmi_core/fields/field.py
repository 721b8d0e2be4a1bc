"""The field: basis fields, readout and layout as one function that can be called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from attrs import evolve, frozen
from torch import Tensor

from ddmi_core.fields.fast.folding import fold
from ddmi_core.fields.fast.lattice import CHUNK, LatticeEvaluator
from ddmi_core.fields.fast.scattered import CHUNK as POINTS
from ddmi_core.fields.fast.scattered import PointEvaluator
from ddmi_core.fields.fast.subset import SubsetEvaluator
from ddmi_core.fields.interpolate import embed
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout


@frozen(eq=False)
class Field:
    """A batch of continuous functions, `field(coords)`: `(B, N, D) -> (B, N, V)`.

    Differentiable with respect to coordinates and basis fields.

    Example:
        >>> from ddmi_core.fields.readout import ReadoutConfig
        >>> layout = Layout(axes=("t",), planes=(("t",),))
        >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
        >>> field = Field(basis=(Planes([torch.randn(2, 4, 16)]),), readout=readout, layout=layout)
        >>> field(torch.zeros(2, 5, 1)).shape, len(field[0])
        (torch.Size([2, 5, 1]), 1)
    """

    basis: tuple[Planes, ...]  # one Planes of (B, C_s, *grid_s) a scale, coarse to fine
    readout: CoarseToFineReadout
    layout: Layout

    def __len__(self) -> int:
        """Number of functions, B."""
        return self.basis[0].batch

    @property
    def device(self) -> torch.device:
        """Where the field is, and computes."""
        return self.basis[0][0].device

    def __call__(self, coords: Tensor, extra: Tensor | None = None) -> Tensor:
        """Values at coordinates: the plain path, interpolation and the whole readout at every point.

        Args:
            coords: `(B, N, D)`, in [-1, 1], in the order of the layout's axes; moved to the field's device.
            extra: `(B, N, X)` or `(X,)`; zeros where not given.

        Returns:
            `(B, N, V)`, on the field's device.

        Raises:
            ValueError: if the coordinates have another number of columns, or another batch size.
        """
        columns = len(self.layout.axes)
        if coords.ndim != 3 or coords.shape[-1] != columns or coords.shape[0] != len(self):
            raise ValueError(
                f"coords have shape {tuple(coords.shape)}; this field takes ({len(self)}, N, {columns}), "
                f"columns {', '.join(self.layout.axes)}"
            )
        coords = coords.to(self.device)
        extras = len(self.layout.extra)
        if extra is None:
            extra = coords.new_zeros(extras)
        extra = extra.to(coords).expand(*coords.shape[:2], extras)
        join = self.readout.config.planes
        values: Tensor = self.readout([embed(basis, coords, self.layout, join) for basis in self.basis], extra)
        return values

    def __getitem__(self, index: int | slice) -> Field:
        """Some of the functions; an integer gives a batch of one.

        Raises:
            IndexError: if an integer index is out of range.
        """
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"field index {index} is out of range for a batch of {len(self)}")
            index = slice(index % len(self), index % len(self) + 1)
        part = index
        return self.map(lambda plane: plane[part])

    def __iter__(self) -> Iterator[Field]:
        """Yield each function as a batch of one."""
        return (self[i] for i in range(len(self)))

    def map(self, function: Callable[[Tensor], Tensor]) -> Field:
        """A field whose basis fields went through a function, plane by plane."""
        return evolve(self, basis=tuple(planes.map(function) for planes in self.basis))

    def to(self, device: torch.device | str) -> Field:
        """The field on another device. The readout, shared by all fields of a model, is copied if it must move."""
        moved = self.map(lambda plane: plane.to(device))
        if self.readout.head.weight.device == moved.device:
            return moved
        return evolve(moved, readout=deepcopy(self.readout).to(moved.device))

    @staticmethod
    def stack(fields: Sequence[Field]) -> Field:
        """One batch of several fields of one model: they share readout, or have equal copies of it, and layout.

        Raises:
            ValueError: if there is no field, or they differ in readout or layout.
        """
        if not fields:
            raise ValueError("cannot stack an empty sequence of fields")
        first = fields[0]
        if not all(first.readout.equals(field.readout) and field.layout == first.layout for field in fields):
            raise ValueError("only fields of one model (same readout and layout) can be stacked")
        scales = zip(*(field.basis for field in fields), strict=True)
        basis = tuple(Planes(torch.cat(grids) for grids in zip(*planes, strict=True)) for planes in scales)
        return evolve(first, basis=basis)

    def lattice(self, axes: Sequence[Tensor], extra: Tensor | None = None, chunk: int = CHUNK) -> LatticeEvaluator:
        """The fast path for one field (B = 1) on a regular lattice, without gradients.

        Args:
            axes: one 1-D tensor of coordinates an axis, in the layout's order; moved to the field's device.
            extra: `(X,)`, constant over the lattice; zeros where not given.
            chunk: most points evaluated at once.

        Raises:
            ValueError: if the batch is not one, or the number of axes differs from the layout's.
        """
        axes, extra = self._on_lattice(axes, extra)
        return LatticeEvaluator(self.basis, self.layout, self.readout, axes, extra, chunk)

    def lattice_subset(
        self, axes: Sequence[Tensor], extra: Tensor | None = None, chunk: int = POINTS
    ) -> SubsetEvaluator:
        """The fast path for one field (B = 1) at some points of a regular lattice, without gradients.

        Arguments and errors are those of `lattice`.

        Example:
            >>> from ddmi_core.fields.readout import ReadoutConfig
            >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
            >>> field = Field((Planes([torch.randn(1, 4, 16)]),), readout, Layout(axes=("t",), planes=(("t",),)))
            >>> field.lattice_subset([torch.linspace(-1, 1, 100)]).at(torch.tensor([[0, 7, 99]])).shape
            torch.Size([1, 3])
        """
        axes, extra = self._on_lattice(axes, extra)
        return SubsetEvaluator(fold(self.basis, self.layout, self.readout, extra), axes, chunk)

    def _on_lattice(self, axes: Sequence[Tensor], extra: Tensor | None) -> tuple[list[Tensor], Tensor]:
        if len(self) != 1 or len(axes) != len(self.layout.axes):
            raise ValueError(
                f"a lattice takes one field and {len(self.layout.axes)} axes; got {len(self)} fields, {len(axes)} axes"
            )
        return [axis.to(self.device) for axis in axes], self._extras(extra)

    def _extras(self, extra: Tensor | None) -> Tensor:
        """Extra columns `(X,)` on the field's device; zeros where not given."""
        if extra is None:
            return self.basis[0][0].new_zeros(len(self.layout.extra))
        return extra.to(self.device)

    def points(self, extra: Tensor | None = None, chunk: int = POINTS) -> PointEvaluator:
        """The fast path for one field (B = 1) at points that are no lattice, without gradients in the basis fields.

        Args:
            extra: `(X,)`, the same at all points; zeros where not given.
            chunk: most points evaluated at once.

        Raises:
            ValueError: if the batch is not one.

        Example:
            >>> from ddmi_core.fields.readout import ReadoutConfig
            >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
            >>> field = Field((Planes([torch.randn(1, 4, 16)]),), readout, Layout(axes=("t",), planes=(("t",),)))
            >>> field.points().at(torch.zeros(5, 1)).shape
            torch.Size([5, 1])
        """
        if len(self) != 1:
            raise ValueError(f"fast evaluation at points takes one field; got {len(self)} fields")
        return PointEvaluator(self.basis, self.layout, self.readout, self._extras(extra), chunk)

    def save(self, path: str | Path) -> None:
        """Write basis fields, readout and layout to one safetensors file, which appears when it is complete.

        Raises:
            OutputError: if the file cannot be written.
        """
        from ddmi_core.fields import storage

        storage.save(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> Field:
        """The field, or the batch, in a file that `save` wrote; on the CPU, with weights that take no gradient.

        Raises:
            CheckpointError: if the file is not a field, is damaged, or comes from a newer version.
        """
        from ddmi_core.fields import storage

        return storage.load(Path(path))

"""The field: a callable function made of basis fields, a readout and a layout."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn

from ddmi_core.display import Bundle, Shows
from ddmi_core.errors import counted
from ddmi_core.fields import storage
from ddmi_core.fields.fast.boxes import BoxEvaluator
from ddmi_core.fields.fast.embedded import EmbeddedLattice
from ddmi_core.fields.fast.folding import FoldedReadout, fold
from ddmi_core.fields.fast.lattice import CHUNK, LatticeEvaluator
from ddmi_core.fields.fast.scattered import CHUNK as POINTS
from ddmi_core.fields.fast.scattered import PointEvaluator
from ddmi_core.fields.fast.subset import SubsetEvaluator
from ddmi_core.fields.interpolate import embed
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout

# Most points of one call of the readout with gradients: where it computes its activations again
# (`training.gradient_checkpointing`), those of one piece are in memory.
PIECE = 65536

Coordinates = Tensor | npt.NDArray[Any]
T = TypeVar("T")


@frozen(eq=False, repr=False)
class Field:
    """A batch of continuous functions, `field(coords)`: `(B, N, D) -> (B, N, V)`.

    Differentiable in coordinates and basis fields.

    Example:
        >>> from ddmi_core.fields.readout import ReadoutConfig
        >>> layout = Layout(axes=("t",), planes=(("t",),))
        >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
        >>> field = Field(basis=(Planes([torch.randn(2, 4, 16)]),), readout=readout, layout=layout)
        >>> field(torch.zeros(2, 5, 1)).shape, len(field[0])
        (torch.Size([2, 5, 1]), 1)
    """

    basis: tuple[Planes, ...]  # one Planes of (B, C_s, *grid_s) per scale, coarse to fine
    readout: CoarseToFineReadout
    layout: Layout
    shown_by: Shows | None = None  # draws it in notebooks; set by `Model`
    _kept: dict[Hashable, tuple[Any, Any]] = field(init=False, repr=False, factory=dict)

    def __repr__(self) -> str:
        """One line: how many functions of which axes, with how many values, and the sizes of the basis fields."""
        grids = ", ".join("x".join(map(str, planes[0].shape[2:])) for planes in self.basis)
        first = self.basis[0][0]
        return (
            f"Field: {counted(len(self), 'function')} of ({', '.join(self.layout.axes)}) with "
            f"{counted(self.readout.values, 'value')} each; basis fields "
            f"{grids}; {str(first.dtype).removeprefix('torch.')} on {first.device}"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        """What a notebook shows: pictures, if the field comes from a model."""
        return {"text/plain": repr(self), **(self.shown_by.fields(self) if self.shown_by else {})}

    def __len__(self) -> int:
        """Number of functions, B."""
        return len(self.basis[0][0])

    @property
    def device(self) -> torch.device:
        """Device of the basis fields, on which the field is evaluated."""
        return self.basis[0][0].device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the basis fields."""
        return self.basis[0][0].dtype

    def __call__(self, coords: Coordinates, extra: Coordinates | None = None, patch: Sequence[int] = ()) -> Tensor:
        """Values at coordinates: interpolates and evaluates the whole readout at every point.

        Args:
            coords: `(B, N, D)`, in [-1, 1], in the order of the layout's axes, a tensor or an array; moved to the
                field's device. They keep float32 where the field has less, and get the field's type otherwise.
            extra: `(B, N, X)` or `(X,)`, a tensor or an array; zeros if omitted.
            patch: cells along each axis, slowest first, if the N points are a regular patch, whose coordinates along
                an axis depend on the place along that axis alone (`Queries.patch`): the same values in less time.

        Returns:
            `(B, N, V)`, on the field's device.

        Raises:
            ValueError: if the coordinates have another number of columns, or another batch size, or the patch has
                another number of axes or points.
            TypeError: if the coordinates or extra columns are neither a tensor nor an array of numbers.
        """
        coords = _numbers("coords", coords)
        columns = len(self.layout.axes)
        if coords.ndim != 3 or coords.shape[-1] != columns or coords.shape[0] != len(self):
            raise ValueError(
                f"coords have shape {tuple(coords.shape)}; this field takes ({len(self)}, N, {columns}), "
                f"columns {', '.join(self.layout.axes)}"
            )
        if patch and (len(patch) != columns or prod(patch) != coords.shape[1]):
            raise ValueError(
                f"a patch {tuple(patch)} has {len(patch)} axes and {prod(patch)} points; these coordinates have "
                f"{columns} axes and {coords.shape[1]} points"
            )
        coords = self._precise(coords)
        if coords.requires_grad and torch.is_grad_enabled():
            patch = ()  # gradients of each point's own
        places, weights = self.layout.in_planes(coords), self.layout.plane_weights(coords)
        return self.at_places(places, weights, extra, () if self.layout.embedding is not None else patch)

    def at_places(
        self, places: Tensor, weights: Tensor | None = None, extra: Coordinates | None = None, patch: Sequence[int] = ()
    ) -> Tensor:
        """Values at places in the space of the planes, `(B, N, V)`: the part of a call after the layout's embedding.

        Args:
            places: `(B, N, D)`, in [-1, 1], in the order of `Layout.plane_axes`.
            weights: `(B, N, P)`, of the planes (`Layout.plane_weights`); 1 if omitted.
            extra: as for a call.
            patch: as for a call, of layouts without an embedding.
        """
        places = self._precise(places)
        exact = self.readout.head.weight.dtype
        extras = len(self.layout.extra)
        given = places.new_zeros(extras) if extra is None else _numbers("extra", extra)
        extra = given.to(places.device, exact).expand(*places.shape[:2], extras)
        join = self.readout.config.planes
        embeddings = [embed(basis, places, self.layout, join, weights, patch).to(exact) for basis in self.basis]
        size = max(1, PIECE // len(self))
        if not torch.is_grad_enabled() or torch.compiler.is_compiling() or places.shape[1] <= size:
            values: Tensor = self.readout(embeddings, extra)
            return values
        # `split` joins the gradients of all pieces once, which slices would not.
        pieces = zip(*(torch.split(part, size, dim=1) for part in (*embeddings, extra)), strict=True)
        return torch.cat([self.readout(parts, columns) for *parts, columns in pieces], dim=1)

    def _precise(self, coords: Tensor) -> Tensor:
        """Coordinates on the field's device; half precision has too few digits: a step at 1 is a pixel of 2048."""
        return coords.to(self.device, torch.promote_types(self.dtype, torch.float32))

    def __getitem__(self, index: int | slice) -> Field:
        """A part of the batch; an integer gives a batch of one.

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
        """The field with a function applied to each plane of its basis fields."""
        return evolve(self, basis=tuple(planes.map(function) for planes in self.basis))

    def to(self, device: torch.device | str | torch.dtype | None = None, dtype: torch.dtype | None = None) -> Field:
        """The field on another device or in another type: `to("cuda")`, `to(torch.bfloat16)`, or both.

        Copies the readout, which all fields of a model share, if it has to change.

        Raises:
            ValueError: if the type is not one of floating-point numbers.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if dtype is not None and not dtype.is_floating_point:
            raise ValueError(f"a field has floating-point numbers, not {dtype}. Fix: torch.float16, torch.float32, ...")
        moved = self.map(lambda plane: plane.to(device or plane.device, dtype))
        weight = self.readout.head.weight
        kind = dtype or weight.dtype
        if (weight.device, weight.dtype) == (moved.device, kind):
            return moved
        return evolve(moved, readout=deepcopy(self.readout).to(moved.device, kind))

    def half(self) -> Field:
        """The field in float16: half of the memory; values differ by about 1e-3 of their range.

        Renders compute in float32.
        """
        return self.to(torch.float16)

    def float(self) -> Field:
        """The field in float32."""
        return self.to(torch.float32)

    def module(self) -> FieldModule:
        """The field as a module with its tensors as buffers, for `torch.export`, `torch.compile` and ONNX."""
        return FieldModule(self)

    @staticmethod
    def stack(fields: Sequence[Field]) -> Field:
        """Stack fields of one model into one batch; their readouts must be the same object or equal copies.

        Raises:
            ValueError: if there is no field, or readouts or layouts differ.
        """
        if not fields:
            raise ValueError("cannot stack an empty sequence of fields")
        first = fields[0]
        if not all(first.readout.equals(field.readout) and field.layout == first.layout for field in fields):
            raise ValueError("cannot stack fields of different models: readouts or layouts differ")
        scales = zip(*(field.basis for field in fields), strict=True)
        basis = tuple(Planes(torch.cat(grids) for grids in zip(*planes, strict=True)) for planes in scales)
        return evolve(first, basis=basis)

    def lattice(
        self, axes: Sequence[Tensor], extra: Tensor | None = None, chunk: int = CHUNK
    ) -> LatticeEvaluator | EmbeddedLattice:
        """The fast path for one field (B = 1) on a regular lattice, without gradients.

        Args:
            axes: one 1-D tensor of coordinates per axis, in the layout's order; moved to the field's device.
            extra: `(X,)`, constant over the lattice; zeros if omitted.
            chunk: most points evaluated at once.

        Raises:
            ValueError: if the batch is not one, or the number of axes differs from the layout's.
        """
        if self.layout.embedding is not None:
            return EmbeddedLattice(self.points(extra, chunk), self._on_lattice(axes))
        return LatticeEvaluator(self._folded(extra), self._on_lattice(axes), chunk)

    def lattice_subset(
        self, axes: Sequence[Tensor], extra: Tensor | None = None, chunk: int = POINTS
    ) -> SubsetEvaluator | EmbeddedLattice:
        """The fast path for one field (B = 1) at selected points of a regular lattice, without gradients.

        Arguments and errors are those of `lattice`.

        Example:
            >>> from ddmi_core.fields.readout import ReadoutConfig
            >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
            >>> field = Field((Planes([torch.randn(1, 4, 16)]),), readout, Layout(axes=("t",), planes=(("t",),)))
            >>> field.lattice_subset([torch.linspace(-1, 1, 100)]).at(torch.tensor([[0, 7, 99]])).shape
            torch.Size([1, 3])
        """
        if self.layout.embedding is not None:
            return EmbeddedLattice(self.points(extra, chunk), self._on_lattice(axes))
        return SubsetEvaluator(self._folded(extra), self._on_lattice(axes), chunk)

    def points(self, extra: Tensor | None = None, chunk: int = POINTS) -> PointEvaluator:
        """The fast path for one field (B = 1) at scattered points, without gradients in the basis fields.

        Args:
            extra: `(X,)`, the same at all points; zeros if omitted.
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
        return PointEvaluator(self._folded(extra), self.layout, chunk)

    def boxes(self, edges: Sequence[Tensor], extra: Tensor | None = None) -> BoxEvaluator:
        """Bounds of the values of one field (B = 1) over boxes, without gradients.

        Args:
            edges: one 1-D tensor of increasing coordinates per axis, in the layout's order; boxes lie between them.
            extra: `(X,)`, the same everywhere; zeros if omitted.

        Raises:
            ValueError: if the batch is not one, the number of axes differs from the layout's, or the layout has an
                embedding, which maps boxes to other sets.

        Example:
            >>> from ddmi_core.fields.readout import ReadoutConfig
            >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
            >>> field = Field((Planes([torch.randn(1, 4, 16)]),), readout, Layout(axes=("t",), planes=(("t",),)))
            >>> low, high = field.boxes([torch.linspace(-1, 1, 5)]).at(torch.arange(4)[None])
            >>> values = field(torch.linspace(-1, 1, 401).view(1, -1, 1))
            >>> bool(low.min() <= values.min()), bool(values.max() <= high.max())
            (True, True)
        """
        if self.layout.embedding is not None:
            raise ValueError("a field whose layout has an embedding has no bounds over boxes. Fix: evaluate points")
        return BoxEvaluator(self._folded(extra), self._on_lattice(edges))

    def kept(self, key: Hashable, make: Callable[[Field], T]) -> T:
        """What `make` derives from the field: kept in memory as long as the field, and made again if it has changed.

        A change of a tensor in place counts, such as a training step of the readout, but not one through `Tensor.data`.

        Args:
            key: names what is kept.
            make: derives it.
        """
        planes = (plane for planes in self.basis for plane in planes)
        tensors = [*planes, *self.readout.parameters(), *self.readout.buffers()]
        # Tensors made in inference mode have no version; nothing can change them outside of it.
        state = [(id(tensor), -1 if tensor.is_inference() else tensor._version) for tensor in tensors]
        if key not in self._kept or self._kept[key][0] != state:
            self._kept[key] = state, make(self)
        found: T = self._kept[key][1]
        return found

    def _folded(self, extra: Tensor | None) -> FoldedReadout:
        """The readout with the basis fields and the extra columns `(X,)` folded in; zeros if omitted."""
        if len(self) != 1:
            raise ValueError(f"fast evaluation takes one field; got a batch of {len(self)}. Fix: index it, field[i]")
        if extra is None:
            extra = self.basis[0][0].new_zeros(len(self.layout.extra))
        whole = self.to(torch.promote_types(self.dtype, torch.float32))
        return fold(whole.basis, self.layout, whole.readout, extra.to(self.device, whole.dtype))

    def _on_lattice(self, axes: Sequence[Tensor]) -> list[Tensor]:
        """The axes of a lattice on the field's device."""
        if len(axes) != len(self.layout.axes):
            raise ValueError(
                f"a lattice of this field has {len(self.layout.axes)} axes, {', '.join(self.layout.axes)}; "
                f"got {len(axes)}"
            )
        return [axis.to(self.device) for axis in axes]

    def save(self, path: str | Path) -> None:
        """Write basis fields, readout and layout to one safetensors file, atomically.

        Raises:
            OutputError: if the file cannot be written.
        """
        storage.save(self.basis, self.readout, self.layout, Path(path))

    @staticmethod
    def load(path: str | Path) -> Field:
        """Load a field or a batch that `save` wrote, on the CPU, with frozen weights.

        Raises:
            CheckpointError: if the file is not a field, is damaged, comes from a newer version, or needs the embedding
                of a package that is not imported.
        """
        return storage.load(Path(path), Field)


class FieldModule(nn.Module):
    """A field as a module: coordinates, and extra columns if the layout has some, to values; without Python in between.

    The field's tensors are its buffers, not copies of them.

    Args:
        field: one function or a batch.

    Example:
        >>> from ddmi_core.fields.readout import ReadoutConfig
        >>> readout = CoarseToFineReadout((4,), extra=0, values=1, config=ReadoutConfig(width=8))
        >>> field = Field((Planes([torch.randn(1, 4, 16)]),), readout, Layout(axes=("t",), planes=(("t",),)))
        >>> program = torch.export.export(field.module(), (torch.zeros(1, 5, 1),))
    """

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.readout, self.layout = field.readout, field.layout
        self.planes = [len(planes) for planes in field.basis]
        for scale, planes in enumerate(field.basis):
            for plane, grid in enumerate(planes):
                self.register_buffer(f"basis_{scale}_{plane}", grid)

    def forward(self, coords: Tensor, extra: Tensor | None = None) -> Tensor:
        """Values `(B, N, V)` at coordinates `(B, N, D)`; extra columns `(B, N, X)` or `(X,)`, zeros if omitted."""
        basis = tuple(
            Planes(getattr(self, f"basis_{scale}_{plane}") for plane in range(count))
            for scale, count in enumerate(self.planes)
        )
        return Field(basis, self.readout, self.layout)(coords, extra)


def _numbers(name: str, given: Coordinates) -> Tensor:
    """Coordinates or extra columns as a tensor of floating-point numbers."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "biuf":
        given = torch.from_numpy(np.ascontiguousarray(given))
    if not isinstance(given, Tensor) or given.is_complex():
        kind = f"an array of {given.dtype}" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
        raise TypeError(f"{name} is {kind}; a field takes a torch.Tensor or a NumPy array of numbers")
    return given if given.is_floating_point() else given.float()

"""Grids as NumPy files: the default exporter and reader of domains on grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch

from ddmi_core.errors import DataError
from ddmi_core.grids.raster import GridArtefact, StoredGrid
from ddmi_core.grids.signals import GridSignal

ARRAY = ".npy"


def write_array(artefact: GridArtefact, path: Path) -> None:
    """Write values as an array of 32-bit floats: `(*size, V)`, slowest axis first, or `(*size)` if V = 1.

    Raises:
        OSError: if the file cannot be written.
    """
    values = artefact.array()
    with path.open("wb") as stream:
        np.save(stream, values[..., 0] if artefact.channels == 1 else values)


def read_array(path: Path, native: Sequence[int], channels: int) -> GridSignal:
    """The array of a file that `write_array` wrote, or of the same form, as a signal with B = 1.

    An array of another size is resampled to the native one: each cell takes the value at its centre.

    Args:
        path: of the file.
        native: cells along each axis, slowest first.
        channels: V.

    Raises:
        DataError: if the file is missing, is not an array of this form, or has values outside [-1, 1].
    """
    form = "x".join(["N"] * len(native) + ([str(channels)] if channels > 1 else []))
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError, TokenError) as error:  # of damaged headers
        raise DataError(
            f"{path}: not a NumPy file ({error}). Fix: write an array of shape {form} with numpy.save"
        ) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise DataError(f"{path}: no array of numbers. Fix: write one of shape {form} with numpy.save")
    if channels == 1 and values.ndim == len(native):
        values = values[..., None]
    if values.ndim != len(native) + 1 or values.shape[-1] != channels or not values.size:
        raise DataError(f"{path}: an array of shape {'x'.join(map(str, values.shape)) or 'none'}; expected {form}")
    values = values.astype(np.float32)
    if not np.abs(values).max() <= 1:
        raise DataError(f"{path}: values must be finite and lie in [-1, 1]. Fix: scale them as the data of this domain")
    size = values.shape[:-1]
    grid = StoredGrid(values=values, size=size, extent=(2.0,) * len(size)).at(native).values
    return GridSignal(torch.from_numpy(np.moveaxis(grid, -1, 0).copy())[None])

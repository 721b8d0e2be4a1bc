"""Tables of scattered values in CSV and NPZ files, with one column per axis and per value."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ddmi_core.api.domain import Domain
from ddmi_core.api.observations import Observations
from ddmi_core.errors import DataError
from ddmi_core.sources.decoding import damaged, npz_arrays

SUFFIXES = (".csv", ".npz")
MAX_ROWS = 1_000_000

Table = dict[str, npt.NDArray[np.float32]]


def read_values(path: Path, domain: Domain) -> Observations:
    """Read values at places from a CSV file with a header, or an NPZ file with one array per column.

    Columns are named after the domain's axes and values. Extra columns of the layout are optional; the default is
    zero.

    Raises:
        DataError: if the file is missing, has other columns, coordinates beyond [-1, 1], or numbers that are not
            finite.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a table of values' if path.is_dir() else 'no such file'}")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: unsupported suffix; tables of values end in {' or '.join(SUFFIXES)}")
    table = _csv(path) if path.suffix.lower() == ".csv" else _npz(path)
    axes, extra = domain.layout.axes, domain.layout.extra
    needed, known = {*axes, *domain.values}, {*axes, *domain.values, *extra}
    columns = f"columns {', '.join((*axes, *domain.values))}" + (
        f", and optionally {', '.join(extra)}" if extra else ""
    )
    if missing := needed - set(table):
        raise DataError(
            f"{path}: column {min(missing)!r} is missing; a table for plugin {domain.name} has the {columns}"
        )
    if unknown := set(table) - known:
        raise DataError(f"{path}: unknown column {min(unknown)!r}; a table for plugin {domain.name} has the {columns}")
    lengths = {len(column) for column in table.values()}
    if len(lengths) != 1 or not 1 <= max(lengths) <= MAX_ROWS:
        raise DataError(f"{path}: columns must have equal lengths, from 1 to {MAX_ROWS} rows")
    for name, column in table.items():
        if not np.isfinite(column).all():
            row = int(np.flatnonzero(~np.isfinite(column))[0]) + 1
            raise DataError(f"{path}: row {row} of column {name!r} is not a finite number. Fix: remove such rows")
    for name in axes:
        if (beyond := np.flatnonzero(np.abs(table[name]) > 1)).size:
            row = int(beyond[0])
            raise DataError(
                f"{path}: row {row + 1} has {name} = {table[name][row]:g}; coordinates run from -1 to 1 along each axis"
            )

    def stacked(names: tuple[str, ...]) -> torch.Tensor:
        rows = max(lengths)
        blank = np.zeros(rows, dtype=np.float32)
        return torch.from_numpy(np.array([table.get(name, blank) for name in names]).reshape(len(names), rows).T.copy())

    return Observations.at(stacked(axes), stacked(domain.values), stacked(extra).float())


def _csv(path: Path) -> Table:
    with damaged(str(path), "a CSV file"), path.open(newline="", encoding="utf-8-sig") as stream:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row] or [[]]
    if len(set(header)) != len(header):
        raise DataError(f"{path}: the header has a duplicate column")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"{path}: row {number} has {len(row)} cells, the header has {len(header)}")
    try:
        numbers = np.array(rows, dtype=np.float32).reshape(len(rows), len(header))
    except ValueError as error:
        raise DataError(f"{path}: all cells below the header must be numbers: {error}") from error
    return {name: numbers[:, column] for column, name in enumerate(header)}


def _npz(path: Path) -> Table:
    with npz_arrays(path, str(path), "an NPZ file of numbers") as stored:
        table = {name: np.asarray(stored[name], dtype=np.float32) for name in stored.files}
    for name, column in table.items():
        if column.ndim != 1:
            raise DataError(f"{path}: array {name!r} has shape {column.shape}; a column must be one-dimensional")
    return table

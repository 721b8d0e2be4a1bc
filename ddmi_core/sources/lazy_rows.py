"""Rows that are decoded from their files when they are read, for data beyond memory and disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[Any]


class LazyRows:
    """Rows `(M, ...)` of M files, decoded at each reading; rows, and views of all rows, are selected as of an array.

    Example:
        >>> rows = LazyRows(lambda index: np.arange(6) + 10 * index, 100, 6, np.dtype(np.int64))
        >>> levels = rows[:, :2], rows[:, 2:].reshape(100, 2, 2)
        >>> levels[1].shape, levels[1][[3, 7]].tolist()
        ((100, 2, 2), [[[32, 33], [34, 35]], [[72, 73], [74, 75]]])

    Args:
        read: function from the index of a file to its row `(length,)`; in any order, thread or process.
        count: M.
        length: values of a row.
        dtype: their type.
        once: `(name, make)` returns a JSON value that depends on all rows, computed once for these files.
    """

    def __init__(
        self,
        read: Callable[[int], Rows],
        count: int,
        length: int,
        dtype: np.dtype[Any],
        once: Callable[[str, Callable[[], Any]], Any] = lambda name, make: make(),
    ) -> None:
        self.dtype, self.once = dtype, once
        self._table, self._view = _Table(read, length, dtype), _whole
        self.shape: tuple[int, ...] = (count, length)

    def __len__(self) -> int:
        """M."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Copies of rows at an index, slice or indices `(n,)`; a tuple that begins with `:` gives a view of all rows.

        Raises:
            DataError: if a file cannot be read any more.
            IndexError: if there is no such row, or the first element of a tuple is not `:`.
        """
        if isinstance(key, tuple):
            if key[0] != slice(None):
                raise IndexError(f"rows that are decoded when they are read take keys that begin with `:`, not {key!r}")
            return self._seen(lambda rows: rows[key])
        if isinstance(key, slice):
            key = range(len(self))[key]
        rows = np.asarray(key, dtype=np.int64)
        if wrong := [int(row) for row in rows.flat if not -len(self) <= row < len(self)]:
            raise IndexError(f"row {wrong[0]} of {len(self)} files")
        rows = np.where(rows < 0, rows + len(self), rows)
        read = np.array(self._view(self._table.rows(tuple(np.atleast_1d(rows).tolist()))))
        return read if rows.ndim else read[0]

    def reshape(self, *shape: int) -> LazyRows:
        """A view with other axes of each row.

        Raises:
            ValueError: if the first axis changes.
        """
        if shape[0] not in (len(self), -1):
            raise ValueError(f"the first axis is {len(self)} files; it cannot become {shape[0]}")
        return self._seen(lambda rows: rows.reshape(len(rows), *shape[1:]))

    def _seen(self, change: Callable[[Rows], Rows]) -> LazyRows:
        """A further view of the same files."""
        inner = self._view
        other = LazyRows(self._table.read, len(self), self._table.length, self.dtype, self.once)
        other._table, other._view = self._table, lambda rows: change(inner(rows))
        other.shape = (len(self), *other._view(np.zeros((1, self._table.length), self.dtype)).shape[1:])
        return other


class _Table:
    """Reads rows; keeps those of the last reading, because the views of a batch are read one after the other."""

    def __init__(self, read: Callable[[int], Rows], length: int, dtype: np.dtype[Any]) -> None:
        self.read, self.length, self.dtype = read, length, dtype
        self._last: tuple[tuple[int, ...], Rows] = (), np.zeros((0, length), dtype)

    def rows(self, indices: tuple[int, ...]) -> Rows:
        """Rows `(n, length)`."""
        known, rows = self._last
        if known != indices:
            rows = np.stack([self.read(index) for index in indices]) if indices else rows[:0]
            self._last = indices, rows
        return rows


def _whole(rows: Rows) -> Rows:
    return rows

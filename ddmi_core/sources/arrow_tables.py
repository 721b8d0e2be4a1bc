"""Files in rows of tables, as Hugging Face's `datasets` stores them: Parquet shards, and folders of `save_to_disk`."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from attrs import frozen

from ddmi_core.errors import DataError, first_line
from ddmi_core.sources.account import account, data_warning

PARQUET = ".parquet"
TABLES = (PARQUET, ".arrow")
CAPTIONS = ("text", "caption", "captions", "prompt")  # columns of captions
STATE = "state.json"  # of `save_to_disk`, beside the tables that it lists
BATCH = 32  # rows of files that are decoded at once
KEPT = 4  # such batches in memory, because threads read rows that lie near each other
OPEN = 4  # tables that a process keeps open
SMALL_ROWS = 1 << 14  # rows of paths, classes and captions that are read at once
FIX = "give the folder of the tables that hold the files, or save them again without the other columns"


@frozen
class TableRow:
    """A row of a table that holds a file.

    Args:
        number: of the row in its table, from 0.
        path: the file's path when it was stored; empty if the table has none.
        label: name of the class; empty if there is none.
        captions: `{column: text or texts}`; empty if there are none.
        reader: opens the file.
    """

    number: int
    path: str
    label: str
    captions: dict[str, Any]
    reader: Callable[[], BinaryIO]


@frozen
class _Columns:
    """Names of the columns that are read, and of the classes."""

    file: str
    bytes: str  # of a struct, its field with the contents; empty for a binary column
    path: str  # of a struct, its field with the path; empty if there is none
    label: str
    classes: tuple[str, ...]
    captions: tuple[str, ...]


def listed_tables(location: Path, names: Sequence[str]) -> list[str]:
    """Tables without those that a `state.json` beside them does not list: results of `map` that `datasets` keeps.

    Raises:
        DataError: if a `state.json` is damaged, or a table that it lists is missing.
    """
    listed: dict[Path, list[str] | None] = {}
    for folder in dict.fromkeys((location / name).parent for name in names):
        state = folder / STATE
        listed[folder] = None
        if state.is_file():
            try:
                listed[folder] = found = [each["filename"] for each in json.loads(state.read_bytes())["_data_files"]]
                missing = [file for file in found if not (folder / file).is_file()]
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise DataError(f"{state}: not the state of a saved data set, or damaged: {error}") from error
            if missing:
                raise DataError(f"{folder / missing[0]}: missing, but {STATE} lists it. Fix: copy the whole folder")
    kept = []
    for name in names:
        mine = listed[(location / name).parent]
        if mine is None or Path(name).name in mine:
            kept.append(name)
        else:
            account().leave_out(location, name, f"not in {STATE}")
    return kept


def table_rows(path: Path, stamp: str, captions: bool) -> Iterator[TableRow]:
    """The rows of a table that hold a file, in order; a warning counts those that are empty.

    Paths, classes and captions are read at once, and a file when it is opened. Parquet is decoded by pages and Arrow is
    mapped, so that no table has to fit into the memory. Rows of Parquet are quick to read in order: for another place,
    a row group is decoded from its start.

    Args:
        path: Parquet file, or Arrow stream or file.
        stamp: changes when the table changes.
        captions: whether to read captions, too.

    Raises:
        DataError: if pyarrow is not installed, the table is damaged, or not exactly one of its columns holds files.
    """
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
    except ImportError as error:
        raise DataError(f"{path}: tables require the package pyarrow. Fix: pip install 'ddmi[tables]'") from error
    empty, number = list[str](), 0
    try:
        table = _opened(os.getpid(), path, stamp)
        columns = _columns(path, table.schema, captions)
        contents = table.present(columns)
        for batch in table.small(columns):
            values = {name: batch.column(name).to_pylist() for name in (columns.label, *columns.captions) if name}
            paths = pc.struct_field(batch.column(columns.file), columns.path).to_pylist() if columns.path else None
            for i in range(batch.num_rows):
                stored, filled = paths[i] or "" if paths else "", next(contents)
                index = values[columns.label][i] if columns.label else None
                if filled or stored:
                    label = columns.classes[index] if index is not None and 0 <= index < len(columns.classes) else ""
                    texts = {name: values[name][i] for name in columns.captions if values[name][i]}
                    reader = partial(_read, path, stamp, columns, number)
                    yield TableRow(number, stored, label, texts, reader if filled else partial(_without, stored))
                else:
                    empty.append(f"row {number}")
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a table, or damaged: {error}") from error
    if empty:
        data_warning(f"{path.name}: {len(empty)} of {number} rows have no file in {columns.file!r}", empty)


def _columns(path: Path, schema: Any, captions: bool) -> _Columns:
    """The columns to read, by their types and by what `datasets` notes in the schema."""
    import pyarrow as pa

    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        features = {}
    structs, binaries, texts = [], [], []
    for column in schema:
        kind = column.type
        if pa.types.is_struct(kind) and any(each.name == "bytes" and _is_binary(each.type) for each in kind):
            structs.append(column.name)
        elif _is_binary(kind):
            binaries.append(column.name)
        elif _is_text(kind) or ((pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type)):
            texts.append(column.name)
    files = structs or binaries
    if len(files) != 1:
        found = ", ".join(f"{column.name} ({column.type})" for column in schema if not files or column.name in files)
        what = "several columns hold files" if files else "no column holds files, as bytes or as bytes with a path"
        raise DataError(f"{path}: {what}: {found}. Fix: {FIX}")
    labels = {
        name: tuple(str(each).replace("/", "-") for each in feature["names"])
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }
    label = "label" if "label" in labels else next(iter(labels), "")
    if len(labels) > 1:
        data_warning(f"classes are those of the column {label!r}, of several: {', '.join(labels)}")
    (file,) = files
    fields = {each.name for each in schema.field(file).type} if structs else set()
    return _Columns(
        file,
        "bytes" if structs else "",
        "path" if "path" in fields else "",
        label,
        labels.get(label, ()),
        tuple(name for name in CAPTIONS if captions and name in texts),
    )


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read(path: Path, stamp: str, columns: _Columns, row: int) -> BinaryIO:
    """The open file of a row."""
    import pyarrow as pa

    try:
        return BytesIO(_opened(os.getpid(), path, stamp).value(columns, row).as_buffer())
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise OSError(f"its table is damaged: {first_line(error)}") from error


def _without(stored: str) -> BinaryIO:
    raise OSError(
        f"the table has its path alone, {stored}, and not its contents. Fix: store the contents: "
        "save_to_disk and push_to_hub of datasets do so, to_parquet from version 2.15"
    )


@lru_cache(OPEN)
def _opened(process: int, path: Path, stamp: str) -> _ParquetTable | _ArrowTable:
    """The open table of a process; those of other processes share neither places nor locks."""
    return _ParquetTable(path) if path.suffix.lower() == PARQUET else _ArrowTable(path)


class _ParquetTable:
    """Columns of a Parquet file; the column of files is decoded forwards, by a few rows at a time."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, memory_map=True)
        self.schema = self._file.schema_arrow
        groups = range(self._file.metadata.num_row_groups)
        self._ends = list(accumulate(self._file.metadata.row_group(group).num_rows for group in groups))
        self._lock = Lock()
        self._batches: Iterator[Any] = iter(())
        self._group, self._next = -1, 0  # that are decoded; the row behind the last decoded one
        self._recent: deque[tuple[int, Any]] = deque(maxlen=KEPT)  # first rows, and columns

    def small(self, columns: _Columns) -> Iterator[Any]:
        """Batches of the columns other than the contents of files."""
        file = [f"{columns.file}.{columns.path}"] if columns.path else []
        names = [*file, *filter(None, [columns.label, *columns.captions])]
        return self._file.iter_batches(SMALL_ROWS, columns=names, use_threads=False)  # type: ignore[no-any-return]

    def present(self, columns: _Columns) -> Iterator[bool]:
        """Whether each row has contents: by the statistics of row groups, or by reading groups where they miss some."""
        leaf = f"{columns.file}.{columns.bytes}" if columns.bytes else columns.file
        for group in range(len(self._ends)):
            facts = self._file.metadata.row_group(group)
            chunks = (facts.column(i) for i in range(facts.num_columns))
            known = next(chunk.statistics for chunk in chunks if chunk.path_in_schema == leaf)
            if known is not None and known.has_null_count and not known.null_count:
                yield from (True for _ in range(facts.num_rows))
            else:
                for batch in self._file.iter_batches(BATCH, [group], [leaf], use_threads=False):
                    yield from _contents(batch.column(0), columns).is_valid().to_pylist()

    def value(self, columns: _Columns, row: int) -> Any:
        """The contents of a row."""
        with self._lock:
            while (found := self._kept(row)) is None:
                group = bisect_right(self._ends, row)
                if group != self._group or row < self._next:
                    self._group, self._next = group, self._ends[group - 1] if group else 0
                    leaf = f"{columns.file}.{columns.bytes}" if columns.bytes else columns.file
                    self._batches = self._file.iter_batches(BATCH, [group], [leaf], use_threads=False)
                column = _contents(next(self._batches).column(0), columns)
                self._recent.append((self._next, column))
                self._next += len(column)
            return found

    def _kept(self, row: int) -> Any:
        return next((column[row - first] for first, column in self._recent if 0 <= row - first < len(column)), None)


class _ArrowTable:
    """Columns of an Arrow stream or file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        source = pa.memory_map(str(path))
        with path.open("rb") as file:
            stream = not file.read(6).startswith(b"ARROW1")
        self._table = (pa.ipc.open_stream if stream else pa.ipc.open_file)(source).read_all()
        self.schema = self._table.schema

    def small(self, columns: _Columns) -> Iterator[Any]:
        """Batches of the columns; the contents of files stay on the disk."""
        names = filter(None, [columns.file, columns.label, *columns.captions])
        return iter(self._table.select(list(names)).to_batches(SMALL_ROWS))

    def present(self, columns: _Columns) -> Iterator[bool]:
        """Whether each row has contents."""
        for chunk in self._table.column(columns.file).chunks:
            yield from _contents(chunk, columns).is_valid().to_pylist()

    def value(self, columns: _Columns, row: int) -> Any:
        """The contents of a row."""
        value = self._table.column(columns.file)[row]
        return value[columns.bytes] if columns.bytes else value


def _contents(column: Any, columns: _Columns) -> Any:
    """The contents of files in a column."""
    import pyarrow.compute as pc

    return pc.struct_field(column, columns.bytes) if columns.bytes else column

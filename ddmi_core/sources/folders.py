"""Data sources of files in a folder or zip archive: finding, checking, cached decoding and labelling."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

import numpy as np
from attrs import evolve, field, frozen
from platformdirs import user_data_path

from ddmi_core.errors import DataError, UnusableFiles, counted
from ddmi_core.sources.account import NOT_CHOSEN, UNUSABLE, account, as_json, changes_from, data_warning, is_open
from ddmi_core.sources.array_cache import ArrayCache, Rows
from ddmi_core.sources.captions import captions_beside, tell_sides
from ddmi_core.sources.decoding import Decoded, Decoding, decode_files, decoded
from ddmi_core.sources.files import INDICES, Entry, find_files
from ddmi_core.sources.splits import choose, without_split

SHOWN = 5
LARGE_SET = 1000  # files, whose headers take longer to read than the cache

log = logging.getLogger(__name__)


class Named(Protocol):
    """Anything with a name, such as an `Entry`."""

    @property
    def name(self) -> str:
        """The name in messages."""


Item = TypeVar("Item", bound=Named)
Fact = TypeVar("Fact")


@frozen
class FileLabels:
    """Classes and captions of N signals, from the names and neighbours of their files.

    Args:
        classes: names of the classes; empty if there are none.
        labels: N class indices; zeros if there are no classes.
        captions: N tuples of captions, or an empty list if not every file has captions.
    """

    classes: tuple[str, ...]
    labels: list[int]
    captions: list[tuple[str, ...]]

    @property
    def mirrorable(self) -> list[bool]:
        """For each signal, whether its captions stay true of its mirror image: none mentions left or right."""
        return [not tell_sides(texts) for texts in self.captions or [()] * len(self.labels)]


@frozen
class FolderSource:
    """The steps of a data source that reads files from a folder or zip archive.

    `entries` finds files, `usable` checks them before anything large is decoded, `decode` decodes them into one array,
    and `labels` gives their classes and captions. Unusable files raise an error or are left out with a warning.

    Args:
        location: folder or zip archive.
        kind: what the files are, in the plural, for messages: `pictures`.
        suffixes: accepted file extensions in lower case: `(".png", ".jpg")`.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
        classes: take classes from sub-folders.
        captions: read captions from text files beside the files.

    Example:
        >>> def load(location, settings):
        ...     folder = FolderSource(required_location(location, "sounds"), "sounds", (".wav",), settings.strict)
        ...     entries = folder.entries(settings.limit)
        ...     rows, kept = folder.decode(entries, Decoding(4096, np.dtype(np.int16), read_wav, ("sonar", 4096)))
        ...     names = [entries[i].name for i in kept]
        ...     found = folder.labels(names)
        ...     sounds = GridSet([rows[:, None]], names, kept, found.classes, found.labels, captions=found.captions)
        ...     return sounds.split(settings.held_out)
    """

    location: Path
    kind: str
    suffixes: tuple[str, ...]
    strict: bool = True
    classes: bool = True
    captions: bool = True
    _problems: dict[str, str] = field(factory=dict, init=False, eq=False, repr=False)  # of files not yet reported

    def entries(self, limit: int = 0) -> list[Entry]:
        """Files sorted by name, at most `limit` of them (0: all), chosen by a stable hash of their names.

        Raises:
            DataError: if the location is missing, is neither a folder nor an archive, or has no such file.
        """
        found = find_files(self.location, self.suffixes, self.kind)
        chosen = [found[i] for i in choose([entry.name for entry in found], limit)]
        for name in {entry.name for entry in found} - {entry.name for entry in chosen}:
            account().leave_out(self.location, name, NOT_CHOSEN)
        return chosen

    def usable(
        self, items: Sequence[Item], check: Callable[[Item], Fact], reason: str = "", key: Sequence[Any] = ()
    ) -> tuple[list[Item], list[Fact]]:
        """Items that pass a check, and what the check returned for each. `decode` reports the others with its own.

        Args:
            items: entries, or other things with a name that consist of files.
            check: reads a header or counts parts, for example; raises `DataError` for an unusable item.
            reason: the end of the error if no item passes: `as each is too short`.
            key: all inputs of the facts but the files, if items are entries and facts are JSON values: those of large
                sets are then kept in the user's cache.

        Raises:
            DataError: if no item passes.
        """

        def found() -> list[tuple[Any, str]]:
            return [_checked(item, check) for item in items]

        if key and len(items) >= LARGE_SET:
            files = [(item.name, item.stamp) for item in items if isinstance(item, Entry)]
            place = ["facts", str(self.location.resolve()), *key, files]
            _, facts = INDICES.noted(place, lambda: (np.zeros(0), found()))
            INDICES.tidy()
        else:
            facts = found()
        self._problems.update((item.name, problem) for item, (_, problem) in zip(items, facts, strict=True) if problem)
        kept = [item for item, (_, problem) in zip(items, facts, strict=True) if not problem]
        if not kept:
            report_unusable(self.location, self._problems, self.strict)
            raise self.nothing_usable(f"{self.kind} ({len(items)})", reason)
        return kept, [fact for fact, problem in facts if not problem]

    def decode(
        self,
        entries: Sequence[Entry],
        how: Decoding,
        *,
        cache: ArrayCache | None = None,
        unusable: Callable[[dict[str, str]], Mapping[str, str]] | None = None,
        total: str = "",
    ) -> tuple[Rows, list[int]]:
        """Decode files into rows of one array.

        Args:
            entries: M files, or parts of files with names of their own.
            how: how one of them becomes a row.
            cache: for rows that take long to make: keeps each of them, so that a changed set makes only the new ones.
            unusable: turns problems of entries into problems of files, both by name; the same problems by default.
            total: what none of can be used, for the error: `pictures (12)` by default.

        Returns:
            Rows `(M, length)`, and the indices of the entries that could be decoded, at least one. The rows are an
            array; where `how` is repeatable, they may be `LazyRows`, which `GridSet` takes as well.

        Raises:
            DataError: if no entry can be decoded, or if `strict` and a file is unusable, for `usable` or here.
            OutputError: if the cache of large arrays cannot be written.
        """
        rows, problems = decode_files(self.location, entries, how if cache is None else self._cached(how, cache))
        if cache is not None:
            cache.tidy()
        found = {**self._problems, **(problems if unusable is None else unusable(problems))}
        try:
            report_unusable(self.location, found, self.strict)
        except UnusableFiles as error:
            self._read_labels([entry.name for entry in entries if entry.name not in problems], error)
            raise
        kept = [i for i, entry in enumerate(entries) if entry.name not in problems]
        if not kept:
            raise self.nothing_usable(total or f"{self.kind} ({len(entries)})")
        return rows, kept

    def labels(self, files: Sequence[str], captioned: Sequence[str] = ()) -> FileLabels:
        """Classes and captions of signals.

        Args:
            files: for each signal the name of its file, as `entries` gives it; signals may share a file.
            captioned: for each signal the name beside which its captions lie; its file by default.

        Raises:
            DataError: if a caption file cannot be used.
        """
        beside = dict(zip(files, captioned or files, strict=True))
        place = {file: i for i, file in enumerate(beside)}
        classes, labels = classes_of(list(beside)) if self.classes else ((), [0] * len(beside))
        texts: list[tuple[str, ...]] = []
        if self.captions:
            texts = captions_beside(self.location, list(beside.values()), self.suffixes, self.kind)
        captions = [texts[place[file]] for file in files] if texts else []
        return FileLabels(classes, [labels[place[file]] for file in files], captions)

    def _read_labels(self, names: Sequence[str], unusable: UnusableFiles) -> None:
        """Read classes and captions only for their warnings and errors, so that all are reported at once."""
        try:
            self.labels(names)
        except DataError as error:
            captions = f"There are errors in captions, too:\n  {error}"
            raise UnusableFiles(f"{unusable}\n{captions}", f"{unusable.brief}\n{captions}") from error

    def nothing_usable(self, total: str, reason: str = "") -> DataError:
        """The error for a location without a usable file."""
        return DataError(f"{self.location}: none of its {total} can be used{f', {reason}' if reason else ''}")

    def _cached(self, how: Decoding, cache: ArrayCache) -> Decoding:
        """The same decoding with each row kept in a cache."""

        def read(entry: Entry) -> Decoded:
            def make() -> tuple[Rows, Any]:
                made = decoded(how.read(entry))
                return made.row, [as_json(change) for change in made.changes]

            row, changes = cache.noted([*how.key, str(self.location.resolve()), entry.name, entry.stamp], make)
            return Decoded(row, changes_from(changes))

        return evolve(how, read=read, repeatable=False)


def _checked(item: Item, check: Callable[[Item], Fact]) -> tuple[Fact | None, str]:
    """What a check returns, or the error."""
    try:
        return check(item), ""
    except DataError as error:
        return None, str(error)


def required_location(location: Path | None, files: str) -> Path:
    """The location of a source that cannot do without one.

    Args:
        location: as the source got it.
        files: what has to be there, for the message: `pictures`.

    Raises:
        DataError: if there is none.
    """
    if location is None:
        raise DataError(f"the source 'folder' requires a folder or zip archive of {files}: --data PATH")
    return location


def default_place(name: str) -> Path:
    """Default folder of a data set, used if no path is given."""
    return user_data_path("ddmi") / "data" / name


def classes_of(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Classes and labels from first-level sub-folders; none if a file is in no sub-folder, or there is only one.

    Folders of a split, `train` and `test`, are not classes, but may contain some.

    Args:
        names: paths below the folder, with `/`.

    Example:
        >>> classes_of(["a/1.png", "b/1.png", "b/2.png"])
        (('a', 'b'), [0, 1, 1])
    """
    tops = [parts[0] if len(parts := PurePosixPath(name).parts) > 1 else "" for name in without_split(names)]
    classes = sorted(set(tops))
    outside = [name for name, top in zip(names, tops, strict=True) if not top]
    if 0 < 2 * len(outside) < len(names):
        data_warning(
            f"no classes: {len(names) - len(outside)} files are in sub-folders, {len(outside)} not",
            outside,
            "move these files into the folders of their classes, or remove them",
        )
    if "" in classes or len(classes) < 2:
        return (), [0] * len(names)
    return tuple(classes), [classes.index(top) for top in tops]


def report_unusable(location: Path, problems: Mapping[str, str], strict: bool, setting: str = "domain.strict") -> None:
    """Raise an error for, or warn about, unusable files.

    Args:
        location: of the files.
        problems: a sentence for each such file, by name.
        strict: whether to raise.
        setting: key of the setting that controls it, for the message.

    Raises:
        UnusableFiles: if `strict`, and there are problems.
    """
    if not problems:
        return
    for name, problem in problems.items():
        account().leave_out(location, name, UNUSABLE, problem)
    shown = [f"  {problem}" for problem in list(problems.values())[:SHOWN]]
    if len(problems) > SHOWN:
        shown.append(f"  and {len(problems) - SHOWN} more")
    brief = f"{location}: {counted(len(problems), 'file')} cannot be used"
    text = "\n".join([brief, *shown])
    if strict:
        fix = f"Fix or remove them, or skip them with --set {setting}=false"
        raise UnusableFiles(f"{text}\n{fix}", f"{brief}. {fix}")
    if not is_open():
        log.warning("%s", text)

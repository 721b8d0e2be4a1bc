"""Data folders: default location, classes from sub-folders, and reports of unusable files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from platformdirs import user_data_path

from ddmi_core.errors import DataError, counted

SHOWN = 5

log = logging.getLogger(__name__)


def default_place(name: str) -> Path:
    """Default folder of a data set, used if no path is given."""
    return user_data_path("ddmi") / "data" / name


def classes_of(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Classes and labels from first-level sub-folders; none if a file is in no sub-folder, or there is only one.

    Args:
        names: paths below the folder, with `/`.

    Example:
        >>> classes_of(["a/1.png", "b/1.png", "b/2.png"])
        (('a', 'b'), [0, 1, 1])
    """
    tops = [parts[0] if len(parts := PurePosixPath(name).parts) > 1 else "" for name in names]
    classes = sorted(set(tops))
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
        DataError: if `strict`, and there are problems.
    """
    if not problems:
        return
    shown = [f"  {problem}" for problem in list(problems.values())[:SHOWN]]
    if len(problems) > SHOWN:
        shown.append(f"  and {len(problems) - SHOWN} more")
    text = "\n".join([f"{location}: {counted(len(problems), 'file')} cannot be used", *shown])
    if strict:
        raise DataError(f"{text}\nFix or remove them, or skip them with --set {setting}=false")
    log.warning("%s", text)

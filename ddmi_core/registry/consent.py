"""Consent to run the code of single files: digests of the files that this user has given with `--plugin`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from platformdirs import user_state_path

from ddmi_core.registry.single_file import digest

FOLDER = "files"


def give_consent(path: Path, source: bytes) -> None:
    """Record that the user has given a file. Without a writable home folder, nothing is recorded.

    Args:
        path: of the file, for the reader of the record.
        source: contents of the file.
    """
    place = _place(source)
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{path}\n", encoding="utf-8")


def has_consent(source: bytes) -> bool:
    """Whether the user has given a file with these contents before."""
    try:
        return _place(source).is_file()
    except OSError:
        return False


def _place(source: bytes) -> Path:
    """The file that records the consent to contents, in the user's state folder: no run folder can contain it."""
    return user_state_path("ddmi") / FOLDER / digest(source)

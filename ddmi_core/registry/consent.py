"""Consent to run code that a run folder has or names: digests of the files that this user has named, and `--trust`."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from platformdirs import user_state_path

from ddmi_core.errors import PluginError
from ddmi_core.registry.single_file import digest

FOLDER = "files"
_TRUSTING = [False]  # whether this process runs what run folders have and name


def trust(all_runs: bool) -> None:
    """Set whether this process runs code of any run folder, whoever made it; for `--trust`, and for programs."""
    _TRUSTING[0] = all_runs


def give_consent(path: Path, source: bytes | None = None) -> None:
    """Record that the user has named a file. Without a writable home folder, nothing is recorded.

    Args:
        path: of the file, for the reader of the record.
        source: contents of the file; read if `None`.
    """
    with contextlib.suppress(OSError):
        place = _place(_digest_of(path) if source is None else digest(source))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{path}\n", encoding="utf-8", errors="surrogateescape")


def has_consent(source: bytes) -> bool:
    """Whether the user has named a file with these contents before, or trusts all runs."""
    return _TRUSTING[0] or _recorded(digest(source))


def check_program(path: Path, run: str) -> None:
    """Refuse a network in a file that is a program, if a run names it and the user never has.

    Args:
        path: of the file; one that does not exist passes.
        run: what names it, for the message.

    Raises:
        PluginError: names the file, and how to trust it.
    """
    if _TRUSTING[0] or not path.is_file() or _recorded(_digest_of(path)):
        return
    raise PluginError(
        f"{run} names the network {path}, which is a program (TorchScript or torch.export) that you have not named "
        f"yourself before. Fix: if you trust it, add --trust (in a program: ddmi_core.registry.consent.give_consent("
        f"Path({str(path)!r})))"
    )


def _recorded(sha256: str) -> bool:
    try:
        return _place(sha256).is_file()
    except OSError:
        return False


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(sha256: str) -> Path:
    """The file that records the consent to contents, in the user's state folder: no run folder can contain it."""
    return user_state_path("ddmi") / FOLDER / sha256

"""SIGKILL at a counted change of a folder, and copies of a folder as a SIGKILL at each change would leave it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHANGES = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime"),
    "shutil.rmtree",
}
DEAD = 999_999_999  # number that no process has
TORN = b'{"torn": [0.1, '

_recorders: list[Recorder] = []


def changed(folder: Path, event: str, arguments: tuple[Any, ...]) -> Path | None:
    """The path inside of a folder that an audit event is about to change, if it changes one."""
    if event != "open" and event not in CHANGES:
        return None
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        if not (flags & 0o3 if mode is None else set(mode) & set("wax+")):
            return None
    if not isinstance(arguments[0], str | bytes | Path):
        return None
    text = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
    path = Path(text)
    return path if path.is_relative_to(folder) and path != folder else None


def kill_at(number: int, folder: Path) -> None:
    """Let this process die of SIGKILL just before its change of a folder with this number, counted from 1."""
    left = [number]

    def tell(event: str, arguments: tuple[Any, ...]) -> None:
        if changed(folder, event, arguments) is not None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(tell)


class Recorder:
    """Keeps a copy of a folder before each change of it.

    Audit events of Python report the calls, whatever function makes them: opening for writing, renaming, removing,
    making folders. A process that is killed leaves the folder as it is between two of them. A file that is open for
    writing may hold anything; its copies are torn.

    Args:
        folder: that is watched.
        copies: where the copies go.
    """

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder, self.copies = folder, copies
        self.states: list[tuple[str, Path]] = []
        self._seen: set[str] = set()
        self._lock, self._inside = threading.RLock(), False

    def tell(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Keep a copy, if the event changes the folder."""
        path = changed(self.folder, event, arguments)
        if path is None:
            return
        with self._lock:
            if self._inside:
                return
            self._inside = True
            try:
                self._keep(f"before {event} of {path.relative_to(self.folder)}")
                if event == "open":
                    self._keep(f"{path.relative_to(self.folder)} torn", path, arguments[2])
            finally:
                self._inside = False

    def _keep(self, what: str, torn: Path | None = None, flags: int = 0) -> None:
        state = self.copies / str(len(self.states))
        shutil.rmtree(state, ignore_errors=True)
        if self.folder.exists():
            shutil.copytree(self.folder, state)
        else:
            state.mkdir(parents=True)
        if torn is not None:
            inside = state / torn.relative_to(self.folder)
            if not inside.parent.exists() or inside.is_dir():
                return
            with inside.open("ab" if inside.suffix == ".jsonl" else "wb") as file:
                file.write(TORN)
        for path in sorted(state.rglob(f"*-{os.getpid()}-*")):  # partial files name their process, which is then dead
            path.rename(path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{DEAD}-")))
        for path in state.glob(".lock-*"):  # so does the lock
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f'"pid": {os.getpid()}', f'"pid": {DEAD}'), encoding="utf-8")
        found = hashlib.sha256()
        for path in sorted(state.rglob("*")):
            found.update(str(path.relative_to(state)).encode() + (path.read_bytes() if path.is_file() else b""))
        if found.hexdigest() not in self._seen:
            self._seen.add(found.hexdigest())
            self.states.append((what, state))


@contextmanager
def recorded(folder: Path, copies: Path) -> Iterator[Recorder]:
    """Record the states of a folder during the block."""
    if not _recorders:
        sys.addaudithook(_tell)  # for as long as the process lives, so it does nothing without a recorder
        _recorders.append(Recorder(Path("/nowhere"), copies))
    recorder = Recorder(folder, copies)
    _recorders.append(recorder)
    try:
        yield recorder
    finally:
        _recorders.remove(recorder)


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" and event not in CHANGES:
        return
    for recorder in _recorders[1:]:
        recorder.tell(event, arguments)

"""The lock of a run folder: one writer at a time; a writer that has ended does not hold it."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from attrs import asdict

from ddmi_core.atomic import guarded, temporary_prefix, write_error
from ddmi_core.errors import OutputError
from ddmi_core.process_identity import ProcessIdentity, this_process
from ddmi_core.training import distributed

PREFIX = ".lock-"
BEAT = 10.0  # seconds between two signs of life
STALE = 90.0  # seconds without one after which a process of another machine has ended


@contextmanager
def locked(
    folder: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
) -> Iterator[None]:
    """Hold the lock of an existing folder; of a data-parallel program, the main process holds it for all.

    A process of this machine decides at once. One of another machine is watched: a sign of life ends the attempt, and
    after `STALE` seconds without one the lock is taken over. The clocks of the machines need not agree. An owner that
    was suspended for so long, and has lost its lock, writes no further file in the folder: `written_aside` and the
    writers of checkpoints and of the log raise an error.

    Raises:
        OutputError: names the process that holds it, or has taken it over; or the folder cannot be written.
    """
    with ExitStack() as stack:

        def hold() -> None:  # returns nothing, since all processes get what it returns
            mine, release = _hold(folder, clock, sleep)
            stack.callback(release)
            stack.enter_context(guarded(folder, lambda: _check_held(folder, mine)))

        distributed.on_main(hold)
        yield


class Writer:
    """Tells whether a process holds the lock of a folder, which is only read.

    A process of this machine decides at once. One of another machine counts as ended after `STALE` seconds in which
    `alive` saw no sign of life.

    Args:
        folder: the folder.
        clock: seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._seen: tuple[Path, int | None] | None = None
        self._since = clock()

    def alive(self) -> bool:
        """Whether the process has not ended."""
        places = _places(self._folder)
        if not places:
            return False
        owner = _owner(places[-1])
        if owner is not None and owner.ended is not None:
            return not owner.ended
        if (seen := (places[-1], _sign(places[-1]))) != self._seen:
            self._seen, self._since = seen, self._clock()
        return self._clock() - self._since < STALE


def _hold(
    folder: Path, clock: Callable[[], float], sleep: Callable[[float], object]
) -> tuple[Path, Callable[[], None]]:
    """Take the lock, and return its file and what releases it."""
    try:
        mine = _take(folder, clock, sleep)
    except OSError as error:
        raise write_error(folder, error) from error
    done = Event()

    def beat() -> None:
        while not done.wait(BEAT):
            with suppress(OSError):  # a network file system may be away for a while
                os.utime(mine)

    thread = Thread(target=beat, name="lock", daemon=True)
    thread.start()

    def release() -> None:
        done.set()
        thread.join()
        for place in _places(folder):  # the oldest first, so that the own one holds until the end
            if _number(place) <= _number(mine):
                with suppress(OSError):
                    place.unlink()

    return mine, release


def _check_held(folder: Path, mine: Path) -> None:
    """Check that no other process has taken the lock over, while this one was suspended."""
    places = _places(folder)
    if places[-1:] == [mine]:
        return
    raise OutputError(
        f"this process gave no sign of life for over {STALE:.0f} s, and lost {folder} to "
        f"{_who(places[-1]) if places else 'another process'}, so it writes nothing more there. Fix: wait for the end "
        "of the other process"
    )


def _take(folder: Path, clock: Callable[[], float], sleep: Callable[[float], object]) -> Path:
    """Create the next file of the lock: of all processes that find the last one's owner dead, one succeeds."""
    while True:
        places = _places(folder)
        sign = _sign(places[-1]) if places else None
        if places and not _left(places[-1], clock, sleep):
            raise OutputError(_refusal(folder, places[-1]))
        mine = folder / f"{PREFIX}{_number(places[-1]) + 1 if places else 0}"
        if not _create(mine, json.dumps(asdict(this_process()))):
            continue
        if _places(folder)[-1:] == [mine] and (not places or _sign(places[-1]) == sign):
            return mine
        mine.unlink(missing_ok=True)  # another process was faster


def _create(place: Path, text: str) -> bool:
    """Create a file with its text, so that no process sees it empty; whether it did not exist."""
    aside = place.with_name(f"{temporary_prefix()}{place.name}")
    try:
        aside.write_text(text, encoding="utf-8")
        place.hardlink_to(aside)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        try:  # a file system without links
            with place.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
    finally:
        aside.unlink(missing_ok=True)
    return True


def _left(place: Path, clock: Callable[[], float], sleep: Callable[[float], object]) -> bool:
    """Whether the owner of a file of the lock has ended; waits for a sign of life where only that tells."""
    first, since = _sign(place), clock()
    while True:
        owner = _owner(place)
        if owner is not None and owner.ended is not None:
            return owner.ended
        sign = _sign(place)
        if sign is None or sign != first:
            return sign is None
        if clock() - since >= STALE:
            return True
        sleep(1.0)


def _sign(place: Path) -> int | None:
    """The time of the last sign of life; `None` if the file is gone. Opening makes network file systems ask anew."""
    try:
        with place.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None


def _owner(place: Path) -> ProcessIdentity | None:
    """The owner that a file of the lock names; `None` if it is gone or not complete."""
    try:
        found = ProcessIdentity(**json.loads(place.read_bytes()[:4096]))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found.pid, int) and isinstance(found.start, str) else None


def _refusal(folder: Path, place: Path) -> str:
    return (
        f"{folder} is in use: {_who(place)} writes into it. Fix: wait for its end, or stop it, and give the same "
        "command again"
    )


def _who(place: Path) -> str:
    owner = _owner(place)
    return f"process {owner.pid} on {str(owner.host)[:80]!r}" if owner else "another process"


def _number(place: Path) -> int:
    return int(place.name.removeprefix(PREFIX))


def _places(folder: Path) -> list[Path]:
    """The files of the lock, the newest last."""
    found = (place for place in folder.glob(f"{PREFIX}*") if place.name.removeprefix(PREFIX).isdecimal())
    return sorted(found, key=_number)

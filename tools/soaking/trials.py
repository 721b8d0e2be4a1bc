"""Trials and their verdicts: in worker processes that are forked, or by commands that are."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from unicodedata import category

import psutil
from attrs import asdict, field, frozen

from ddmi_core.errors import DdmiError

OK, ERROR, TRACEBACK, HANG, SILENT, OTHER = "ok", "error", "traceback", "hang", "silent", "other"
OUTCOMES = (OK, ERROR, TRACEBACK, HANG, SILENT, OTHER)
GOOD = (OK, ERROR)
LONGEST = 4200  # characters of a sentence for a user
LINES = 6  # of a traceback in a report


@frozen
class Verdict:
    """What became of a trial.

    Args:
        outcome: one of `OUTCOMES`.
        said: the sentence, or the end of the traceback.
        how: what was done, for a person.
        refused: further inputs of the trial that were refused well.
        taken: further inputs of the trial that were taken.
    """

    outcome: str
    said: str = ""
    how: str = ""
    refused: int = 0
    taken: int = 0


Trial = Callable[[random.Random, Path], Verdict]


@frozen
class Kind:
    """A kind of trial.

    Args:
        name: of the row in the table.
        prepare: called with a folder that lasts as long as the soak; returns the trial, which gets a generator and an
            empty folder of its own.
        before: called with the folder in the main process first, for what commands make.
        limit: seconds after which a trial hangs.
        share: of the time of the soak, relative to the other kinds.
        forked: whether trials run one after another in a forked worker; others fork their own commands.
    """

    name: str
    prepare: Callable[[Path], Trial]
    before: Callable[[Path], object] = lambda _: None
    limit: float = 60.0
    share: float = 1.0
    forked: bool = True


def judged(call: Callable[[], str | None], how: str = "") -> Verdict:
    """The verdict on a call in this process.

    Args:
        call: returns what changed silently, if anything did.
        how: what was done.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            changed = call()
        except DdmiError as error:
            return sentence(str(error), how)
        except BaseException as error:
            return Verdict(TRACEBACK, _end(error), how)
    if changed and not told:
        return Verdict(SILENT, changed, how)
    return Verdict(OK, changed or "", how)


def sentence(text: str, how: str) -> Verdict:
    """The verdict on an error: a sentence has no control characters, and is not too long to read."""
    if len(text) > LONGEST:
        return Verdict(OTHER, f"a message of {len(text)} characters: {text[:200]!r}", how)
    if strange := [c for c in text if not (c.isprintable() or c in "\n\t\u200d" or category(c) == "Zs")]:
        return Verdict(OTHER, f"a message with the character {strange[0]!r}: {text[:300]!r}", how)
    return Verdict(ERROR, text, how)


def _end(error: BaseException) -> str:
    """The last places of a traceback."""
    places = [f"{Path(p.filename).name}:{p.lineno} {p.name}" for p in traceback.extract_tb(error.__traceback__)]
    return f"{' > '.join(places[-LINES:])}: {type(error).__name__}: {str(error)[:300]}"


def seeded(kind: str, seed: int, number: int) -> random.Random:
    """The generator of one trial."""
    return random.Random(f"{kind} {seed} {number}")


def trials(kind: Kind, folder: Path, numbers: range, seed: int, seconds: float) -> Iterator[tuple[int, Verdict]]:
    """Verdicts of trials with these numbers, as many as begin in some seconds after the preparation.

    The folder of a trial, `folder/NUMBER`, remains if the verdict is not good.
    """
    kind.before(folder)
    made = _forked(kind, folder, numbers, seed, seconds) if kind.forked else _here(kind, folder, numbers, seed, seconds)
    for number, verdict in made:
        if verdict.outcome in GOOD:
            shutil.rmtree(folder / str(number), ignore_errors=True)
        yield number, verdict


def _here(kind: Kind, folder: Path, numbers: range, seed: int, seconds: float) -> Iterator[tuple[int, Verdict]]:
    return _tried(kind.prepare(folder), kind.name, folder, numbers, seed, seconds)


def _tried(
    trial: Trial, name: str, folder: Path, numbers: range, seed: int, seconds: float
) -> Iterator[tuple[int, Verdict]]:
    until = time.monotonic() + seconds
    for number in numbers:
        if time.monotonic() > until:
            return
        own = folder / str(number)
        own.mkdir(parents=True, exist_ok=True)
        yield number, trial(seeded(name, seed, number), own)


def _forked(kind: Kind, folder: Path, numbers: range, seed: int, seconds: float) -> Iterator[tuple[int, Verdict]]:
    left = numbers
    while left:
        reader, writer = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(kind, folder, left, seed, seconds, writer)
        os.close(writer)
        prepared = False
        for line in _lines(reader, 4 * kind.limit + 60, kind.limit):
            number, verdict = json.loads(line)
            prepared = True
            if number is None:
                continue
            left = range(number + 1, numbers.stop)
            yield number, Verdict(**verdict)
        hung = end_all(child)
        _, status = os.waitpid(child, 0)
        os.close(reader)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            return
        number, left = left[0], left[1:] if prepared else range(0)
        how = f"see {folder / str(number)}" if prepared else f"the preparation failed, see {folder / 'worker.log'}"
        if hung:
            yield number, Verdict(HANG, f"more than {kind.limit:g} s", how)
        else:
            signal_number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            yield number, Verdict(OTHER, f"the process died with {signal_number}", how)


def _work(kind: Kind, folder: Path, numbers: range, seed: int, seconds: float, writer: int) -> None:
    """The main program of a worker."""
    status = 1
    try:
        os.setsid()
        log = os.open(folder / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        trial = kind.prepare(folder)
        os.write(writer, b"[null, null]\n")
        for number, verdict in _tried(trial, kind.name, folder, numbers, seed, seconds):
            os.write(writer, json.dumps([number, asdict(verdict)]).encode() + b"\n")
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        sys.__stderr__.flush()
        os._exit(3)
    finally:
        sys.stdout.flush()
        os._exit(status)


def _lines(reader: int, first: float, limit: float) -> Iterator[bytes]:
    """Lines of a pipe, until its end or a pause of `limit` seconds; the first line may take longer."""
    rest, wait = b"", first
    while select.select([reader], [], [], wait)[0]:
        data = os.read(reader, 1 << 16)
        if not data:
            return
        wait = limit
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def end_all(child: int) -> bool:
    """End a child and all below it, without collecting it; returns whether it still ran after a second."""
    end = time.monotonic() + 1  # in which a worker that has closed its pipe ends
    while (running := _runs(child)) and time.monotonic() < end:
        time.sleep(0.005)
    with suppress(psutil.Error):
        for each in psutil.Process(child).children(recursive=True):
            with suppress(psutil.Error):
                each.kill()
    if running:
        os.kill(child, signal.SIGKILL)
    return running


def _runs(child: int) -> bool:
    """Whether a child has not ended; does not collect it."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


@frozen
class Ended:
    """The end of a command: its exit status (negative: of a signal; `None`: it hung), and what it wrote."""

    status: int | None
    said: str

    def verdict(self, how: str) -> Verdict:
        """Whether the command ended as a command should."""
        if self.status is None:
            return Verdict(HANG, self.said[-300:], how)
        if "Traceback (most recent call last)" in self.said or "his is a bug in" in self.said:
            return Verdict(TRACEBACK, self.said[-700:], how)
        if self.status < 0 or self.status >= 128 + signal.SIGABRT:
            return Verdict(OTHER, f"status {self.status}: {self.said[-300:]}", how)
        if self.status == 0:
            return Verdict(OK, self.said[-300:], how)
        place = self.said.rfind("error: ")
        if place < 0:
            return Verdict(OTHER, f"status {self.status} without a sentence: {self.said[-300:]}", how)
        return sentence(self.said[place:], how)


@frozen
class Command:
    """`ddmi` with arguments, in a forked process that leads a group of its own.

    Args:
        words: the arguments.
        folder: working folder; what the command writes goes to `said` in it.
        before: called in the new process first, for limits.
    """

    words: Sequence[str]
    folder: Path
    before: Callable[[], None] = lambda: None
    pid: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self._main()
        object.__setattr__(self, "pid", child)

    def _main(self) -> None:
        status = 1
        try:
            os.setsid()
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.stdin.close()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # the interpreter is not yet at the program
            os.chdir(self.folder)
            self.before()
            from ddmi_core.__main__ import main

            sys.argv = ["ddmi", *self.words]
            signal.signal(signal.SIGINT, signal.default_int_handler)
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    @property
    def _log(self) -> Path:
        return self.folder / "said"

    def running(self) -> bool:
        """Whether the process has not ended; does not collect it."""
        return _runs(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, limit: float) -> Ended:
        """Wait for the end, at most `limit` seconds, after which the process is killed."""
        end = time.monotonic() + limit
        while self.running() and time.monotonic() < end:
            time.sleep(0.005)
        hung = self.running()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        said = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return Ended(None if hung else os.waitstatus_to_exitcode(status), said)


def ran(words: Sequence[str], folder: Path, limit: float = 120, before: Callable[[], None] = lambda: None) -> Ended:
    """Run a command to its end."""
    return Command(words, folder, before).wait(limit)

"""Exceptions that are not ours: one sentence with the place and whose bug it is, and a file for a report of the bug."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from attrs import frozen

from ddmi_core.errors import DdmiError, OutputError, first_line, printable, shortened
from ddmi_core.out_of_memory import exhausted_memory, out_of_memory
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.records import DOMAINS, EXTENSIONS
from ddmi_core.registry.single_file import PREFIX

_LISTED = ("ddmi", "torch", "numpy", "safetensors", "attrs", "cattrs", "typer", "accelerate")
_SETTINGS = 100_000  # characters of settings in a report
_FRAME = re.compile(r'File "([^"\n]+)", line (\d{1,9}), in (\S+)')
_SECRET = re.compile(
    r"(?i)(\bhf_\w+|(?<=://)[^/\s@]+(?=@)|(?<=token[=:\s])\S+|(?<=password[=:\s])\S+|(?<=secret[=:\s])\S+|(?<=key=)\S+)"
)


@frozen
class Place:
    """A line of ours or of a plugin.

    Args:
        owner: whose line it is: `ddmi`, or `the plugin 'image' of ddmi`.
        text: `ddmi_image/parts.py, line 12, in read`.
    """

    owner: str
    text: str


def known(error: BaseException) -> DdmiError | None:
    """The error for users behind an exception of Python that no caller has converted; `None` if it is a bug.

    What an exhausted machine raises is no bug: no space on the disk, or no memory. Nor is a path that no system takes.
    """
    if found := exhausted_memory(error):
        return out_of_memory(found)
    if isinstance(error, OSError) and (error.errno or 0) in _EXHAUSTED:
        where = f" while using {shortened(printable(str(error.filename)))}" if error.filename else ""
        return OutputError(f"{os.strerror(error.errno or 0).lower()}{where}. Fix: {_EXHAUSTED[error.errno or 0]}")
    return None


def sentence(error: BaseException) -> str:
    """What happened, where, whose bug it is, and how to report it; writes the file for the report."""
    place = next(iter(_places(error)), None)
    what = type(error).__name__ + (f": {first_line(error)}" if str(error) else "")
    where = f" ({place.text})" if place else ""
    what = shortened(printable(what), most=1000)
    return f"unexpected {what}{where}. This is a bug in {_owners(error)}. Fix: {_advice(error)}"


def hint(error: BaseException) -> str:
    """Where the exception behind an error of ours is: in a file, and with `--debug`."""
    try:
        return f"the file {write_report(error)} has the traceback, which --debug shows as well"
    except OSError:
        return "--debug shows the traceback"


def install_thread_hook() -> None:
    """Report exceptions that end a thread as those of a command."""

    def report(arguments: Any) -> None:
        error = arguments.exc_value
        if isinstance(error, BaseException) and not isinstance(error, SystemExit):
            name = arguments.thread.name if arguments.thread else "unnamed"
            print(f"error: in the thread {name!r}: {sentence(error)}", file=sys.stderr)

    threading.excepthook = report


def _advice(error: BaseException) -> str:
    try:
        file = write_report(error)
    except OSError as failure:
        return f"report it with the traceback, which --debug shows (it could not be written to a file: {failure})"
    return f"report it with the file {file}, which has the traceback and the versions; --debug shows the traceback here"


def write_report(error: BaseException) -> Path:
    """Write traceback, versions, command line and settings to a new file in the temporary folder.

    The file can be read by its owner alone. Words that look like passwords and tokens are left out, and the
    environment is, but for the variables of ddmi.
    """
    text = _SECRET.sub("[left out]", "\n".join(_report(error)).replace(str(Path.home()), "~"))
    handle, name = tempfile.mkstemp(prefix="ddmi-report-", suffix=".txt")
    os.close(handle)
    Path(name).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return Path(name)


def _report(error: BaseException) -> Iterator[str]:
    yield "".join(traceback.format_exception(error))
    yield f"whose bug: {_owners(error)}"
    yield f"command: {' '.join(map(repr, sys.argv))}"
    yield f"python: {platform.python_version()} on {platform.platform()}"
    for name in _LISTED:
        with suppress(PackageNotFoundError):
            yield f"{name}: {version(name)}"
    with suppress(Exception):
        for group in (DOMAINS, EXTENSIONS):
            yield from (f"{record.kind} {record.name}: {record.origin}" for record in discover(group))
    yield from (f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("DDMI_"))
    for word in sys.argv[1:]:
        for path in (Path(word), Path(word) / "run.toml"):
            with suppress(OSError, ValueError):
                if path.suffix == ".toml" and path.is_file():
                    with path.open(encoding="utf-8", errors="replace") as file:
                        yield f"\n{path}:\n{file.read(_SETTINGS)}"


def _owners(error: BaseException) -> str:
    """Whose bug it is: that of the innermost line; if that is ours below a line of a plugin, of one of both."""
    owners = list(dict.fromkeys(place.owner for place in _places(error)))
    if not owners:
        return "ddmi"
    return owners[0] if owners[0] != "ddmi" or len(owners) == 1 else f"ddmi or in {owners[1]}"


def _places(error: BaseException) -> list[Place]:
    """Our lines and those of plugins in the traceback, innermost first."""
    packages = _packages()
    found: list[Place] = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        file = frame.f_code.co_filename
        if module.startswith(PREFIX):
            found.append(Place(f"the plugin in the file {printable(file)}", _line(file, line, frame.f_code.co_name)))
        elif package in packages or package == "ddmi_core":
            name = module.replace(".", "/") + ".py" if module not in ("", "__main__") else file
            found.append(Place(packages.get(package, "ddmi"), _line(name, line, frame.f_code.co_name)))
    return [*_noted(error, packages), *found[::-1]]


def _noted(error: BaseException, packages: Mapping[str, str]) -> list[Place]:
    """Lines in the traceback of another process, which is in a note of the exception."""
    found = []
    for file, line, function in _FRAME.findall("\n".join(getattr(error, "__notes__", ()))):
        parts = Path(file).parts
        start = next((n for n, part in enumerate(parts) if part in packages or part == "ddmi_core"), None)
        if start is not None:
            place = _line("/".join(parts[start:]), int(line), function)
            found.append(Place(packages.get(parts[start], "ddmi"), place))
    return found[::-1]


def _line(file: str, line: int, function: str) -> str:
    return f"{printable(file)}, line {line}, in {function}"


def _packages() -> dict[str, str]:
    """Packages of plugins and extensions, with their names for messages."""
    found: dict[str, str] = {}
    with suppress(Exception):
        for group in (DOMAINS, EXTENSIONS):
            for record in discover(group):
                package = record.entry_point.partition(":")[0].partition(".")[0]
                if package and package != "ddmi_core":
                    found[package] = f"the {record.kind} {record.name!r} of {record.distribution}"
    return found


def _exhausted() -> dict[int, str]:
    import errno

    return {
        errno.ENOSPC: "free some space and try again",
        errno.EDQUOT: "free some space of your quota and try again",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
        errno.ENAMETOOLONG: "give a shorter path",
        errno.ENFILE: "close other programs, which hold too many files open",
    }


_EXHAUSTED = _exhausted()

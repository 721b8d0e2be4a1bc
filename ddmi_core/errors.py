"""Exceptions and warnings of ddmi: messages for users, with the exit status of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DdmiWarning(UserWarning):
    """A state that a user should know of and that stops nothing, such as an extension that cannot be used."""


class DdmiDeprecationWarning(DeprecationWarning):
    """Use of a part of the public interface that a later version will remove."""


class DdmiError(Exception):
    """An error that a user can understand and fix. The command line prints the message without a traceback."""

    exit_status = 1


class RequestError(DdmiError):
    """The request is invalid: an unknown name, a bad setting, an unusable path."""

    exit_status = 2


class ConfigError(RequestError):
    """A setting has an unknown key or a value of the wrong type."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key  # dotted name of the setting, if the error concerns one


class PluginError(RequestError):
    """The requested plugin is missing, broken, incompatible or ambiguous."""


class DataError(RequestError):
    """Input data are missing, damaged, or exceed a limit."""


class UnusableFiles(DataError):  # noqa: N818 - what is unusable is the reason
    """Files of a data set cannot be used.

    Args:
        text: the whole message, with the first files.
        brief: the message without the files, for where these are listed already.
    """

    def __init__(self, text: str, brief: str) -> None:
        super().__init__(text)
        self.brief = brief


class CaptionsMissing(DataError):  # noqa: N818 - what is missing is the reason
    """A condition on text is requested, and the data have no captions."""


class CheckpointError(RequestError):
    """A checkpoint or run folder is damaged, of another kind, or from another version."""


class OutputError(DdmiError):
    """Results cannot be written: no permission, no space, or a folder in use."""


class HubError(DdmiError):
    """The hub cannot be reached, or refuses the request."""


class TrainingError(DdmiError):
    """Training cannot continue, for example because a loss is not finite."""


class NotFiniteError(DdmiError):
    """A result has values that are not finite, so it is not written."""


class Interrupted(DdmiError):  # noqa: N818 - the state of a run, not an error
    """A signal stopped the work after its state was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for an unknown name: suggests the nearest valid name and lists all of them.

    Example:
        >>> unknown_name("sampler", "ddmi", ["ddim", "heun"])
        "unknown sampler 'ddmi'; did you mean 'ddim'? Valid: ddim, heun"
    """
    choices = sorted(known)
    return f"unknown {kind} {name!r}{nearest(name, choices)} Valid: {', '.join(choices) or 'none'}"


def nearest(name: str, known: Iterable[str]) -> str:
    """End of a message about an unknown name: suggests the nearest valid name, if any is close."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else "."


def first_line(error: BaseException) -> str:
    """The first line of an exception's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

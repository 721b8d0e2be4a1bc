"""The exceptions and warnings of ddmi: sentences for users, with the exit status that they lead to."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DdmiDeprecationWarning(DeprecationWarning):
    """A part of the public interface is used that a later version removes."""


class DdmiError(Exception):
    """Something that a user can understand and mend. The command line prints its text alone."""

    exit_status = 1


class RequestError(DdmiError):
    """The request was wrong: an unknown name, a bad setting, a path that cannot be used."""

    exit_status = 2


class ConfigError(RequestError):
    """A setting has an unknown key or a value of the wrong kind."""


class PluginError(RequestError):
    """A plugin that was asked for is missing, broken, incompatible or ambiguous."""


class DataError(RequestError):
    """Input data are missing, damaged, or beyond a limit."""


class CheckpointError(RequestError):
    """A checkpoint or run folder is damaged, foreign, or from another version."""


class OutputError(DdmiError):
    """Results could not be written: no permission, no space, or a folder that is in use."""


class TrainingError(DdmiError):
    """Training cannot go on, for example because a loss is not finite."""


class Interrupted(DdmiError):  # noqa: N818 - the state of a run, not a fault
    """A signal stopped the work after its state was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Sentence for an unknown name, with the nearest valid one and all that are valid.

    Example:
        >>> unknown_name("sampler", "ddmi", ["ddim", "heun"])
        "unknown sampler 'ddmi'; did you mean 'ddim'? Valid: ddim, heun"
    """
    choices = sorted(known)
    return f"unknown {kind} {name!r}{nearest(name, choices)} Valid: {', '.join(choices) or 'none'}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a wrong name: the nearest valid one, if one is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else "."


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

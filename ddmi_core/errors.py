"""Exceptions and warnings of ddmi: messages for users, with the exit status of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from unicodedata import category


class DdmiWarning(UserWarning):
    """A state that a user should know of and that stops nothing, such as an extension that cannot be used."""


class DdmiDeprecationWarning(DeprecationWarning):
    """Use of a part of the public interface that a later version will remove."""


LONGEST_WORD, LONGEST = 400, 4000  # characters of a word of a message, and of a message


class DdmiError(Exception):
    """An error that a user can understand and fix. The command line prints the message without a traceback.

    Names of files and texts of users are part of messages: control characters are escaped, and long texts shortened.
    """

    exit_status = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(printable(message, keep="\n\t")))


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

    @classmethod
    def of_field(cls) -> NotFiniteError:
        """The error of a field."""
        return cls(
            "the field has values that are not finite, so it is neither rendered nor written. Fix: lower the guidance "
            "of samples, or use other weights; the training of these has diverged"
        )


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


def printable(text: str, keep: str = "") -> str:
    """A text for terminals, logs and pages: control characters, and bytes of names that are not UTF-8, are escaped.

    Example:
        >>> printable("a\x1b[31m\udcff.png")
        'a\\x1b[31m\\udcff.png'
    """
    if text.isprintable():
        return text
    return "".join(_escaped(c) if not c.isprintable() and c not in keep else c for c in text)


def _escaped(character: str) -> str:
    """A character that may do more than be seen; spaces and the joiner of emoji do not."""
    if character == "\u200d" or category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


def shortened(text: str, most: int = LONGEST, word: int = LONGEST_WORD) -> str:
    """A text without the middle of what is longer than a reader needs: of words, and of the whole.

    Example:
        >>> shortened("no " + "a" * 1000 + "!", word=20)
        'no aaaaaaaaaa...(981 characters left out)...aaaaaaaaa!'
    """
    if len(text) > word:
        text = re.sub(rf"\S{{{word + 1},}}", lambda found: _cut(found[0], word), text)
    return _cut(text, most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most - most // 2]}...({len(text) - most} characters left out)...{text[len(text) - most // 2 :]}"


def first_line(error: BaseException) -> str:
    """The first line of an exception's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

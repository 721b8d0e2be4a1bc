"""Warnings about parts of the public interface that will be removed."""

from __future__ import annotations

import warnings


class DdmiDeprecationWarning(DeprecationWarning):
    """A part of the public interface is used that a later version removes."""


def deprecated(what: str, instead: str, *, removed_in: str, stacklevel: int = 4) -> None:
    """Warn that something will be removed.

    Args:
        what: name of it.
        instead: what to do, as the end of a sentence.
        removed_in: version of ddmi without it.
        stacklevel: of the caller's line, as in `warnings.warn`.
    """
    warnings.warn(
        f"{what} is deprecated and will be removed in ddmi {removed_in}: {instead}",
        DdmiDeprecationWarning,
        stacklevel=stacklevel,
    )

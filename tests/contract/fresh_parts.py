"""Implementations for a fresh process: a slow import, and a dependency that sets a variable."""

from __future__ import annotations

import fresh_dependency  # noqa: F401 - sets a variable when it is imported
from unusual import Ready, busy

busy(1.0)


class SlowToImport(Ready):
    """Its module takes a second to import."""

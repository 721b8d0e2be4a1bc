"""Counts the files and functions that two journeys pass through: a picture to its loss, and noise to a PNG file.

    python tools/trace.py            # the counts
    python tools/trace.py --list     # each function too, in the order of its first call

Only functions of this project count, each once; comprehensions, generator expressions, lambdas and module bodies are
parts of the functions around them. Importing and plugin discovery happen before a journey begins.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [str(ROOT / "ddmi_core") + "/", str(ROOT / "plugins") + "/"]


def traced(journey: Callable[[], object]) -> list[tuple[str, str]]:
    """File and qualified name of each function that a journey calls, in the order of their first calls."""
    seen: dict[CodeType, tuple[str, str]] = {}

    def record(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code not in seen:
            name = code.co_qualname
            own = code.co_filename.startswith(tuple(PACKAGES))
            seen[code] = (code.co_filename.removeprefix(f"{ROOT}/"), name) if own else ("", "")

    threading.setprofile(record)
    sys.setprofile(record)
    try:
        journey()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return [entry for entry in dict.fromkeys(seen.values()) if entry[0]]

"""Small files of runs as if they were edited on purpose: with the checksum of their contents."""

from __future__ import annotations

import json
import tomllib

from ddmi_core import record_files
from ddmi_core.model import run_folder


def resealed(text: str) -> str:
    """The text of a `run.toml` or of a file of JSON with its checksum; one that is neither stays as it is."""
    if text.lstrip().startswith("{"):
        return record_files.to_json(json.loads(text))
    try:
        return run_folder.sealed(text) if isinstance(tomllib.loads(text).get("run"), dict) else text
    except (ValueError, RecursionError):
        return text

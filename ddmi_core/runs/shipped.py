"""The weights that ship with a plugin, found without importing torch."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ddmi_core.api.domain import Domain
from ddmi_core.errors import RequestError


def shipped(domain: Domain) -> Path:
    """Folder of the weights that ship with a domain's plugin; it is laid out as a run.

    Raises:
        RequestError: if there are none.
    """
    package, _, folder = domain.weights.partition(":")
    if package:
        place = Path(str(files(package).joinpath(folder)))
        if (place / "run.toml").is_file():
            return place
    raise RequestError(f"plugin {domain.name!r} ships no weights; train some: ddmi run --plugin {domain.name}")

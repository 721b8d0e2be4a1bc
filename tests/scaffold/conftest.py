"""New plugins, one for each choice of axes, written and made known as if they were installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_plugins import AXES, name_of

from ddmi_core.scaffold.writing import write_plugin
from known_plugins import make_known


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of new plugins by their axes."""
    out = tmp_path_factory.mktemp("made")
    return {axes: write_plugin(name_of(axes), axes, out) for axes in AXES}


@pytest.fixture
def installed(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """The same, known to this process and to those that it starts."""
    site = tmp_path / "site"
    site.mkdir()
    for folder in made.values():
        make_known(folder, site)
        monkeypatch.syspath_prepend(folder)
    monkeypatch.syspath_prepend(site)
    paths = [site, *made.values()]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    monkeypatch.setenv("DDMI_PLUGINS", ",".join(map(name_of, made)))
    yield made
    for module in [module for module in sys.modules if module.startswith("ddmi_made_")]:
        del sys.modules[module]

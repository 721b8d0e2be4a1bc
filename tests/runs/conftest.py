"""A finished run of each formula domain, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_runs import DOMAINS, run

import ddmi_core
from ddmi_core.registry.registry import unregister


@pytest.fixture(scope="package", autouse=True)
def _registered() -> Iterator[None]:
    """The formula domains, known to this program."""
    for domain in DOMAINS.values():
        ddmi_core.register(domain)
    yield
    for domain in DOMAINS.values():
        unregister(domain.name)


@pytest.fixture(scope="package")
def finished_runs(tmp_path_factory, _registered) -> dict[str, Path]:
    """Folders of finished runs by domain; not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, domain in DOMAINS.items():
        run(domain, folder / name)
    return {name: folder / name for name in DOMAINS}


@pytest.fixture
def finished_run(formula_domain, finished_runs) -> Path:
    """The finished run of the domain; not to be changed."""
    return finished_runs[formula_domain.name]


@pytest.fixture
def copied_run(finished_run, tmp_path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / finished_run.name))

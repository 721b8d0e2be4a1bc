"""Fixtures that all tests share: few threads, the formula domains, and a finished run of each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("seeded", derandomize=True, deadline=None)
settings.load_profile("seeded")


@pytest.fixture(params=["wave", "block"])
def formula_domain(request: pytest.FixtureRequest):
    """The domain with one axis, and the one with three."""
    import formula_domains

    return {"wave": formula_domains.WAVE, "block": formula_domains.BLOCK}[request.param]


@pytest.fixture
def formula_config(formula_domain):
    """Its tiny configuration."""
    from ddmi_core.settings.resolve import resolve

    return resolve(formula_domain)


@pytest.fixture(scope="module")
def registered() -> Iterator[None]:
    """The formula domains, known to this program."""
    import ddmi_core
    from ddmi_core.registry.registry import unregister
    from whole_runs import DOMAINS

    for domain in DOMAINS.values():
        ddmi_core.register(domain)
    yield
    for domain in DOMAINS.values():
        unregister(domain.name)


@pytest.fixture(scope="session")
def _run_folders(tmp_path_factory) -> dict[str, Path]:
    """Folders of finished runs by domain."""
    from whole_runs import DOMAINS, run

    folder = tmp_path_factory.mktemp("runs")
    for name, domain in DOMAINS.items():
        run(domain, folder / name)
    return {name: folder / name for name in DOMAINS}


@pytest.fixture(scope="module")
def finished_runs(_run_folders, registered) -> dict[str, Path]:
    """Folders of finished runs by domain, which are registered; not to be changed."""
    return _run_folders


@pytest.fixture
def finished_run(formula_domain, finished_runs) -> Path:
    """The finished run of the domain; not to be changed."""
    return finished_runs[formula_domain.name]


@pytest.fixture
def copied_run(finished_run, tmp_path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / finished_run.name))


@pytest.fixture(scope="module")
def models(finished_runs):
    """The trained models by domain, on the CPU."""
    import ddmi_core

    return {name: ddmi_core.load(place, device="cpu") for name, place in finished_runs.items()}


@pytest.fixture
def model(formula_domain, models):
    """The trained model of the domain."""
    return models[formula_domain.name]

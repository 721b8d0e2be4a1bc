"""Plugins that were written for a released API version still run; they are never edited."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import preloaded
from ddmi_core.api import API_VERSION
from ddmi_core.errors import DdmiDeprecationWarning
from ddmi_core.registry import registry
from ddmi_core.registry.records import Status

FROZEN = Path(__file__).parent / "frozen"


@pytest.fixture(params=[API_VERSION])
def version(request, monkeypatch):
    """The API version of a frozen plugin that is installed."""
    folder = FROZEN / f"api_{request.param}"
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield request.param
    for name in [name for name in sys.modules if name.startswith("ddmi_frozen")]:
        del sys.modules[name]


def ddmi(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [preloaded.python(), "-m", "ddmi_core", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def loaded(name):
    """The plugin, with what it warns about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = registry.loaded(name)
    return found, [str(warning.message) for warning in caught if warning.category is DdmiDeprecationWarning]


def test_a_frozen_plugin_runs_from_data_to_report(version, tmp_path):
    out = tmp_path / "run"
    done = ddmi("run", "--plugin", f"frozen-{version}", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").stat().st_size > 5000
    again = ddmi("reconstruct", str(out), str(out / "samples" / "sample-0000.npy"), "--out", str(tmp_path / "again"))
    assert again.returncode == 0, again.stderr
    assert "API version" not in done.stderr


def test_a_plugin_of_this_version_is_ready_without_a_warning(version):
    found, about = loaded(f"frozen-{version}")
    assert found.record.status is Status.READY
    assert (about, found.record.reason) == ([], "")


# API version 1 is the first one, so a plugin of the version before is a plugin of 1 in a core of version 2.
def test_a_plugin_of_the_version_before_is_ready_with_a_warning(version, monkeypatch):
    monkeypatch.setattr("ddmi_core.api.domain.API_VERSION", version + 1)
    found, about = loaded(f"frozen-{version}")
    assert found.record.status is Status.READY
    assert found.domain is not None
    assert found.record.reason == f"written for API version {version}, which the next API version removes"
    assert f"--upgrade ddmi-frozen-{version}" in found.record.fix
    (sentence,) = about
    assert f"'frozen-{version}'" in sentence
    assert found.record.fix in sentence


def test_a_plugin_of_two_versions_before_is_incompatible(version, monkeypatch):
    monkeypatch.setattr("ddmi_core.api.domain.API_VERSION", version + 2)
    found, _ = loaded(f"frozen-{version}")
    assert found.record.status is Status.INCOMPATIBLE
    assert found.domain is None
    assert f"accepts {version + 1} and {version + 2}" in found.record.reason
    assert f"--upgrade ddmi-frozen-{version}" in found.record.fix


def test_a_version_that_was_never_released_is_not_accepted():
    from ddmi_core.api.domain import accepted_versions

    assert list(accepted_versions()) == [1]


def test_a_frozen_plugin_takes_its_own_condition(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FROZEN / "api_1"))
    out = tmp_path / "run"
    done = ddmi("run", "--plugin", "frozen-1", "--out", str(out), "--set", "diffusion.condition=pitch")
    assert done.returncode == 0, done.stderr
    assert ddmi("conditions", str(out)).stdout == "0.5\n"
    drawn = ddmi("sample", str(out), "-n", "1", "--condition", "0.25", "--out", str(tmp_path / "drawn"))
    assert drawn.returncode == 0, drawn.stderr

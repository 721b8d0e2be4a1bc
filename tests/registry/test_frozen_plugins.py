"""Plugins that were written for this API version and for the one before still run; they are never edited."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from ddmi_core.api import API_VERSION
from ddmi_core.deprecation import DdmiDeprecationWarning
from ddmi_core.registry import registry
from ddmi_core.registry.records import Status

FROZEN = Path(__file__).parent / "frozen"
VERSIONS = (API_VERSION, API_VERSION - 1)


@pytest.fixture(params=VERSIONS)
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
    command = [sys.executable, "-m", "ddmi_core", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_frozen_plugin_runs_from_data_to_report(version, tmp_path):
    out = tmp_path / "run"
    done = ddmi("run", "--plugin", f"frozen-{version}", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").stat().st_size > 5000
    again = ddmi("reconstruct", str(out), str(out / "samples" / "sample-0000.npy"), "--out", str(tmp_path / "again"))
    assert again.returncode == 0, again.stderr
    told = "API version 0" in done.stderr and re.search(r"removed in ddmi \d+\.\d+", done.stderr)
    assert bool(told) == (version < API_VERSION)


def test_a_plugin_of_the_version_before_is_ready_with_a_warning(version):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = registry.loaded(f"frozen-{version}")
    assert loaded.record.status is Status.READY
    about = [str(warning.message) for warning in caught if warning.category is DdmiDeprecationWarning]
    if version == API_VERSION:
        assert about == []
        assert loaded.record.reason == ""
    else:
        assert any(f"frozen-{version}" in text and re.search(r"removed in ddmi \d+\.\d+", text) for text in about)
        assert "no longer accept" in loaded.record.reason
        assert "--upgrade ddmi-frozen-0" in loaded.record.mend


def test_a_frozen_plugin_takes_its_own_condition(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FROZEN / "api_1"))
    out = tmp_path / "run"
    done = ddmi("run", "--plugin", "frozen-1", "--out", str(out), "--set", "diffusion.condition=pitch")
    assert done.returncode == 0, done.stderr
    assert ddmi("conditions", str(out)).stdout == "0.5\n"
    drawn = ddmi("sample", str(out), "-n", "1", "--condition", "0.25", "--out", str(tmp_path / "drawn"))
    assert drawn.returncode == 0, drawn.stderr

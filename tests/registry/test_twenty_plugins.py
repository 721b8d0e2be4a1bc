"""Of twenty plugins seven cannot be used: each says why, and the others and the project's own are untouched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from twenty import BROKEN, CLASHING, COUNT, ddmi, install


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("twenty")


@pytest.fixture(scope="module")
def good(folder) -> list[str]:
    """Names of the good plugins, installed beside the broken ones."""
    return install(folder)


def test_listing_shows_all_and_imports_none(folder, good):
    """Every good plugin sleeps when it is imported, and one of the broken never ends."""
    done = ddmi(folder, "plugins", "--json")
    assert done.returncode == 0
    records = {(record["name"], record["distribution"]): record for record in json.loads(done.stdout)}
    ours = [record for (_, distribution), record in records.items() if distribution != "ddmi"]
    assert len([record for record in ours if record["distribution"] in known(good)]) == COUNT
    assert {records[name, f"ddmi-{name}"]["status"] for name in [*good, *BROKEN]} == {"found"}
    assert {records["clash", name]["status"] for name in CLASHING} == {"clash"}
    assert "pip uninstall" in records["clash", CLASHING[0]]["fix"]


def known(good: list[str]) -> set[str]:
    return {f"ddmi-{name}" for name in [*good, *BROKEN]} | set(CLASHING)


def test_help_lists_no_plugin_and_imports_none(folder, good):
    done = ddmi(folder, "--help")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_asking_for_a_broken_one_names_reason_and_fix(folder, good, name):
    _, reason, fix = BROKEN[name]
    done = ddmi(folder, "settings", "--plugin", name)
    assert done.returncode == 2
    assert f"'{name}' from ddmi-{name} 1.0" in done.stderr
    assert reason in done.stderr
    assert fix in done.stderr


def test_asking_for_a_clash_names_both(folder, good):
    done = ddmi(folder, "run", "--plugin", "clash")
    assert done.returncode == 2
    for distribution in CLASHING:
        assert distribution in done.stderr


def test_the_projects_own_plugin_is_untouched(folder, good, tmp_path):
    tiny = Path(__file__).parents[2] / "docs" / "tiny.toml"
    out = tmp_path / "run"
    steps = [f"--set={stage}.training.steps=3" for stage in ("autoencoder", "diffusion")]
    done = ddmi(folder, "run", "--plugin", "image", "--config", str(tiny), *steps, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()


def test_checking_names_the_fault_of_each(folder, good):
    some = good[:2]  # importing the implementations of all takes long
    variables = {"DDMI_PLUGINS": ",".join([*some, *BROKEN]), "DDMI_TIME_FACTOR": "0.3"}
    done = ddmi(folder, "plugins", "--check", "--json", **variables)
    assert done.returncode == 1
    records = {record["name"]: record for record in json.loads(done.stdout)}
    assert {records[name]["status"] for name in some} == {"ready"}
    for name, (_, reason, _) in BROKEN.items():
        assert records[name]["status"] == {"wrong-api": "incompatible", "endless": "slow"}.get(name, "broken")
        assert reason in records[name]["reason"]

"""A plugin that is not found may be declared and not installed, or be a file."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ddmi_core.cli.main import app
from ddmi_core.errors import DdmiWarning, PluginError
from ddmi_core.registry.registry import domain_named

PROJECT = '[project]\nname = "ddmi-sonar"\n\n[project.entry-points."ddmi.plugins"]\nsonar = "ddmi_sonar.plugin"\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def editable(tmp_path, monkeypatch):
    """An editable install of a project, whose metadata were written before it declared the entry point."""

    def install(project: Path) -> None:
        info = tmp_path / "site" / "ddmi_sonar-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ddmi-sonar\nVersion: 0.1.0\n")
        record = {"url": project.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(record))
        monkeypatch.syspath_prepend(tmp_path / "site")

    return install


def message(name="sonar"):
    with pytest.raises(PluginError) as caught:
        domain_named(name)
    return str(caught.value)


def test_a_new_entry_point_of_an_editable_install_is_told_in_its_folder(here, editable):
    Path("pyproject.toml").write_text(PROJECT)
    editable(here)
    assert message().endswith(
        "pyproject.toml declares the entry point sonar, but the installed distribution does not list it. "
        "Fix: pip install -e ."
    )


def test_it_is_told_in_folders_below(here, editable, monkeypatch):
    Path("pyproject.toml").write_text(PROJECT)
    editable(here)
    (here / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(here / "a" / "b")
    assert message().endswith("does not list it. Fix: pip install -e ../..")


def test_it_is_told_elsewhere(here, editable, tmp_path):
    project = tmp_path / "a project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    editable(project)
    assert "../a project/pyproject.toml declares the entry point sonar, but the installed" in message()
    assert message().endswith("Fix: pip install -e '../a project'")


@pytest.mark.parametrize(("folder", "shown"), [(".", "."), ("ddmi-sonar", "./ddmi-sonar")])
def test_a_project_that_is_not_installed_is_told(here, folder, shown):
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / "pyproject.toml").write_text(PROJECT)
    assert message().endswith(f"but its distribution is not installed. Fix: pip install -e {shown}")


@pytest.mark.parametrize(
    "text", ["", "[project", '[project]\nentry-points = "x"\n', PROJECT.replace("sonar =", "radar =")]
)
def test_other_projects_are_no_hint(here, text):
    Path("pyproject.toml").write_text(text)
    assert "Fix" not in message()


def test_a_file_with_the_name_is_a_hint(here):
    Path("sonar.py").write_text("")
    assert message().endswith(". sonar.py is a file here. Fix: --plugin ./sonar.py")
    assert "radar.py" not in message("radar")


def test_unknown_names_in_the_variable_of_plugins_are_reported_with_the_nearest(monkeypatch):
    monkeypatch.setenv("DDMI_PLUGINS", "imgae, video ,")
    with pytest.warns(DdmiWarning, match="DDMI_PLUGINS names .*: 'imgae'; did you mean 'image'. Installed: ") as told:
        assert CliRunner().invoke(app, ["plugins"]).exit_code == 0
    assert "'video'" not in str(told[0].message)
    monkeypatch.setenv("DDMI_PLUGINS", "image,video")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CliRunner().invoke(app, ["plugins"]).exit_code == 0

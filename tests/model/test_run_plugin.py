"""A run records its plugin, and names the distribution to install where that is missing."""

from __future__ import annotations

import sys
import tomllib
import warnings

import pytest

import ddmi_core
from ddmi_core.api.domain import API_VERSION
from ddmi_core.errors import DdmiWarning, PluginError
from ddmi_core.model.run_folder import RunFolder, create, read_head
from ddmi_core.model.run_plugin import domain_of, recorded
from ddmi_core.registry import registry
from ddmi_core.settings.resolve import resolve
from formula_domains import WAVE
from resealed import resealed

CODE = """
from ddmi_core.api import hookimpl
from formula_domains import WAVE

@hookimpl
def ddmi_domains():
    return [WAVE]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs the domain `wave` as a plugin of a distribution; returns a function that replaces it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "wave_plugin.py").write_text(CODE)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("DDMI_PLUGINS", raising=False)
    registry.unregister("wave")

    def _install(distribution, version):
        for info in site.glob("*.dist-info"):
            for file in info.iterdir():
                file.unlink()
            info.rmdir()
        if distribution:
            info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
            (info / "entry_points.txt").write_text("[ddmi.plugins]\nwave = wave_plugin\n")

    yield _install
    registry.unregister("wave")
    sys.modules.pop("wave_plugin", None)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def start(folder):
    create(folder, resolve(WAVE), recorded(WAVE, folder), "abc")


def told(folder):
    """The warnings of using a run."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert domain_of(folder) is WAVE
    return [str(warning.message) for warning in caught if warning.category is DdmiWarning]


def refusal(folder):
    with pytest.raises(PluginError) as caught:
        domain_of(folder)
    return str(caught.value)


def test_a_run_records_distribution_version_and_api_of_its_plugin(install, folder):
    install("ddmi-wave", "0.1.0")
    start(folder)
    table = tomllib.loads(folder.toml.read_text())["run"]
    assert (table["plugin"], table["distribution"], table["version"]) == ("wave", "ddmi-wave", "0.1.0")
    assert table["api_version"] == API_VERSION
    head = read_head(folder)
    assert (head.distribution, head.version, head.api_version) == ("ddmi-wave", "0.1.0", API_VERSION)
    assert told(folder) == []


def test_without_the_plugin_the_pip_command_names_the_exact_version(install, folder):
    install("ddmi-wave", "0.1.0")
    start(folder)
    install("", "")
    assert refusal(folder) == (
        f"{folder.path} needs plugin 'wave' of ddmi-wave 0.1.0, which is not installed. "
        "Fix: pip install ddmi-wave==0.1.0"
    )
    with pytest.raises(PluginError, match=r"pip install ddmi-wave==0\.1\.0"):
        ddmi_core.load(folder.path)


def test_without_a_domain_of_a_program_the_message_says_to_register_it(install, folder):
    start(folder)
    assert read_head(folder).distribution == ""
    text = refusal(folder)
    assert "the program that made the run registered" in text
    assert "ddmi_core.register" in text
    assert "pip install" not in text
    ddmi_core.register(WAVE)
    assert told(folder) == []


@pytest.mark.parametrize(
    ("made", "installed", "warned"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.9", False),
        ("0.1.0", "0.2.0", True),
        ("0.2.0", "0.1.0", True),
        ("1.2.0", "1.9.1", False),
        ("1.2", "2.0", True),
        ("0.9", "1.9", True),
    ],
)
def test_another_series_of_versions_is_warned_of_and_works(install, folder, made, installed, warned):
    install("ddmi-wave", made)
    start(folder)
    install("ddmi-wave", installed)
    found = told(folder)
    assert len(found) == warned
    for text in found:
        assert f"ddmi-wave {made}, and {installed} is installed" in text
        assert text.endswith(f"pip install ddmi-wave=={made}")


def test_another_api_version_is_warned_of(install, folder):
    install("ddmi-wave", "0.1.0")
    start(folder)
    folder.toml.write_text(resealed(folder.toml.read_text().replace(f"api_version = {API_VERSION}", "api_version = 0")))
    (text,) = told(folder)
    assert f"API version 0 of plugin 'wave'; the installed plugin has {API_VERSION}" in text


def test_a_plugin_of_the_same_name_from_elsewhere_is_warned_of(install, folder):
    install("ddmi-wave", "0.1.0")
    start(folder)
    install("other-wave", "0.1.0")
    (text,) = told(folder)
    assert "ddmi-wave 0.1.0" in text
    assert "comes from other-wave 0.1.0" in text
    install("", "")
    ddmi_core.register(WAVE)
    (text,) = told(folder)
    assert "this program registered another domain" in text


def test_a_run_without_the_record_is_used_or_refused_without_guesses(install, folder):
    install("ddmi-wave", "0.1.0")
    start(folder)
    kept = [
        line
        for line in folder.toml.read_text().splitlines()
        if not line.startswith(("distribution", "version", "api_version"))
    ]
    folder.toml.write_text(resealed("\n".join(kept)))
    head = read_head(folder)
    assert (head.distribution, head.version, head.api_version) == (None, "", None)
    assert told(folder) == []
    folder.toml.write_text(resealed(folder.toml.read_text().replace('plugin = "wave"', 'plugin = "wav"')))
    text = refusal(folder)
    assert "needs plugin 'wav', which is not installed; did you mean 'wave'?" in text
    assert "does not record its distribution" in text


@pytest.mark.parametrize("key", ["distribution", "version"])
def test_a_record_that_is_no_name_or_version_is_not_shown_in_a_command(install, folder, key):
    install("ddmi-wave", "0.1.0")
    start(folder)
    lines = [
        f'{key} = "x; rm -rf ~"' if line.startswith(f"{key} =") else line
        for line in folder.toml.read_text().splitlines()
    ]
    folder.toml.write_text(resealed("\n".join(lines)))
    install("", "")
    assert read_head(folder).requirement == ""
    assert "rm -rf" not in refusal(folder)

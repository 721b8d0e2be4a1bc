"""Data as a request names them: sources, paths, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import formula_domains
from ddmi_core.errors import DataError
from ddmi_core.model import data
from ddmi_core.parts.domain_parts import build_parts
from formula_domains import FormulaSettings
from variants import returning, variant
from whole_runs import DOMAINS

SETTINGS = FormulaSettings()


def below(location: Path, settings: FormulaSettings):
    """A source that needs a place."""
    raise DataError(f"read {location}")


def parts(**sources):
    """The domain of waves with other sources."""
    wave = variant(DOMAINS["wave"], sources=returning(sources)) if sources else DOMAINS["wave"]
    return build_parts(wave, SETTINGS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "data 'nowhere': there is no such folder and no such source. Sources: folder, formulas"),
        ("formula", "data 'formula': there is no such folder and no such source; did you mean 'formulas'? Sources"),
        ("./nowhere", "read nowhere"),
    ],
)
def test_what_is_neither_a_place_nor_a_source_is_named(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        data.load_data(parts(formulas=formula_domains.wave_source, folder=below), name)
    assert str(caught.value).startswith(words)


def test_a_domain_without_folders_names_its_sources():
    with pytest.raises(DataError, match=r"data 'nowhere': no such source\. Sources: formulas"):
        data.load_data(parts(), "nowhere")


def drawn(location: None, settings: FormulaSettings):
    """Drawn.

    Not shown.
    """


def waves(location: Path | None, settings: FormulaSettings):
    """Waves."""


def test_sources_say_how_they_are_asked_for_and_what_they_read():
    found = data.list_sources(parts(formulas=waves, drawn=drawn, folder=below, other=below))
    assert found.lines() == [
        "--data formulas[:PATH]  Waves. (the default)",
        "--data drawn            Drawn.",
        "--data PATH             A source that needs a place.",
        "--data other:PATH       A source that needs a place.",
    ]
    assert [entry["name"] for entry in json.loads(found.to_json())] == ["formulas", "drawn", "folder", "other"]


def test_a_source_is_counted():
    lines = data.summarize(data.load_data(parts(), ""), "formulas").lines()
    assert lines[:2] == ["formulas: 20 training signals, 4 held out", "classes: slow 8, fast 12"]

"""Data as a request names them: sources, paths, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

import formula_domains
from ddmi_core.api import Split
from ddmi_core.errors import DataError, counted
from ddmi_core.model import data
from ddmi_core.parts import GridSet, data_warning
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.config import RunConfig
from ddmi_core.sources.folders import report_unusable
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


def numbered(train, held_out, classes=(), captions=False):
    """A source of small grids."""

    def source(location: None, settings: FormulaSettings):
        """Numbers."""
        sets = []
        for start, count in ((0, train), (train, held_out)):
            texts = [["a number"]] * count if captions else ()
            values = np.zeros((count or 1, 1, 8, 8), np.float32)
            labels = [i % 2 for i in range(count)] if classes else None
            names = [f"{start + i}" for i in range(count)]
            sets.append(GridSet([values], names, classes=classes, labels=labels, captions=texts))
        return Split(*sets)

    return source


@pytest.mark.parametrize(("train", "held_out"), [(1, 1), (2, 0)])
def test_too_few_signals_are_an_error_of_the_check(train, held_out):
    found = data.check_data(parts(numbers=numbered(train, held_out)), config())
    assert found.error.startswith(f"numbers: {counted(train, 'training signal')} and {held_out} held out; a run")
    assert found.lines()[0] == f"numbers: {counted(train, 'training signal')}, {held_out} held out"


def test_few_held_out_signals_are_warned_of():
    found = data.check_data(parts(numbers=numbered(9, 3)), config())
    assert [remark.text for remark in found.account.warnings] == ["figures compare with 3 held-out signals only"]
    assert data.check_data(parts(numbers=numbered(9, 8)), config()).account.warnings == []


def config(condition="none", preset="quick"):
    settings = RunConfig("wave", domain=SETTINGS)
    return evolve(settings, preset=preset, diffusion=evolve(settings.diffusion, condition=condition))


@pytest.mark.parametrize(("classes", "other"), [(("even", "odd"), "class"), ((), "none")])
def test_without_captions_a_condition_of_the_preset_gives_way_to_classes(monkeypatch, classes, other):
    monkeypatch.setattr(data, "resolve", lambda domain, preset: config("words"))
    built = parts(numbers=numbered(9, 9, classes))
    split = data.load_data(built, "")
    fitted = data.fitting_condition(built, config("words"), split)
    assert fitted == config(other)
    assert f"diffusion.condition is '{other}' instead of 'words'" in split.account.warnings[0].text
    captioned = data.load_data(parts(numbers=numbered(9, 9, captions=True)), "")
    assert data.fitting_condition(built, config("words"), captioned) == config("words")


def test_without_captions_a_condition_that_was_asked_for_is_an_error(monkeypatch):
    monkeypatch.setattr(data, "resolve", lambda domain, preset: config("none"))
    found = data.check_data(parts(numbers=numbered(9, 9)), config("word-tokens"))
    assert found.error.startswith("text conditions require captions, and the data have none")
    assert found.error.endswith("diffusion.condition=none")


def test_what_a_trial_raises_is_an_error_of_the_check():
    def trial(split):
        raise DataError(f"no metric takes {len(split.train)} signals")

    found = data.check_data(parts(numbers=numbered(9, 9)), config(), trial)
    assert found.error == "no metric takes 9 signals"
    assert found.lines()[0] == "numbers: 9 training signals, 9 held out"


def test_unusable_files_are_listed_once(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.num").write_text("none")

    def broken(location: None, settings: FormulaSettings):
        """Broken."""
        report_unusable(tmp_path, {f"{number}.num": f"{number}.num: no number" for number in range(3)}, strict=True)

    found = data.check_data(parts(numbers=broken), config())
    assert found.error == (
        f"{tmp_path}: 3 files cannot be used. Fix or remove them, or skip them with --set domain.strict=false"
    )
    assert "\n".join(found.lines()).count("0.num: no number") == 1
    with pytest.raises(DataError, match=r"3 files cannot be used\n  0\.num: no number"):  # a run prints no account
        data.load_data(parts(numbers=broken), "")


def test_errors_of_a_source_come_with_what_was_found_until_then():
    def broken(location: None, settings: FormulaSettings):
        """Broken."""
        data_warning("nothing fits")
        raise DataError("no numbers")

    found = data.check_data(parts(numbers=broken), config())
    assert found.error == "no numbers"
    assert found.lines() == ["numbers: cannot be loaded, see the error", "warning: nothing fits"]
    assert json.loads(found.to_json())["error"] == "no numbers"

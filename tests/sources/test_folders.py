"""Classes from sub-folders, default places, and what is said of files that cannot be used."""

from __future__ import annotations

import logging

import pytest

from ddmi_core.errors import DataError
from ddmi_core.sources import folders
from ddmi_core.sources.folders import classes_of, default_place, report_unusable


def test_the_first_level_of_sub_folders_gives_classes():
    assert classes_of(["b/1.png", "a/x/1.png", "b/2.png"]) == (("a", "b"), [1, 0, 1])


@pytest.mark.parametrize("names", [["a/1.png", "2.png"], ["a/1.png", "a/2.png"], ["1.png", "2.png"], []])
def test_files_outside_sub_folders_or_one_sub_folder_mean_no_classes(names):
    assert classes_of(names) == ((), [0] * len(names))


def test_data_sets_have_places_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "user_data_path", lambda name: tmp_path / name)
    assert default_place("birds") == tmp_path / "ddmi" / "data" / "birds"


def test_no_problem_is_no_error(tmp_path, caplog):
    report_unusable(tmp_path, {}, strict=True)
    assert not caplog.records


def test_problems_are_listed_up_to_a_number_with_the_setting_that_passes_over_them(tmp_path, caplog):
    problems = {f"{n}.wav": f"{n}.wav: cut short" for n in range(8)}
    with pytest.raises(DataError, match="8 files cannot be used") as caught:
        report_unusable(tmp_path, problems, strict=True, setting="domain.careful")
    assert [n for n in range(8) if f"{n}.wav" in str(caught.value)] == [0, 1, 2, 3, 4]
    assert "and 3 more" in str(caught.value)
    assert str(caught.value).endswith("--set domain.careful=false")
    with caplog.at_level(logging.WARNING):
        report_unusable(tmp_path, {"a.wav": "a.wav: silent"}, strict=False)
    assert "1 file cannot be used\n  a.wav: silent" in caplog.text
    assert "--set" not in caplog.text

"""Sources of files: the steps of a folder source, classes from sub-folders, default places, and unusable files."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from ddmi_core.errors import DataError
from ddmi_core.parts import GridSet
from ddmi_core.sources import array_cache, folders
from ddmi_core.sources.account import Change, accounting
from ddmi_core.sources.array_cache import ArrayCache
from ddmi_core.sources.decoding import Decoded, Decoding
from ddmi_core.sources.files import Entry
from ddmi_core.sources.folders import FolderSource, classes_of, default_place, report_unusable, required_location


@pytest.fixture
def numbers(tmp_path):
    """Ten files with a number each, in two folders."""
    for number in range(10):
        path = tmp_path / "set" / ("odd" if number % 2 else "even") / f"{number}.num"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    return tmp_path / "set"


def read_number(entry):
    with entry.opened() as file:
        try:
            return np.array([int(file.read())])
        except ValueError as error:
            raise DataError(f"{entry.name}: not a number") from error


NUMBERS = Decoding(1, np.dtype(np.int64), read_number, ("numbers", 1))


def test_files_become_rows_with_classes_and_captions(numbers):
    for path in sorted(numbers.rglob("*.num")):
        path.with_suffix(".txt").write_text(f"number {path.stem}\n{'left' if path.stem == '4' else 'right here'}\n")
    folder = FolderSource(numbers, "numbers", (".num",))
    rows, kept = folder.decode(folder.entries(), NUMBERS)
    assert rows[kept, 0].tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    names = [entry.name for entry in folder.entries()]
    found = folder.labels(names)
    assert (found.classes, found.labels) == (("even", "odd"), [0] * 5 + [1] * 5)
    assert found.captions[2] == ("number 4", "left")
    assert found.mirrorable == [False] * 10
    plain = FolderSource(numbers, "numbers", (".num",), classes=False, captions=False).labels(names)
    assert (plain.classes, plain.labels, plain.captions) == ((), [0] * 10, [])
    assert plain.mirrorable == [True] * 10


def test_facts_of_a_large_set_are_read_again_only_if_a_file_or_the_key_differs(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "LARGE_SET", 10)
    monkeypatch.setattr(array_cache, "user_cache_path", lambda name: tmp_path / "cache")
    (numbers / "odd" / "7.num").write_text("seven")
    read = []

    def number(entry):
        read.append(entry.name)
        return int(read_number(entry)[0])

    def found(key=("a", 1)):
        read.clear()
        folder = FolderSource(numbers, "numbers", (".num",), strict=False)
        good, facts = folder.usable(folder.entries(), number, key=key)
        folder.decode(good, NUMBERS)
        return [(entry.name, fact) for entry, fact in zip(good, facts, strict=True)]

    with accounting() as first:
        numbered = found()
    assert len(read) == 10
    assert numbered == [(f"{'odd' if n % 2 else 'even'}/{n}.num", n) for n in (0, 2, 4, 6, 8, 1, 3, 5, 9)]
    with accounting() as second:
        assert found() == numbered
    assert read == []
    assert second == first
    assert second.left_out["odd/7.num"].detail == "odd/7.num: not a number"
    assert found(()) == found(("a", 2)) == numbered
    assert len(read) == 10
    (numbers / "odd" / "7.num").write_text("77")
    assert ("odd/7.num", 77) in found()


def test_signals_that_share_a_file_share_its_class_and_captions(numbers):
    for path in sorted(numbers.rglob("*.num")):
        path.with_suffix(".txt").write_text(f"number {path.stem}")
    folder = FolderSource(numbers, "numbers", (".num",))
    found = folder.labels(["odd/3.num", "even/4.num", "odd/3.num"])
    assert found.labels == [1, 0, 1]
    assert found.captions == [("number 3",), ("number 4",), ("number 3",)]
    elsewhere = folder.labels(["three", "four"], captioned=["odd/3", "even/4"])
    assert elsewhere.captions == [("number 3",), ("number 4",)]


def test_a_limit_chooses_files_by_name(numbers):
    folder = FolderSource(numbers, "numbers", (".num",))
    assert len(folder.entries(4)) == 4
    assert {entry.name for entry in folder.entries(4)} <= {entry.name for entry in folder.entries()}


def test_unusable_files_stop_or_are_left_out(numbers, caplog):
    (numbers / "odd" / "3.num").write_text("three")
    strict = FolderSource(numbers, "numbers", (".num",))
    loose = FolderSource(numbers, "numbers", (".num",), strict=False)
    entries = strict.entries()
    with pytest.raises(DataError, match=r"1 file cannot be used\n  odd/3\.num: not a number"):
        strict.decode(entries, NUMBERS)
    with caplog.at_level(logging.WARNING):
        rows, kept = loose.decode(entries, NUMBERS)
    assert "odd/3.num: not a number" in caplog.text
    assert rows[kept, 0].tolist() == [0, 2, 4, 6, 8, 1, 5, 7, 9]
    good, values = loose.usable(entries, read_number)
    assert [entry.name for entry in good] == [entries[i].name for i in kept]
    assert np.concatenate(values).tolist() == rows[kept, 0].tolist()


def test_files_that_fail_the_check_and_files_that_cannot_be_decoded_are_reported_together(numbers):
    (numbers / "odd" / "3.num").write_text("")
    (numbers / "even" / "2.num").write_text("two")

    def not_empty(entry):
        with entry.opened() as file:
            if not file.read():
                raise DataError(f"{entry.name}: empty")

    folder = FolderSource(numbers, "numbers", (".num",))
    good, _ = folder.usable(folder.entries(), not_empty)
    with pytest.raises(
        DataError, match=r"2 files cannot be used\n  odd/3\.num: is empty\..*\n  even/2\.num: not a number"
    ):
        folder.decode(good, NUMBERS)


def test_errors_and_warnings_of_labels_come_with_those_of_files(numbers):
    (numbers / "odd" / "3.num").write_text("three")
    (numbers / "odd" / "5.txt").write_bytes(b"caf\xe9")
    folder = FolderSource(numbers, "numbers", (".num",))
    with pytest.raises(DataError, match=r"(?s)3\.num: not a number.*errors in captions, too:\n  odd/5\.txt: not UTF-8"):
        folder.decode(folder.entries(), NUMBERS)
    (numbers / "odd" / "5.txt").write_text("five")
    with accounting() as account, pytest.raises(DataError, match="1 file cannot be used"):
        folder.decode(folder.entries(), NUMBERS)
    assert "captions are ignored: only 1 of 9 numbers" in account.warnings[-1].text


def test_readers_record_their_changes_with_and_without_a_cache(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr("ddmi_core.sources.array_cache.user_cache_path", lambda name: tmp_path / "cache")

    def halved(entry):
        value = read_number(entry)
        return Decoded(value // 2, (Change("halved", float(value[0] % 2), "lost", {"factor": 2}),))

    how = Decoding(1, np.dtype(np.int64), halved, ("halved", 1))
    kept = []
    for cache in (None, ArrayCache("numbers"), ArrayCache("numbers")):
        folder = FolderSource(numbers, "numbers", (".num",))
        with accounting() as account:
            folder.decode(folder.entries(), how, cache=cache)
        kept.append(account.changes)
    assert kept[0] == kept[1] == kept[2]
    assert kept[0]["odd/7.num"] == (Change("halved", 1.0, "lost", {"factor": 2}),)
    copies = [remark.names for remark in account.warnings]
    assert copies == [
        (
            "odd/1.num = even/0.num",
            "odd/3.num = even/2.num",
            "odd/5.num = even/4.num",
            "odd/7.num = even/6.num",
            "odd/9.num = even/8.num",
        )
    ]  # 7 // 2 = 6 // 2


def test_train_and_test_are_a_split_whose_sub_folders_are_classes(tmp_path):
    for number in range(8):
        path = tmp_path / ("train" if number < 6 else "val") / ("odd" if number % 2 else "even") / f"{number}.num"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    folder = FolderSource(tmp_path, "numbers", (".num",))
    names = [entry.name for entry in folder.entries()]
    found = folder.labels(names)
    assert found.classes == ("even", "odd")
    split = GridSet([np.zeros((8, 1, 1))], names, classes=found.classes, labels=found.labels).split(0.5)
    assert [Path(name).stem for name in split.held_out.names] == ["6", "7"]
    assert len(split.train) == 6


def test_a_file_outside_the_folders_of_classes_is_named(tmp_path):
    with accounting() as account:
        assert classes_of(["cats/1.num", "dogs/2.num", "preview.num"]) == ((), [0, 0, 0])
    (warning,) = account.warnings
    assert warning.names == ("preview.num",)
    assert warning.text == "no classes: 2 files are in sub-folders, 1 not"
    with accounting() as account:
        assert classes_of(["a.num", "b.num", "drafts/c.num"]) == ((), [0, 0, 0])
    assert account.warnings == []


def test_a_place_without_a_usable_file_is_an_error_with_the_reason(numbers):
    for path in numbers.rglob("*.num"):
        path.write_text("none")
    folder = FolderSource(numbers, "numbers", (".num",), strict=False)
    entries = folder.entries()
    with pytest.raises(DataError, match=r"set: none of its numbers \(10\) can be used$"):
        folder.decode(entries, NUMBERS)
    with pytest.raises(DataError, match=r"set: none of its 3 parts can be used$"):
        folder.decode(entries, NUMBERS, total="3 parts")
    with pytest.raises(DataError, match=r"set: none of its numbers \(10\) can be used, as each is a word$"):
        folder.usable(entries, read_number, "as each is a word")


def test_problems_of_parts_can_be_told_as_those_of_files(numbers, caplog):
    (numbers / "odd" / "3.num").write_text("three")
    folder = FolderSource(numbers, "numbers", (".num",))
    _, kept = folder.decode(folder.entries(), NUMBERS, unusable=lambda problems: {})
    assert len(kept) == 9
    with pytest.raises(DataError, match="  the whole folder"):
        folder.decode(folder.entries(), NUMBERS, unusable=lambda problems: {"odd": "the whole folder"})


def test_a_cache_keeps_rows_of_single_files(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr("ddmi_core.sources.array_cache.user_cache_path", lambda name: tmp_path / "cache")
    read = []

    def counted(entry: Entry):
        read.append(entry.name)
        return read_number(entry)

    folder, cache = FolderSource(numbers, "numbers", (".num",)), ArrayCache("numbers")
    how = Decoding(1, np.dtype(np.int64), counted, ("numbers", 1))
    first, _ = folder.decode(folder.entries(), how, cache=cache)
    assert len(read) == 10
    changed = numbers / "odd" / "3.num"
    changed.write_text("33")
    os.utime(changed, (1, 1))
    (numbers / "odd" / "11.num").write_text("11")
    rows, _ = folder.decode(folder.entries(), how, cache=cache)
    assert sorted(read[10:]) == ["odd/11.num", "odd/3.num"]
    assert sorted(rows[:, 0].tolist()) == sorted([11, 33, *(int(row) for row in first[:, 0] if row != 3)])


def test_a_source_without_a_location_says_how_to_give_one(tmp_path):
    assert required_location(tmp_path, "numbers") == tmp_path
    with pytest.raises(DataError, match="the source 'folder' requires a folder or zip archive of numbers: --data PATH"):
        required_location(None, "numbers")


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

"""Files are found by kind in folders and archives, and what cannot be read is told."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from ddmi_core.errors import DataError
from ddmi_core.sources import files
from ddmi_core.sources.files import Entry, find_files

WANTED = (".wav", ".txt")


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def contents(entries):
    found = {}
    for entry in entries:
        with entry.opened() as file:
            found[entry.name] = file.read().decode()
    return found


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path / "set", "b/2.wav", "a.TXT", "b/1.txt", "c.png", ".hidden.txt", ".hidden/x.txt", "__MACOSX/b/y.txt")
    return tmp_path / "set"


def test_files_of_the_wanted_kinds_are_found_sorted_and_hidden_ones_are_passed_over(folder):
    found = find_files(folder, WANTED, "things")
    assert [entry.name for entry in found] == ["a.TXT", "b/1.txt", "b/2.wav"]
    assert contents(found)["b/2.wav"] == "content of b/2.wav"


@pytest.mark.parametrize("top", ["", "set/", "./", "./set/"])
def test_an_archive_is_read_as_the_folder_that_it_holds(folder, tmp_path, top):
    archive = zipped(folder, tmp_path / "set.zip", top)
    assert contents(find_files(archive, WANTED, "things")) == contents(find_files(folder, WANTED, "things"))


def test_two_top_folders_of_an_archive_are_part_of_the_names(tmp_path):
    fill(tmp_path / "set", "a/1.txt", "b/1.txt")
    found = find_files(zipped(tmp_path / "set", tmp_path / "set.zip"), WANTED, "things")
    assert [entry.name for entry in found] == ["a/1.txt", "b/1.txt"]


def test_a_stamp_changes_with_its_file_alone(folder, tmp_path):
    def stamps():
        places = (folder, zipped(folder, tmp_path / "set.zip"))
        return [{entry.name: entry.stamp for entry in find_files(place, WANTED, "things")} for place in places]

    before = stamps()
    (folder / "a.TXT").write_text("something else")
    for old, new in zip(before, stamps(), strict=True):
        assert {name for name in old if old[name] != new[name]} == {"a.TXT"}


def test_missing_foreign_and_empty_places_are_told_with_the_kind(tmp_path):
    with pytest.raises(DataError, match="no such folder or zip archive"):
        find_files(tmp_path / "none", WANTED, "things")
    fill(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"contains no things; accepted suffixes: \.wav, \.txt"):
        find_files(tmp_path, WANTED, "things")
    with pytest.raises(DataError, match="neither a folder nor a zip archive; give a folder of things"):
        find_files(tmp_path / "a.png", WANTED, "things")


def test_a_file_that_is_gone_or_too_large_is_told_when_it_is_opened(folder, tmp_path, monkeypatch):
    (gone, *_) = find_files(folder, WANTED, "things")
    (folder / gone.name).unlink()
    with pytest.raises(DataError, match=r"a\.TXT: cannot be read"), gone.opened():
        pass
    (packed, *_) = find_files(zipped(folder, tmp_path / "set.zip"), WANTED, "things")
    monkeypatch.setattr(files, "LARGEST_FILE", 5)
    with pytest.raises(DataError, match="more than the limit of 5"), packed.opened():
        pass


def test_errors_of_the_reader_of_an_open_file_pass_through():
    entry = Entry("a", "1", lambda: BytesIO(b"content"))
    with pytest.raises(ZeroDivisionError), entry.opened():
        raise ZeroDivisionError

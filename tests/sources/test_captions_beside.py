"""Captions in text files beside files of any kind, in folders and archives."""

from __future__ import annotations

import logging
import zipfile

import pytest

from ddmi_core.errors import DataError
from ddmi_core.sources.captions import captions_beside, tell_sides
from ddmi_core.sources.files import find_files

SUFFIXES = (".tone",)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "low").mkdir()
    for name in ("low/0", "1", "2"):
        (tmp_path / f"{name}.tone").write_bytes(b"x")
        (tmp_path / f"{name}.txt").write_text(f"tone {name}\n\n  some tone \n", encoding="utf-8")
    return tmp_path


def beside(location):
    names = [entry.name for entry in find_files(location, SUFFIXES, "tones")]
    return dict(zip(names, captions_beside(location, names, SUFFIXES, "tones"), strict=False))


def test_lines_of_the_text_file_beside_are_the_captions(folder):
    assert beside(folder) == {f"{name}.tone": (f"tone {name}", "some tone") for name in ("low/0", "1", "2")}


@pytest.mark.parametrize("top", ["", "top/"])
def test_captions_lie_in_archives_too(folder, top):
    path = folder / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("?.*")):
            archive.write(file, top + file.relative_to(folder).as_posix())
    assert beside(path) == beside(folder)
    assert len(beside(path)) == 3


def test_without_text_files_there_are_no_captions(folder, caplog):
    for file in folder.rglob("*.txt"):
        file.unlink()
    (folder / "README.txt").write_text("about tones")
    assert beside(folder) == {}
    assert not caplog.records


def test_where_some_have_captions_they_are_left_out_with_a_warning(folder, caplog):
    (folder / "1.txt").unlink()
    with caplog.at_level(logging.WARNING):
        assert beside(folder) == {}
    assert "captions are ignored: only 2 of 3 tones" in caplog.text
    assert "1.txt" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [(b" \n", "1.txt: empty; write one"), (b"\xff\xfe\xff", "not UTF-8 text"), (b"a" * 70000, "more than 65536")],
)
def test_files_that_are_no_captions_are_told(folder, content, message):
    (folder / "1.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        beside(folder)


@pytest.mark.parametrize(
    ("captions", "tell"),
    [
        (["a chair"], False),
        (["a bright leftover"], False),
        (["a chair", "its arm is Left."], True),
        (["left-hand", "a cat"], True),
        (["to the right, a door"], True),
        ([], False),
    ],
)
def test_left_and_right_are_heard_as_words(captions, tell):
    assert tell_sides(captions) is tell

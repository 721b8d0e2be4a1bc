"""Captions in text files beside files of any kind, in folders and archives."""

from __future__ import annotations

import json
import logging
import zipfile

import pytest

from ddmi_core.errors import DataError
from ddmi_core.sources.account import SUFFIX, UNREAD_CAPTIONS, accounting
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
    (folder / "notes.txt").write_text("to do")
    with accounting() as account:
        assert beside(folder) == {}
        find_files(folder, SUFFIXES, "tones")
    assert {name for name, left in account.left_out.items() if left.reason == UNREAD_CAPTIONS} == {"2.txt", "low/0.txt"}
    assert account.left_out["notes.txt"].reason == SUFFIX
    with caplog.at_level(logging.WARNING):
        assert beside(folder) == {}
    assert "captions are ignored: only 2 of 3 tones" in caplog.text
    assert "1.txt" in caplog.text


@pytest.fixture
def tones(tmp_path):
    """Three files without captions."""
    for name in ("low/0", "1", "2"):
        (tmp_path / f"{name}.tone").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.tone").write_bytes(b"x")
    return tmp_path


def caption_files(place, suffix, encoding="utf-8"):
    for name in ("low/0", "1", "2"):
        (place / f"{name}{suffix}").write_bytes(f"tone {name}\r\n".encode(encoding))


@pytest.mark.parametrize(
    "write",
    [
        lambda place: caption_files(place, ".caption"),
        lambda place: caption_files(place, ".TXT", "utf-16"),
        lambda place: [
            (place / f"{name}.json").write_text(json.dumps({"caption": f"tone {name}", "width": 3}))
            for name in ("low/0", "1", "2")
        ],
        lambda place: (place / "metadata.csv").write_text(
            'file_name,text\nlow/0.tone,tone low/0\n1.tone,tone 1\n2.tone,"tone 2"\n'
        ),
        lambda place: [
            (place / "metadata.jsonl").write_text(
                '{"file_name": "1.tone", "text": "tone 1"}\n\n{"file_name": "./2.tone", "text": ["tone 2"]}\n'
            ),
            (place / "low" / "metadata.jsonl").write_text('{"file_name": "0.tone", "caption": "tone low/0"}\n'),
        ],
    ],
    ids=["caption", "utf-16", "json", "csv", "jsonl"],
)
def test_captions_are_found_in_the_places_that_tools_write_them_to(tones, write):
    write(tones)
    with accounting() as account:
        assert beside(tones) == {f"{name}.tone": (f"tone {name}",) for name in ("low/0", "1", "2")}
    assert account.left_out == {}
    assert set(account.taken.values()) == {"tones", "files of captions"}


def test_a_text_file_beside_a_file_comes_before_its_row_in_a_table(tones):
    (tones / "metadata.csv").write_text("file_name,text\nlow/0.tone,a\n1.tone,b\n2.tone,c\n")
    (tones / "1.txt").write_text("own")
    assert beside(tones) == {"low/0.tone": ("a",), "1.tone": ("own",), "2.tone": ("c",)}


def test_tables_without_captions_and_damaged_ones_are_told(tones):
    (tones / "metadata.csv").write_text("file,label\n1.tone,3\n")
    with accounting() as account:
        assert beside(tones) == {}
    (warning,) = account.warnings
    assert warning.text == "metadata.csv gives no captions: it has the columns file, label"
    (tones / "metadata.jsonl").write_text('{"file_name": "1.tone", "text": "a"}\n{"file_name"')
    with pytest.raises(DataError, match=r"metadata\.jsonl, line 2: is cut short"):
        beside(tones)


def test_all_damaged_caption_files_are_told_at_once(folder):
    for name in ("1", "2"):
        (folder / f"{name}.txt").write_bytes("un caf\u00e9".encode("cp1252"))
    with pytest.raises(DataError, match=r"(?s)1\.txt: not UTF-8 text.*Fix: save it as UTF-8.*2\.txt: not UTF-8"):
        beside(folder)


def test_files_without_captions_are_in_the_account(folder):
    (folder / "1.txt").unlink()
    with accounting() as account:
        beside(folder)
    (warning,) = account.warnings
    assert warning.names == ("1.tone",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n", "1.txt: has only empty lines. Fix: write one"),
        (b"caf\xe9", "not UTF-8 text"),
        (b"a" * 70000, "more than 65536"),
    ],
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


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("metadata.csv", "file_name,text\n1.tone,high, and clear\n", "metadata.csv, line 2: more cells"),
        ("metadata.csv", "file_name,text\n1.tone," + "x" * 200_000, "metadata.csv, after line 1: not CSV"),
        ("metadata.jsonl", "[" * 100_000, "metadata.jsonl, line 1: not JSON"),
        ("3.json", "[" * 2000, "3.json: not JSON"),
    ],
)
def test_damaged_tables_and_records_are_named(folder, name, text, words):
    (folder / "3.tone").write_bytes(b"x")
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        beside(folder)


def test_a_row_of_a_table_with_too_few_cells_has_no_caption(folder):
    (folder / "3.tone").write_bytes(b"x")
    (folder / "metadata.csv").write_text("text,file_name\nlow,3.tone\nhigh\n", encoding="utf-8")
    assert beside(folder)["3.tone"] == ("low",)

"""Captions: what Unicode calls OpenMoji's drawings, and text files beside pictures."""

from __future__ import annotations

import logging
import re
import tomllib
import zipfile

import pytest
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.runs.evaluate import fingerprint
from ddmi_core.runs.shipped import shipped
from ddmi_image.captions import captions
from ddmi_image.folder import load_all
from ddmi_image.groups import GROUPS, group_of
from ddmi_image.openmoji import drawings, load
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings

ALL = tuple(group.name for group in GROUPS)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((0x1F600,), ("grinning face", "a grinning face")),
        ((0x1F92C,), ("serious face with symbols covering mouth", "a serious face with symbols covering mouth")),
        ((0x1F9D1,), ("person", "a person")),
        ((0x1F468, 0x1F3FB), ("man, light skin tone", "a man with light skin tone")),
        (
            (0x1F469, 0x1F3FF, 0x200D, 0x1F680),
            ("woman astronaut, dark skin tone", "a woman astronaut with dark skin tone"),
        ),
        (
            (0x1F9D1, 0x1F3FD, 0x200D, 0x1F9B0),
            ("person, red hair, medium skin tone", "a person with red hair and medium skin tone"),
        ),
        (
            (0x1F471, 0x1F3FC, 0x200D, 0x2640, 0xFE0F),
            (
                "woman with blond hair, medium-light skin tone",
                "a woman with blond hair and medium-light skin tone",
            ),
        ),
        ((0x1F46E, 0x200D, 0x2642, 0xFE0F), ("man police officer", "a man police officer")),
        ((0x1F9D4, 0x200D, 0x2640, 0xFE0F), ("bearded woman", "a bearded woman")),
        ((0x1F575, 0xFE0F), ("detective", "a detective")),
        ((0x1F385,), ("Santa Claus",)),
        ((0x1F347,), ("grapes",)),
        ((0x1F98F,), ("rhinoceros", "a rhinoceros")),
        ((0x1F377,), ("wine glass", "a wine glass")),
        ((0x2764,), ("red heart", "a red heart")),
        ((0x1F448,), ("hand that points left", "a hand that points left")),
        ((0x1F1E9, 0x1F1EA), ("flag of Germany", "the flag of Germany")),
        ((0x1F1EA, 0x1F1FA), ("flag of European Union", "the flag of European Union")),
        (
            (0x1F3F4, 0xE0067, 0xE0062, 0xE0073, 0xE0063, 0xE0074, 0xE007F),
            ("flag of a part of Britain (UK), GB-SCT", "the flag of a part of Britain (UK), GB-SCT"),
        ),
    ],
)
def test_captions_say_what_a_drawing_shows(codes, expected):
    group = next(group for group in GROUPS if group.name == group_of(codes))
    assert captions(codes, group) == expected


def test_every_drawing_has_captions_in_plain_words():
    for drawing in drawings(ALL):
        assert drawing.captions
        for text in drawing.captions:
            assert re.fullmatch(r"[\w ,.&()'’-]+", text), text
            assert not re.search("emoji|modifier|fitzpatrick|component", text)


def test_flags_are_named_by_their_country():
    flags = {drawing.captions for drawing in drawings(("flags",))}
    assert len(flags) == len(drawings(("flags",)))
    assert not [text for text, *_ in flags if re.search("of [A-Z]{2}$", text)]


def test_what_is_left_or_right_is_not_mirrored():
    for drawing in drawings(ALL):
        assert not (drawing.mirrored and ("left" in drawing.captions[0] or "right-" in drawing.captions[0]))
    assert {drawing.mirrored for drawing in drawings(("hands",))} == {True, False}
    assert all(drawing.mirrored for drawing in drawings(("faces", "people")))


def test_the_data_of_the_shipped_weights_have_kept_their_name():
    stored = tomllib.loads((shipped(IMAGE) / "run.toml").read_text())
    split = load(None, ImageSettings())
    assert fingerprint(split) == stored["run"]["fingerprint"]
    at = split.train.names.index(next(name for name in split.train.names if name.startswith("1F600 ")))
    assert split.train.captions[at] == ("grinning face", "a grinning face")


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        Image.new("RGB", (16, 16), (80 * number, 0, 0)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"red of {80 * number}\n\n  some red \n", encoding="utf-8")
    return tmp_path


SMALL = ImageSettings(size=8, detail=1)


def test_lines_of_a_text_file_are_the_captions_of_the_picture_beside(folder):
    assert load_all(folder, SMALL).captions == tuple((f"red of {80 * number}", "some red") for number in range(3))


@pytest.mark.parametrize("top", ["", "top/"])
def test_captions_lie_in_archives_too(folder, tmp_path, top):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.glob("?.*")):
            archive.write(file, top + file.name)
    assert load_all(path, SMALL).captions[2] == ("red of 160", "some red")


def test_pictures_without_text_files_have_no_captions(folder, caplog):
    for file in folder.glob("*.txt"):
        file.unlink()
    assert load_all(folder, SMALL).captions == ()
    assert not caplog.records


def test_where_some_pictures_have_captions_they_are_left_out_with_a_warning(folder, caplog):
    (folder / "1.txt").unlink()
    with caplog.at_level(logging.WARNING):
        assert load_all(folder, SMALL).captions == ()
    assert "captions are left out: 2 of 3 pictures" in caplog.text
    assert "1.txt" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [(b" \n", "0.txt: empty; write one"), (b"\xff\xfe\xff", "not text in UTF-8"), (b"a" * 70000, "more than 65536")],
)
def test_files_that_are_no_captions_are_told(folder, content, message):
    (folder / "0.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_all(folder, SMALL)

"""Captions: what Unicode calls OpenMoji's drawings, and what text files beside pictures say."""

from __future__ import annotations

import re
import tomllib

import pytest
import torch
from PIL import Image

from ddmi_core.model.run_folder import pretrained
from ddmi_image.folder import load_all
from ddmi_image.openmoji import drawings, load
from ddmi_image.openmoji_captions import captions
from ddmi_image.openmoji_groups import GROUPS, group_of
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
    stored = tomllib.loads((pretrained(IMAGE).path / "run.toml").read_text())
    split = load(None, ImageSettings())
    assert split.fingerprint() == stored["run"]["fingerprint"]
    at = split.train.names.index(next(name for name in split.train.names if name.startswith("1F600 ")))
    assert split.train.captions[at] == ("grinning face", "a grinning face")


def test_pictures_in_a_folder_have_the_captions_beside_them(tmp_path):
    texts = ("a red cat", "a cat that looks left", "the right cat", "a cat in a bright light")
    for number, text in enumerate(texts):
        picture = Image.new("RGB", (16, 16))
        picture.paste((255, 255, 255), (8, 0, 16, 16))
        picture.save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"{text}\n")
    pictures = load_all(tmp_path, ImageSettings(size=8, multiples=(1,)))
    assert pictures.captions == tuple((text,) for text in texts)
    plain = pictures.batch(range(4)).values
    draws = torch.Generator().manual_seed(0)
    turned = [(pictures.batch(range(4), draws).values != plain).flatten(1).any(dim=1) for _ in range(20)]
    # What is said of left and right is not true of a mirror image.
    assert torch.stack(turned).any(dim=0).tolist() == [True, False, False, True]

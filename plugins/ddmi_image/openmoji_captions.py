"""Captions of OpenMoji's drawings, derived from Unicode names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources

from ddmi_image.openmoji_groups import FLAG_TAGGED, JOINER, REGIONAL, TONES, Group, base

TONE_NAMES = ("light", "medium-light", "medium", "medium-dark", "dark")
SEXES = {0x2640: "woman", 0x2642: "man"}
PROFESSIONS = {
    0x1F33E: "farmer",
    0x1F373: "cook",
    0x1F384: "in a Santa hat",
    0x1F393: "student",
    0x1F3A4: "singer",
    0x1F3A8: "artist",
    0x1F3EB: "teacher",
    0x1F3ED: "factory worker",
    0x1F4BB: "technologist",
    0x1F4BC: "office worker",
    0x1F527: "mechanic",
    0x1F52C: "scientist",
    0x1F680: "astronaut",
    0x1F692: "firefighter",
    0x2695: "health worker",
    0x2696: "judge",
    0x2708: "pilot",
}
HAIR = {0x1F9B0: "red hair", 0x1F9B1: "curly hair", 0x1F9B2: "a bald head", 0x1F9B3: "white hair"}
# Replacements for Unicode names that people do not use; "white" and "black" in old names mean outlined and filled.
USUAL = (
    (r"^adult$", "person"),
    (r"^older (?=man|woman)", "old "),
    (r"^older adult$", "old person"),
    (r"^sleuth or spy$", "detective"),
    (r"^father christmas$", "Santa Claus"),
    (r"^mother christmas$", "Mrs Claus"),
    (r"^heavy black heart$", "red heart"),
    (r"^(white|black) (?=frowning|smiling|.* pointing)", ""),
    (r"^(\w+) pointing backhand index$", r"hand that points \1"),
    (r"^emoji component ", ""),
    (r" sign$", ""),
)
# Fallback for code points newer than Python's Unicode data.
UNNAMED = {"faces": "face", "people": "person", "hands": "hand", "animals": "animal", "food": "dish"}


def captions(codes: Sequence[int], group: Group) -> tuple[str, ...]:
    """One or two captions of a drawing: a short one and a phrase.

    Example:
        >>> from ddmi_image.openmoji_groups import GROUPS
        >>> captions((0x1F468, 0x1F3FD, 0x200D, 0x1F692), GROUPS[1])
        ('man firefighter, medium skin tone', 'a man firefighter with medium skin tone')
    """
    key = base(codes)
    if group.name == "flags":
        country = _flag(key)
        return (f"flag of {country}", f"the flag of {country}")
    first, *rest = (code for code in key if code != JOINER)
    subject = _usual(first) or UNNAMED.get(group.name, "object")
    for code in rest:
        if code in SEXES:
            subject = _of_sex(subject, SEXES[code])
        elif code in PROFESSIONS:
            subject = f"{subject} {PROFESSIONS[code]}"
    traits = [HAIR[code] for code in rest if code in HAIR]
    traits += [f"{TONE_NAMES[code - TONES[0]]} skin tone" for code in codes if code in TONES]
    phrase = _with_article(subject)
    if traits:
        phrase += f"{' and ' if ' with ' in subject else ' with '}{' and '.join(traits)}"
    return tuple(dict.fromkeys((", ".join([subject, *traits]), phrase)))


def _usual(code: int) -> str:
    name = unicodedata.name(chr(code), "").lower()
    for pattern, usual in USUAL:
        name = re.sub(pattern, usual, name)
    return name


def _of_sex(subject: str, sex: str) -> str:
    changed, count = re.subn(r"\b(person|man|woman)\b", sex, subject)
    return changed if count else f"{sex} {subject}"


def _with_article(subject: str) -> str:
    head = re.split(" (?:with|of|and|for|in|between) ", subject)[0]
    if head[0].isupper() or re.search("[^osu]s$", head):  # a proper name, or a plural
        return subject
    return f"{'an' if head[0] in 'aeiou' else 'a'} {subject}"


def _flag(key: Sequence[int]) -> str:
    """The country of two regional indicators, or the region that a tag sequence spells."""
    if key[0] != FLAG_TAGGED:
        letters = "".join(chr(code - REGIONAL[0] + ord("A")) for code in key)
        return _countries().get(letters, letters)
    spelt = "".join(chr(code & 0x7F) for code in key[1:-1]).upper()
    return f"a part of {_countries().get(spelt[:2], spelt[:2])}, {spelt[:2]}-{spelt[2:]}"


@cache
def _countries() -> dict[str, str]:
    lines = (resources.files("ddmi_image") / "countries.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))

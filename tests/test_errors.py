"""Sentences for users: counts in words, and a name that is near where one is."""

from __future__ import annotations

import pytest

from ddmi_core.errors import counted, nearest, unknown_name


def test_a_count_agrees_with_its_noun():
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


@pytest.mark.parametrize(
    ("name", "end"), [("quik", "; did you mean 'quick'?"), ("bsae", "; did you mean 'base'?"), ("fast", "."), ("", ".")]
)
def test_only_what_is_near_is_offered(name, end):
    assert nearest(name, ["quick", "base", "paper"]) == end


def test_an_unknown_name_comes_with_the_valid_ones():
    assert unknown_name("preset", "fast", ["quick", "base"]) == "unknown preset 'fast'. Valid: base, quick"
    assert unknown_name("preset", "fast", []) == "unknown preset 'fast'. Valid: none"

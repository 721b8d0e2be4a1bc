"""The account of a data set: what it counts, and how a person reads it."""

from __future__ import annotations

import json
from pathlib import Path

from ddmi_core.sources.account import NOT_CHOSEN, SUFFIX, UNUSABLE, Account, Change, account, accounting
from ddmi_core.sources.files import HIDDEN

PLACE = Path("set")


def test_sources_write_into_the_account_that_is_open():
    account().remark("nobody reads this")
    with accounting() as opened, accounting() as inner:
        account().remark("no captions")
        assert inner is opened
    assert [remark.text for remark in opened.warnings] == ["no captions"]
    assert account().warnings == []


def test_a_file_that_is_used_for_anything_is_not_left_out():
    kept = Account()
    kept.leave_out(PLACE, "a.txt", SUFFIX)
    kept.take(PLACE, ["a.png", "b.png", "c.png"], "pictures")
    kept.take(PLACE, ["a.txt"], "captions")
    kept.leave_out(PLACE, "a.txt", SUFFIX)
    kept.leave_out(PLACE, "b.png", UNUSABLE, "b.png: cut short")
    kept.leave_out(PLACE, "c.png", NOT_CHOSEN)
    kept.leave_out(Path("other"), "a.png", "hidden")
    kept.take(PLACE, ["a.png", "b.png", "c.png"], "pictures")  # found again, when captions are looked for
    assert kept.taken == {"a.png": "pictures", "a.txt": "captions"}
    assert set(kept.left_out) == {"b.png", "c.png", "other/a.png"}
    line = "files: 1 pictures, 1 captions; 3 left out (1 cannot be used, 1 beyond the setting limit, 1 hidden)"
    assert kept.files_line() == line


def test_names_are_shortened_unless_all_are_asked_for():
    kept = Account()
    for number in range(8):
        kept.leave_out(PLACE, f"{number}\n.heic", SUFFIX)
        kept.leave_out(PLACE, f".{number}", HIDDEN)
    short, long = kept.lines(), kept.lines(every=True)
    assert short[0] == "files: none taken; 16 left out:"
    assert "     8 .heic: 0\\n.heic, 1\\n.heic, 2\\n.heic, 3\\n.heic, 4\\n.heic, and 3 more" in short
    assert "  8 hidden: .0, .1, .2, .3, .4, and 3 more" in short
    assert not any("more" in line for line in long)
    assert all(any(name in line for line in long) for n in range(8) for name in (f"{n}\\n.heic", f".{n}"))


def test_every_kind_of_problem_is_shown_once_and_every_suffix():
    kept = Account()
    problems = {f"{n}.png": f"{n} x {n + 1} pixels is too small" for n in range(2, 9)}
    for name, problem in {**problems, "b.png": "empty", "a.png": "empty", "c.jpg": "a web page"}.items():
        kept.leave_out(PLACE, name, UNUSABLE, f"{name}: {problem}")
    for name in ("x.zip", "1.txt", "README", "2.TXT", "x.md"):
        kept.leave_out(PLACE, name, SUFFIX)
    assert kept.lines() == [
        "files: none taken; 15 left out:",
        "  10 cannot be used:",
        "     2.png: 2 x 3 pixels is too small; likewise 3.png, 4.png, 5.png, 6.png, 7.png, and 1 more",
        "     a.png: empty; likewise b.png",
        "     c.jpg: a web page",
        "  5 with another suffix:",
        "     2 .txt: 1.txt, 2.TXT",
        "     others: x.zip, README, x.md",
    ]
    every = [line for line in kept.lines(every=True) if "too small" in line]
    assert every == [f"     {name}: {problem}" for name, problem in problems.items()]


def test_kinds_of_problems_beyond_a_screen_are_counted():
    kept = Account()
    words = [chr(ord("a") + n) for n in range(26)]
    for word in words:
        kept.leave_out(PLACE, f"{word}.png", UNUSABLE, f"{word}.png: {word * 3}")
    assert kept.lines()[-2:] == ["     t.png: ttt", "     and 6 more; --all lists them"]
    assert kept.lines(every=True)[-1] == "     z.png: zzz"


def test_amounts_show_the_digits_that_a_setting_needs():
    kept = Account()
    kept.change("a", [Change("of 16-bit grey", 4095.0, "at most", fix="set white")])
    kept.change("b", [Change("scaled", 1 / 3, "times"), Change("of great extent", 6e8)])
    assert kept.lines() == [
        "changes by the reader:",
        "  1 signal scaled: 0.333 times",
        "  1 signal of great extent: 6e+08",
        "warning: 1 signal of 16-bit grey: a (4095 at most)",
        "  Fix: set white",
    ]


def test_changes_are_summed_by_kind_and_those_with_a_fix_are_warnings():
    kept = Account()
    for name, share in (("a", 0.25), ("b", 0.25), ("long", 0.99)):
        changes = [Change("cut to a square", share, "of the area", {"box": [0, 0, 4, 4]}), Change("turned")]
        if share > 0.5:
            changes.append(Change("cut by more than half", fix="set domain.fit=pad"))
        kept.change(name, changes)
    assert list(kept.summaries()) == [
        "3 signals cut to a square: 0.25 of the area (median), up to 0.99 (long)",
        "3 signals turned",
    ]
    assert kept.lines()[-2:] == ["warning: 1 signal cut by more than half: long", "  Fix: set domain.fit=pad"]
    stored = json.loads(json.dumps(kept.to_dict()))["changes"]
    box = {"box": [0, 0, 4, 4]}
    assert stored["a"][0] == {"what": "cut to a square", "amount": 0.25, "unit": "of the area", "values": box}

"""The account of a data set: what it counts, and how a person reads it."""

from __future__ import annotations

import json
from pathlib import Path

from ddmi_core.sources.account import NOT_CHOSEN, SUFFIX, UNUSABLE, Account, Change, account, accounting

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
    line = (
        "files: 1 pictures, 1 captions; 3 left out (1 cannot be used, 1 not chosen: beyond the setting limit, 1 hidden)"
    )
    assert kept.files_line() == line


def test_names_are_shortened_unless_all_are_asked_for():
    kept = Account()
    for number in range(8):
        kept.leave_out(PLACE, f"{number}\n.heic", SUFFIX)
        kept.leave_out(PLACE, f"{number}.png", UNUSABLE, f"{number}.png: cut short")
    short, long = "\n".join(kept.lines()), "\n".join(kept.lines(every=True))
    assert "8 files left out, other suffix:\n     .heic 8: 0\\n.heic, 1\\n.heic" in short
    assert "and 3 more" in short
    assert "7.png: cut short" not in short
    assert "more" not in long
    assert all(f"{n}\\n.heic" in long and f"{n}.png: cut short" in long for n in range(8))


def test_changes_are_summed_by_kind_and_those_with_a_fix_are_warnings():
    kept = Account()
    for name, share in (("a", 0.25), ("b", 0.25), ("long", 0.99)):
        changes = [Change("cut to a square", share, "of the area", {"box": [0, 0, 4, 4]}), Change("turned")]
        if share > 0.5:
            changes.append(Change("cut by more than half", fix="set domain.fit=pad"))
        kept.change(name, changes)
    assert list(kept.summaries()) == [
        "3 signals cut to a square: 0.25 of the area in the middle, up to 0.99 (long)",
        "3 signals turned",
    ]
    assert kept.lines()[-2:] == ["warning: 1 signal cut by more than half: long", "  Fix: set domain.fit=pad"]
    stored = json.loads(json.dumps(kept.to_dict()))["changes"]
    box = {"box": [0, 0, 4, 4]}
    assert stored["a"][0] == {"what": "cut to a square", "amount": 0.25, "unit": "of the area", "values": box}

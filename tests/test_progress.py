"""Loops report what they do to the listener of their context; the time left follows from recent steps."""

import threading
from itertools import count

import pytest

from ddmi_core import progress
from ddmi_core.progress import Pace, doing, duration, listening, tracked


class Seen:
    """Keeps each report."""

    def __init__(self):
        self.reports = []

    def changed(self, parts):
        self.reports.append([(part.what, part.done, part.total) for part in parts])


def test_parts_nest_and_end_with_their_blocks():
    seen = Seen()
    with listening(seen), doing("samples", 3) as samples:
        for _ in tracked("steps", iter("ab"), 2):
            pass
        samples.advance(3)
    assert seen.reports == [
        [("samples", 0, 3)],
        [("samples", 0, 3), ("steps", 0, 2)],
        [("samples", 0, 3), ("steps", 1, 2)],
        [("samples", 0, 3), ("steps", 2, 2)],
        [("samples", 0, 3)],
        [("samples", 3, 3)],
        [],
    ]


def test_a_loop_that_is_left_early_ends_its_part():
    seen = Seen()
    with listening(seen):
        for _ in tracked("steps", [1, 2]):
            break
        with pytest.raises(ValueError, match="bad"), doing("other"):
            raise ValueError("bad")
    assert seen.reports[-1] == []


def test_an_inner_listener_takes_the_reports_of_its_block_and_threads_have_none():
    outer, inner = Seen(), Seen()

    def work():
        with doing("work"):
            pass

    with listening(outer):
        with listening(inner):
            work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    work()
    assert inner.reports == [[("work", 0, 0)], []]
    assert outer.reports == []


def test_the_pace_is_the_median_so_neither_slow_first_steps_nor_a_pause_count():
    pace = Pace()
    assert pace.seconds() is None
    for done, now in ((0, 0.0), (1, 60.0), (2, 62.0), (4, 66.0), (5, 100.0), (6, 102.0)):
        pace.mark(done, now)
    assert pace.seconds() == 2.0
    assert pace.left(3) == 6.0
    assert pace.left(0) == 0.0


def test_the_time_left_of_a_part_is_unknown_until_an_item_is_done(monkeypatch):
    clock = count(0.0, 5.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with doing("files", 3) as part:
        assert part.seconds_left is None
        part.advance()
        assert part.seconds_left == 10.0
        part.advance(2)
        assert part.seconds_left is None


@pytest.mark.parametrize(("seconds", "words"), [(0.1, "1 s"), (89, "89 s"), (200, "3 min"), (6000, "1.7 h")])
def test_a_duration_is_told_in_one_unit(seconds, words):
    assert duration(seconds) == f"about {words}"

"""The soak test itself: its workers and their verdicts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from soaking.trials import OK, OTHER, Kind, Verdict, trials

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")


def test_trials_go_on_after_one_that_ends_its_process(tmp_path):
    def trial(draw, own):
        if own.name == "1":
            raise SystemExit
        return Verdict(OK)

    found = list(trials(Kind("dying", lambda folder: trial), tmp_path, range(4), 0, 30.0))
    assert [(number, verdict.outcome) for number, verdict in found] == [(0, OK), (1, OTHER), (2, OK), (3, OK)]


def test_a_preparation_that_fails_is_one_failed_trial(tmp_path):
    def prepare(folder):
        raise ImportError("no such package")

    ((number, verdict),) = trials(Kind("unprepared", prepare), tmp_path, range(1000), 0, 30.0)
    assert (number, verdict.outcome) == (0, OTHER)
    assert "the preparation failed, see " in verdict.how
    assert "no such package" in (tmp_path / "worker.log").read_text(encoding="utf-8")

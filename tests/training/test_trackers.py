"""Trackers and callbacks receive each logged step, and one that fails does not stop the training."""

import pytest
import torch
from torch import nn

from ddmi_core.errors import TrainingError
from ddmi_core.training.trackers import Moment, Observers, Tracker

OPENED = []


class Kept(Tracker):
    """Keeps what it gets."""

    def __init__(self, run):
        super().__init__(run)
        self.rows, self.closed = [], 0
        OPENED.append(self)

    def record(self, stage, step, values):
        self.rows.append((stage, step, dict(values)))

    def close(self):
        self.closed += 1


class Failing(Tracker):
    """Fails at each step."""

    def record(self, stage, step, values):
        raise ConnectionError("no network")


@pytest.fixture(autouse=True)
def _fresh():
    OPENED.clear()


def moment(run, step):
    return Moment("denoiser", step, 10, {"loss": 0.5 / step}, nn.Linear(1, 1), run)


def test_a_tracker_is_opened_with_the_first_step_gets_all_and_is_closed_once(tmp_path):
    observers = Observers(tmp_path, {"kept": Kept})
    observers.close()
    assert OPENED == []
    observers.tell(moment(tmp_path, 1))
    observers.tell(moment(tmp_path, 2))
    observers.close()
    observers.close()
    (tracker,) = OPENED
    assert tracker.run == tmp_path
    assert tracker.rows == [("denoiser", 1, {"loss": 0.5}), ("denoiser", 2, {"loss": 0.25})]
    assert tracker.closed == 1


def test_one_that_fails_is_told_once_and_the_others_go_on(tmp_path):
    told, seen = [], []

    def callback(moment):
        seen.append(moment.step)
        if moment.step == 2:
            raise ValueError("odd")

    observers = Observers(tmp_path, {"web": Failing, "kept": Kept}, {"watch": callback}, told.append)
    for step in (1, 2, 3):
        observers.tell(moment(tmp_path, step))
    observers.close()
    assert [step for _, step, _ in OPENED[0].rows] == [1, 2, 3]
    assert seen == [1, 2]
    assert told == [
        "tracker 'web' failed and is left out from here on: ConnectionError: no network",
        "callback 'watch' failed and is left out from here on: ValueError: odd",
    ]


def test_a_tracker_that_cannot_be_opened_stops_the_run(tmp_path):
    def create(run):
        raise PermissionError("no key")

    with pytest.raises(TrainingError, match="tracker 'web' cannot be opened: PermissionError: no key"):
        Observers(tmp_path, {"web": create}).tell(moment(tmp_path, 1))


def test_callbacks_see_the_model_in_training(tmp_path):
    found = []
    observers = Observers(tmp_path, callbacks={"norm": lambda m: found.append(m.model.weight.norm())})
    observers.tell(moment(tmp_path, 1))
    assert isinstance(found[0], torch.Tensor)


def test_a_tracker_that_records_nothing_cannot_be_made(tmp_path):
    with pytest.raises(TypeError, match="record"):
        type("Partial", (Tracker,), {})(tmp_path)


def test_a_tracker_that_cannot_be_closed_is_told_and_the_others_are_closed(tmp_path):
    class Open(Kept):
        def close(self):
            raise SystemExit("busy")

    told = []
    observers = Observers(tmp_path, {"kept": Kept, "open": Open}, notice=told.append)
    observers.tell(moment(tmp_path, 1))
    observers.close()
    assert told == ["tracker 'open' failed and is left out from here on: SystemExit: busy"]
    assert [tracker.closed for tracker in OPENED] == [0, 1]

"""The log tells the share of waiting for data, and the memory of a process."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from attrs import evolve
from test_trainer import CONFIG, Regression, stage

from ddmi_core.training import meter
from ddmi_core.training.meter import OPERATING, Meter
from ddmi_core.training.read_ahead import Parts, Reader
from ddmi_core.training.trainer import train


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(meter.time, "perf_counter", lambda: now.seconds)
    return now


def test_waiting_is_a_share_of_the_time_since_the_last_look_and_the_first_batch(clock):
    readers = []
    measured = Meter(readers, torch.device("cpu"))
    readers += [SimpleNamespace(waited=1.0, began=90.0), SimpleNamespace(waited=0.5, began=92.0)]
    assert measured.read()["waiting_percent"] == 15.0  # 1.5 s of the 10 s since the first batch of the first reader
    clock.seconds, readers[1].waited = 104.0, 1.5
    assert measured.read()["waiting_percent"] == 25.0
    assert Meter([SimpleNamespace(waited=0.0, began=0.0)], torch.device("cpu")).read()["waiting_percent"] == 0.0


class Slow(Regression):
    """Takes two seconds of the clock to read a batch, and three to compute a step."""

    def __init__(self, clock):
        super().__init__(on_step=lambda step: self.pass_time(3.0))
        self.clock = clock

    def pass_time(self, seconds):
        self.clock.seconds += seconds

    def read(self, step, indices, generator):
        self.pass_time(2.0)
        return torch.zeros(())


def test_a_reader_waits_from_the_second_batch_on(clock):
    reader = Reader(Parts(Slow(clock), 0, "stage", "slow", 3), range(4), 0, torch.device("cpu"))
    waits = [(reader.next(), reader.waited)[1] for _ in range(4)]
    assert waits == [0.0, 2.0, 4.0, 6.0]
    assert reader.began == 102.0


def test_each_record_and_report_has_the_figures_of_the_machine(clock, tmp_path):
    reports = []
    job = stage(tmp_path, evolve(CONFIG, steps=6, log=2, workers=0), progress=reports.append)
    train(job, {"main": Slow(clock)})
    records = list(job.log.records())
    # 3 s, a wait of 2 s, 3 s; then two waits in 10 s
    assert [record["waiting_percent"] for record in records] == [25.0, 40.0, 40.0]
    assert [report.waiting_percent for report in reports] == [25.0, 40.0, 40.0]
    assert all(OPERATING[number] in record for record in records for number in range(3))
    own = psutil.Process().memory_info().rss / 2**30
    assert records[-1]["memory_gib"] == reports[-1].memory_gib == pytest.approx(own, rel=0.2)
    assert all(record["steps_per_second"] > 0 for record in records)
    assert all(report.signals_per_second > 0 for report in reports)

"""Batches read ahead by workers: the same as in the step, early, with the reader's errors, and with ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from ddmi_core.errors import ConfigError, DataError, Interrupted, TrainingError
from ddmi_core.training import read_ahead
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Losses, Objective, StepContext
from ddmi_core.training.read_ahead import Parts, Reader
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import Stage, train

CPU = torch.device("cpu")


@frozen(eq=False)
class Row:
    """What is read: numbers with noise, and a view of a larger tensor."""

    values: Tensor
    few: Tensor


class Noisy(Objective):
    """Reads numbers with noise, slowly if it is told so, and fits their mean."""

    def __init__(self, seconds: float = 0.0, broken: int = -1, error: type[Exception] = KeyError) -> None:
        super().__init__()
        self.trained, self.size = nn.Linear(1, 1), 20
        for weight in self.trained.parameters():
            nn.init.zeros_(weight)
        self.seconds, self.broken, self.error = seconds, broken, error
        self.table = torch.arange(1000.0)

    def read(self, step: int, indices, generator: torch.Generator) -> Row:
        time.sleep(self.seconds * len(indices))
        if self.broken in indices:
            raise self.error("palette")
        return Row(torch.tensor(indices) + torch.rand(len(indices), generator=generator), self.table[3:5])

    def name_of(self, index: int) -> str:
        return f"signal-{index}"

    def forward(self, context: StepContext) -> Losses:
        return Losses((self.trained(self.batch(context).values[:, None]) - 0.1).square().mean())


def parts(objective: Objective, **changes) -> Parts:
    return evolve(Parts(objective, seed=3, stage="stage", name="noisy", batch=4), **changes)


def read(objective: Objective, workers: int, numbers: range = range(12), **changes) -> list:
    reader = Reader(parts(objective, **changes), numbers, workers, CPU)
    try:
        return [reader.next() for _ in numbers]
    finally:
        reader.close()


def job(folder: Path, **changes) -> Stage:
    config = TrainingConfig(steps=8, batch=4, warmup=1, log=1, checkpoint=3, **changes)
    return Stage("stage", folder, config, seed=3, log=Log(folder.with_suffix(".jsonl")))


@pytest.mark.parametrize("workers", [1, 3])
def test_parts_and_what_is_read_do_not_depend_on_the_workers(workers):
    ours, theirs = read(Noisy(), workers), read(Noisy(), 0)
    assert [part for part, _ in ours] == [part for part, _ in theirs]
    assert all(torch.equal(one.values, other.values) for (_, one), (_, other) in zip(ours, theirs, strict=True))


def test_a_reader_that_starts_late_reads_the_same():
    late, whole = read(Noisy(), 2, range(7, 12)), read(Noisy(), 0)[7:]
    assert all(torch.equal(one.values, other.values) for (_, one), (_, other) in zip(late, whole, strict=True))


def test_global_random_numbers_are_not_used():
    objective, before = Noisy(), torch.get_rng_state()
    read(objective, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_views_of_large_tensors_are_sent_alone():
    (_, first), *_ = read(Noisy(), 1)
    assert first.few.tolist() == [3.0, 4.0]
    assert first.few.untyped_storage().nbytes() == 8


def test_batches_are_read_before_the_step_needs_them(tmp_path):
    class Recording(Noisy):
        def read(self, step, indices, generator):
            (tmp_path / f"{step}").touch()
            return super().read(step, indices, generator)

    reader = Reader(parts(Recording()), range(12), 2, CPU)
    until = time.monotonic() + 20
    while not all((tmp_path / str(step)).exists() for step in range(4)) and time.monotonic() < until:
        time.sleep(0.01)
    reader.close()
    # Two workers are two batches ahead, though no step has asked for one yet.
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("error", "words"), [(KeyError, "KeyError: 'palette'"), (DataError, "palette"), (OSError, "OSError: palette")]
)
def test_the_error_of_a_reader_names_the_signal(workers, error, words, tmp_path):
    with pytest.raises(DataError, match=f"signal 'signal-7' cannot be read: {words}"):
        train(job(tmp_path / "stage", workers=workers), {"noisy": Noisy(broken=7, error=error)})


def test_an_error_that_names_the_signal_is_kept(tmp_path):
    class Named(Noisy):
        def read(self, step, indices, generator):
            if 7 in indices:
                raise DataError("signal-7: no such file")
            return super().read(step, indices, generator)

    with pytest.raises(DataError, match=r"^signal-7: no such file$"):
        train(job(tmp_path / "stage", workers=1), {"noisy": Named()})


def test_an_error_of_many_signals_together_is_raised_as_it_is(tmp_path):
    class Together(Noisy):
        def read(self, step, indices, generator):
            if step == 3 and len(indices) > 1:
                raise ZeroDivisionError("too many")
            return super().read(step, indices, generator)

    with pytest.raises(ZeroDivisionError, match="too many"):
        train(job(tmp_path / "stage", workers=1), {"noisy": Together()})


def test_a_worker_that_dies_ends_the_training_with_advice(tmp_path):
    class Dying(Noisy):
        def read(self, step, indices, generator):
            if step == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().read(step, indices, generator)

    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"reads signals ahead has died.*Fix: continue with --resume"):
        train(job(tmp_path / "stage", workers=1), {"noisy": Dying()})
    assert time.monotonic() - began < 60


def test_a_stopped_and_resumed_training_with_other_workers_ends_with_the_same_weights(tmp_path):
    def weights(name: str, **changes) -> list:
        objective = Noisy()
        stage = evolve(job(tmp_path / name, workers=0), **changes)
        stop = stage.stop
        stage = evolve(stage, progress=lambda report: setattr(stop, "signal_number", 15 if report.step == 4 else 0))
        try:
            train(stage, {"noisy": objective})
        except Interrupted:
            train(evolve(job(tmp_path / name, workers=2), stop=StopRequest()), {"noisy": objective})
        return [weight.tolist() for weight in objective.trained.parameters()]

    train(job(tmp_path / "whole"), {"noisy": (whole := Noisy())})
    assert weights("stopped") == [weight.tolist() for weight in whole.trained.parameters()]


def test_a_stop_request_to_a_worker_is_left_to_the_main_process(monkeypatch):
    """A scheduler sends SIGTERM to all processes of a job; the main process goes on until the end of its step."""

    class Told(Noisy):
        def read(self, step, indices, generator):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            return super().read(step, indices, generator)

    monkeypatch.setattr(read_ahead, "_chosen", lambda *_: 1)  # nothing is read in the main process
    reader = Reader(parts(Told()), range(4), 1, CPU)
    assert [reader.next()[0].step for _ in range(4)] == [0, 1, 2, 3]
    reader.close()


def test_slow_readers_get_workers_by_themselves():
    reader = Reader(parts(Noisy(0.01)), range(12), -1, CPU)
    reader.close()
    assert reader.workers == read_ahead.MOST


@pytest.mark.parametrize(
    ("seconds", "busy", "device", "workers"),
    [
        (0.001, 0.001, "cuda", 0),  # in memory
        (0.480, 0.010, "cpu", 8),  # waits
        (0.020, 0.003, "cpu", 0),  # is delayed by other programs
        (0.030, 0.010, "cpu", 0),  # waits for less time than what counts
        (0.480, 0.470, "cpu", 0),  # decodes, on the cores that compute the steps
        (0.480, 0.300, "cpu", 0),  # does both, but works for most of the time
        (0.480, 0.470, "cuda", 7),
    ],
)
def test_workers_follow_from_the_time_and_the_work_of_reading(seconds, busy, device, workers):
    assert read_ahead.suitable(seconds, busy, torch.device(device), cores=8) == workers


def test_cores_are_shared_by_the_processes_that_train():
    assert read_ahead.suitable(0.480, 0.470, torch.device("cuda"), cores=64) == 8
    assert read_ahead.suitable(0.480, 0.470, torch.device("cuda"), cores=4) == 3
    assert read_ahead.suitable(0.480, 0.470, torch.device("cuda"), cores=1) == 0


def test_an_objective_that_reads_nothing_has_no_workers(tmp_path):
    class Still(Noisy):
        read = Objective.read

        def forward(self, context):
            return Losses((self.trained(torch.tensor(context.indices, dtype=torch.float)[:, None])).square().mean())

    train(job(tmp_path / "stage", workers=2), {"still": Still()})
    reader = Reader(parts(Still()), range(12), 2, CPU)
    assert reader.workers == 0


def test_signals_that_cannot_be_sent_are_read_in_the_step_unless_workers_are_asked_for():
    @frozen(eq=False)
    class Local:
        values: Tensor

    class Reading(Noisy):
        def read(self, step, indices, generator):
            time.sleep(0.01)
            return Local(super().read(step, indices, generator).values)

    assert Reader(parts(Reading()), range(12), -1, CPU).workers == 0
    with pytest.raises(ConfigError, match=r"cannot be sent between processes.*Fix: define their class"):
        Reader(parts(Reading()), range(12), 2, CPU)


def test_every_part_of_a_step_is_read_once_by_one_process():
    seen = [
        (part.step, part.first + place, index)
        for rank in range(2)
        for part, _ in read(Noisy(), 0, range(6), each=2, rank=rank, processes=2)
        for place, index in enumerate(part.indices)
    ]
    whole = [part for part, _ in read(Noisy(), 0, range(3))]
    assert sorted(seen) == [(part.step, place, index) for part in whole for place, index in enumerate(part.indices)]

"""Settings of the training of a stage: their limits."""

from __future__ import annotations

import pytest

from ddmi_core.errors import ConfigError
from ddmi_core.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("name", "least"), [("steps", 0), ("batch", 1), ("accumulation", 1), ("warmup", 0), ("checkpoint", 1), ("log", 1)]
)
def test_counts_have_a_least_value(name, least):
    assert getattr(TrainingConfig(**{name: least}), name) == least
    with pytest.raises(ValueError, match=name):
        TrainingConfig(**{name: least - 1})


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("rate", (1e-9, 2.0), (0.0, -1e-3)),
        ("beta", (0.0, 0.999), (-0.01, 1.0)),
        ("weight_decay", (0.0, 2.0), (-1e-3,)),
        ("clip", (1e-9, 99.0), (0.0,)),
        ("ema", (0.0, 0.9999), (-0.01, 1.0)),
    ],
)
def test_values_have_limits(name, allowed, refused):
    for value in allowed:
        assert getattr(TrainingConfig(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValueError, match=name):
            TrainingConfig(**{name: value})


def test_what_costs_time_is_off_unless_asked_for():
    config = TrainingConfig()
    assert (config.compile, config.gradient_checkpointing, config.shard) == (False, False, False)
    assert (config.accumulation, config.workers) == (1, -1)  # which chooses


def test_batches_have_a_largest_value():
    assert TrainingConfig(batch=1048576).batch == 1048576
    with pytest.raises(ValueError, match="batch"):
        TrainingConfig(batch=1048577)


def test_workers_are_a_number_or_chosen():
    assert TrainingConfig(workers=0).workers == 0
    with pytest.raises(ValueError, match="workers"):
        TrainingConfig(workers=-2)


@pytest.mark.parametrize(
    ("batch", "accumulation", "processes", "parts"),
    [(16, 1, 1, 1), (16, 1, 4, 1), (200, 20, 1, 20), (200, 20, 4, 5), (200, 20, 8, 5), (200, 20, 25, 1)],
)
def test_processes_share_the_parts_of_a_batch(batch, accumulation, processes, parts):
    config = TrainingConfig(batch=batch, accumulation=accumulation)
    assert config.parts(processes) == parts
    assert batch % (parts * processes) == 0
    assert batch // (parts * processes) <= batch // accumulation  # no process holds more signals than one alone


def test_a_batch_that_cannot_be_divided_is_refused_with_what_would_fit():
    with pytest.raises(ValueError, match=r"accumulation = 4 does not divide batch = 6.*to 1, 2, 3 or 6"):
        TrainingConfig(batch=6, accumulation=4)
    with pytest.raises(ConfigError, match=r"t\.batch = 10 .* among 3 .*start 1, 2, 5 or 10 processes, .* to 9 or 12"):
        TrainingConfig(batch=10).parts(3, "t")
    with pytest.raises(ConfigError, match=r"batch to 3$"):
        TrainingConfig(batch=2).parts(3)

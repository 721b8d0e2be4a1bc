"""Settings of the training of a stage: their limits."""

from __future__ import annotations

import pytest

from ddmi_core.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("name", "least"), [("steps", 1), ("batch", 1), ("accumulation", 1), ("warmup", 0), ("checkpoint", 1), ("log", 1)]
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


def test_models_are_not_compiled_unless_asked_for():
    assert TrainingConfig().compile is False

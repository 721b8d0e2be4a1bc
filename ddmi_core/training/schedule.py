"""The learning rate as a function of the step."""

from __future__ import annotations

from math import cos, pi

from ddmi_core.training.config import TrainingConfig


def rate_factor(step: int, config: TrainingConfig) -> float:
    """Share of the peak rate at a step: linear warm-up, then a cosine that ends near zero."""
    warmup = min(1.0, (step + 1) / max(1, config.warmup))
    progress = max(0.0, step - config.warmup) / max(1, config.steps - config.warmup)
    return warmup * (0.01 + 0.99 * 0.5 * (1 + cos(pi * min(1.0, progress))))

"""Settings of the latent diffusion model: their limits, and what cannot go together."""

from __future__ import annotations

import pytest

from ddmi_core.diffusion.config import DenoiserConfig, DiffusionConfig, PathConfig

COUNTS = [
    (PathConfig, "steps", 2),
    (DenoiserConfig, "width", 8),
    (DenoiserConfig, "blocks", 1),
    (DenoiserConfig, "heads", 1),
    (DenoiserConfig, "head_channels", 0),
    (DenoiserConfig, "patch", 1),
    (DiffusionConfig, "copies", 1),
]


@pytest.mark.parametrize(("kind", "name", "least"), COUNTS)
def test_counts_have_a_least_value(kind, name, least):
    assert getattr(kind(**{name: least}), name) == least
    with pytest.raises(ValueError, match=name):
        kind(**{name: least - 1})


@pytest.mark.parametrize(
    ("kind", "name", "allowed", "refused"),
    [
        (PathConfig, "beta_start", (1e-9, 0.0195), (0.0, -1e-3)),
        (PathConfig, "beta_end", (0.0015, 0.999), (0.0, 1.0)),
        (PathConfig, "shift", (1e-9, 20.0), (0.0,)),
        (DiffusionConfig, "drop_condition", (0.0, 1.0), (-0.01, 1.01)),
        (DenoiserConfig, "multipliers", ((1,), (1, 2, 4, 8)), ((), (1, 0))),
        (DenoiserConfig, "attention", ((), (1, 4)), ((8,), (3,))),
    ],
)
def test_values_have_limits(kind, name, allowed, refused):
    for value in allowed:
        assert getattr(kind(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValueError, match=name):
            kind(**{name: value})


def test_the_noise_of_a_step_must_not_decrease():
    PathConfig(beta_start=0.01, beta_end=0.01)
    with pytest.raises(ValueError, match=r"beta_start is 0\.02 and beta_end 0\.01; .*Fix: give a beta_end"):
        PathConfig(beta_start=0.02, beta_end=0.01)


def test_fresh_latents_have_no_copies():
    DiffusionConfig(latents="fresh")
    DiffusionConfig(latents="cached", copies=2)
    with pytest.raises(ValueError, match=r"copies is 2, but latents is 'fresh'.*Fix: set copies to 1"):
        DiffusionConfig(latents="fresh", copies=2)


@pytest.mark.parametrize(("channels", "width", "heads"), [(0, 64, 4), (32, 64, 2), (32, 31, 1), (32, 100, 3)])
def test_the_number_of_heads_follows_from_their_channels_if_there_are_any(channels, width, heads):
    assert DenoiserConfig(heads=4, head_channels=channels).heads_of(width) == heads

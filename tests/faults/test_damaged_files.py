"""Damaged files of runs are named by the readers, and never read as others."""

from __future__ import annotations

import random

import pytest
import torch

from soaking import damage, tiny_runs
from soaking.trials import GOOD, judged
from whole_runs import DOMAINS, run
from write_boundaries import recorded

MUTATIONS = 500
STEPS = [
    *("autoencoder.training.steps=3", "autoencoder.training.checkpoint=2", "autoencoder.training.log=1"),
    *("diffusion.training.steps=3", "diffusion.training.checkpoint=2", "diffusion.training.log=1"),
    *("sampling.count=2", "sampling.steps=1", "evaluation.samples=4", "evaluation.grid=['euler:1']"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory, registered):
    """Finished and half-finished runs of one seed, and a finished one of another."""
    folder = tmp_path_factory.mktemp("damage")
    for name, seed in (("whole", 0), ("other", 1)):
        run(DOMAINS["wave"], folder / name, *STEPS, f"seed={seed}")
    with recorded(folder / "again", folder / "states") as recorder:
        run(DOMAINS["wave"], folder / "again", *STEPS)
    half = [
        state
        for what, state in recorder.states
        if "torn" not in what and any(state.glob("denoiser/step-*")) and not (state / "denoiser" / "final").exists()
    ]
    tiny_runs.copy(half[-1], folder / "half")
    return folder


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("state", ["whole", "half"])
def test_a_damaged_file_is_named_or_read_as_it_was(state, part, places, tmp_path):
    torch.manual_seed(0)
    place, other = tiny_runs.copy(places / state, tmp_path / "run"), places / "other"
    undamaged = tiny_runs.copy(places / state, tmp_path / "undamaged")
    readers = damage.Readers(place, "wave")
    trial = damage.by_readers(readers, undamaged, other)
    faults = []
    for number in range(part * MUTATIONS, (part + 1) * MUTATIONS):
        own = tmp_path / "trial"
        own.mkdir(exist_ok=True)
        verdict = trial(random.Random(f"{state} {number}"), own)
        if verdict.outcome not in GOOD:
            faults.append(f"{number}, {verdict.how}: {verdict.outcome}: {verdict.said}")
    assert not faults, "\n".join(faults[:20])


def test_the_judge_tells_errors_tracebacks_and_silent_changes_apart():
    def fails():
        raise ValueError("no")

    assert judged(lambda: None).outcome == "ok"
    assert judged(lambda: "the step is another").outcome == "silent"
    assert judged(fails).outcome == "traceback"

"""A run that is killed at any write to its folder, and resumed, ends as an undisturbed one."""

from __future__ import annotations

import shutil

import pytest

from soaking.tiny_runs import difference, facts, leftovers
from whole_runs import DOMAINS, run
from write_boundaries import recorded

STEPS = [
    *("autoencoder.training.steps=2", "autoencoder.training.checkpoint=1", "autoencoder.training.log=1"),
    *("diffusion.training.steps=2", "diffusion.training.checkpoint=1", "diffusion.training.log=1"),
    *("sampling.count=2", "sampling.steps=1", "evaluation.samples=4", "evaluation.grid=['euler:1']"),
    *("domain.count=12", "diffusion.copies=1", "autoencoder.points=16"),
]


@pytest.fixture(scope="module")
def states(tmp_path_factory, registered):
    """A run, its facts, and the states of its folder at each write."""
    folder = tmp_path_factory.mktemp("boundaries")
    with recorded(folder / "run", folder / "states") as recorder:
        run(DOMAINS["wave"], folder / "run", *STEPS)
    return facts(folder / "run"), recorder.states


def test_the_recorder_sees_each_kind_of_write(states):
    _, kept = states
    seen = {what.split(" of ")[0] for what, _ in kept}
    assert {"before open", "before os.rename", "before os.mkdir"} <= seen
    assert any("torn" in what for what, _ in kept)
    assert len(kept) > 50


@pytest.mark.parametrize("part", range(4))
def test_a_run_killed_at_any_write_and_resumed_equals_an_undisturbed_one(part, states, tmp_path):
    expected, kept = states
    faults = []
    for number, (what, state) in enumerate(kept):
        if number % 4 != part:
            continue
        out = tmp_path / str(number) / "run"  # a process looks once for abandoned files of a folder
        shutil.copytree(state, out)
        run(DOMAINS["wave"], out, *STEPS, resume=(out / "run.toml").exists())
        if changed := difference(facts(out), expected):
            faults.append(f"{number}, {what}: differs in {changed}")
        if left := leftovers(out):
            faults.append(f"{number}, {what}: left {left}")
        shutil.rmtree(out)
    assert not faults

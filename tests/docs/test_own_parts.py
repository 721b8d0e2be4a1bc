"""The program behind the guides to own parts: it runs, and each part does what its guide says."""

from __future__ import annotations

import importlib
import math
import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
from test_docs import blocks, masked

import preloaded
from ddmi_core.testing import Subject, examine

PROGRAM = Path(__file__).parents[2] / "examples" / "own_parts.py"


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> str:
    """What the program prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("own_parts")
    command = [preloaded.python(), PROGRAM]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def program(monkeypatch):
    """The program as a module, here and in processes that are started."""
    monkeypatch.syspath_prepend(PROGRAM.parent)
    monkeypatch.setenv("PYTHONPATH", str(PROGRAM.parent))
    return importlib.import_module("own_parts")


def figures(pattern: str, text: str) -> list[float]:
    """The number that the group of a pattern finds, in each line."""
    return [float(found) for found in re.findall(pattern, text)]


@pytest.mark.slow
def test_the_encoder_takes_any_number_of_samples(printed):
    decibels = figures(r"samples, ([\d.]+) dB", printed)
    assert len(decibels) == 3
    assert min(decibels) > 20
    assert max(decibels) - min(decibels) < 1


@pytest.mark.slow
def test_the_forward_model_finds_the_wave_beneath_its_means(printed):
    measured, drawn = figures(r"curve, ([\d.]+) from the wave", printed)
    assert drawn < measured / 3
    for error in figures(r"([\d.]+) from the formula's", printed):
        assert error < 0.06


@pytest.mark.slow
def test_the_condition_changes_the_frequency(printed):
    requested, found = (figures(pattern, printed) for pattern in (r"([\d.]+) waves requested", r"([\d.]+) measured"))
    assert requested == [1.5, 2.5, 3.5]
    assert found == pytest.approx(requested, abs=0.4)
    assert "'high' is not a number of waves" in printed


@pytest.mark.slow
@pytest.mark.parametrize("part", ["encoder", "renderer", "metric", "condition"])
def test_a_guide_shows_what_the_program_prints(printed, part):
    shown = [line for kind, text in blocks(f"how-to/own-{part}.md") if kind == "output" for line in text.splitlines()]
    assert shown
    lines = {masked(line) for line in printed.splitlines()}
    assert [line for line in shown if masked(line) not in lines] == []


@pytest.mark.parametrize("size", [32, 64, 100])
def test_the_metric_is_exact_for_sines(program, size):
    waves = torch.tensor([1.0, 2.3, 4.0])
    values = torch.sin(math.pi * waves[:, None] * program.cell_centres(size) + 0.7)[:, None]
    assert program.frequency(values).tolist() == pytest.approx(waves.tolist(), abs=1e-3)


def test_the_closed_form_of_a_mean_is_that_of_many_values(program):
    t, width = torch.tensor([-0.3, 0.0, 0.55]), 0.5
    points = t[:, None] + width * program.cell_centres(4096) / 2
    means = program.wave(3, points).mean(dim=1)
    torch.testing.assert_close(program.wave(3, t, width), means, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [("ATTENTIVE", ()), ("MEASURED", ("domain.window=0.5",)), ("PITCHED", ("diffusion.condition=pitch",))],
)
def test_the_domains_keep_the_contract(program, name, settings):
    with Subject(getattr(program, name), settings=settings) as subject:
        outcomes = examine(subject)
    assert outcomes.failed == ()

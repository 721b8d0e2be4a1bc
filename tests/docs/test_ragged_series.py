"""The program behind the guide to ragged signals: what it prints, and its sampler against the formula of its wave."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest
import torch
from test_docs import blocks

from ddmi_core.parts import EncoderConfig

PROGRAM = Path(__file__).parents[2] / "examples" / "ragged_series.py"


@pytest.fixture
def program(monkeypatch):
    """The program as a module."""
    monkeypatch.syspath_prepend(PROGRAM.parent)
    return importlib.import_module("ragged_series")


def test_the_guide_shows_what_the_program_prints(program, capsys):
    program.main()
    (shown,) = (text for kind, text in blocks("how-to/ragged-signals.md") if kind == "output")
    assert capsys.readouterr().out == shown


def test_known_targets_are_the_wave_and_others_have_no_weight(program):
    """Times are known from 0 to 10, and from 14 to 30: not in the gap, and not after the end."""
    times = torch.cat([torch.linspace(0, 10, 201), torch.linspace(14, 30, 321)])
    batch = program.padded([program.row(times), program.row(torch.linspace(0, 60, 1201))])
    queries = program.GapSampler(gap=1.0).sample(batch, 2000, torch.Generator().manual_seed(0))
    seconds = (queries.coords[..., 0] + 1) / 2 * program.LONGEST
    known = queries.weights > 0
    assert torch.equal(known[0], (seconds[0] <= 10) | ((seconds[0] >= 14) & (seconds[0] <= 30)))
    assert known[1].all()
    assert queries.targets.isfinite().all()
    wave = torch.sin(math.pi * seconds / 3)
    torch.testing.assert_close(queries.targets[..., 0][known], wave[known], atol=1e-3, rtol=0)


def test_own_lengths_fill_the_axis(program):
    batch = program.padded([program.row(torch.linspace(0, end, 7)) for end in (5.0, 60.0)])
    torch.testing.assert_close(program.own_places(batch)[0], program.own_places(batch)[1])
    assert program.own_features(batch)[:, 0, 1].tolist() == pytest.approx([5 / 60, 1])
    assert program.encoder(4, EncoderConfig(widths=(8,)))(batch).mean[0].shape == (2, 4, 64)

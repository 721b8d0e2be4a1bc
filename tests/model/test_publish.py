"""Published weights: small, complete, and close to the run they come from."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console

from ddmi_core.errors import CheckpointError, OutputError
from ddmi_core.model.model import load
from ddmi_core.model.publish import publish
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve
from ddmi_core.training import checkpoint
from formula_domains import WAVE

pytestmark = pytest.mark.usefixtures("registered")
FEW = [f"{stage}.training.steps=4" for stage in ("autoencoder", "diffusion")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("publish") / "run"
    pipeline.execute(resolve(WAVE, overrides=FEW), WAVE, out, resume=False, console=Console(quiet=True))
    return out


def test_published_weights_load_and_draw_nearly_the_same(run, tmp_path):
    size = publish(run, tmp_path / "weights")
    own = sum(path.stat().st_size for path in run.rglob("weights.safetensors"))
    assert size < own
    coords = torch.linspace(-1, 1, 9)[None, :, None].expand(3, -1, -1)
    first, second = (load(place).sample(3, seed=0)(coords) for place in (run, tmp_path / "weights"))
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, atol=2e-2, rtol=2e-2)


def test_the_published_denoiser_names_the_published_autoencoder(run, tmp_path):
    publish(run, tmp_path / "weights")
    weights = checkpoint.load(tmp_path / "weights" / "autoencoder" / "final").digest("weights")
    assert weights != checkpoint.load(run / "autoencoder" / "final").digest("weights")
    assert checkpoint.load(tmp_path / "weights" / "denoiser" / "final").record["autoencoder"] == weights


def test_publishing_overwrites_nothing_and_needs_a_finished_run(run, tmp_path):
    with pytest.raises(OutputError, match="exists already"):
        publish(run, run)
    with pytest.raises(CheckpointError, match="no run folder"):
        publish(tmp_path / "nothing", tmp_path / "weights")

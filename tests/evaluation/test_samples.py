"""Samples of an evaluation: drawn once, resumed after an interruption, and reused by the figures that follow."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.evaluation import samples
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.evaluation.samples import ObservedModel, forget_parts, samples_of
from ddmi_core.model.loading import load
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.settings.config import Sampling


@pytest.fixture
def small(finished_runs, monkeypatch):
    """A trained model, and parts of two samples."""
    monkeypatch.setattr(samples, "PART", 2)
    return load(finished_runs["wave"], device="cpu")


@pytest.fixture
def run(finished_runs, tmp_path):
    """A run folder with the weights of that model."""
    for name in ("autoencoder", "denoiser", "run.toml"):
        (tmp_path / name).symlink_to(finished_runs["wave"] / name)
    return RunFolder(tmp_path)


@pytest.fixture
def drawn(monkeypatch):
    """The numbers of the samples that are drawn, batch by batch."""
    batches, denoised = [], Model.denoised

    def counted(model, noise, given, numbers, *rest):
        batches.append(list(numbers))
        return denoised(model, noise, given, numbers, *rest)

    monkeypatch.setattr(Model, "denoised", counted)
    return batches


def described(model, n, seed, run):
    with samples_of(model, [DomainFeatures(model.parts)], seed, run) as found:
        (rows,) = found.features(n)
    return rows


def test_an_interrupted_evaluation_draws_only_what_is_missing(small, run, drawn, monkeypatch):
    latents_of = Model.latents_of

    def failing(model, numbers, *rest):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        return latents_of(model, numbers, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Model, "latents_of", failing)
        with pytest.raises(KeyboardInterrupt):
            described(small, 5, 3, run)
    assert drawn == [[0, 1], [2, 3]]
    drawn.clear()
    rows = described(small, 5, 3, run)
    assert drawn == [[4]]
    torch.testing.assert_close(rows, described(small, 5, 3, None))
    assert not torch.allclose(described(small, 5, 4, run), rows)
    forget_parts(run)
    assert not run.evaluation.exists()


@pytest.mark.parametrize("kept", [True, False])
def test_later_figures_draw_no_sample_again(small, run, drawn, kept):
    expected = small.sample_latents(7, Sampling(seed=3))
    with samples_of(small, [DomainFeatures(small.parts)], 3, run if kept else None) as found:
        found.features(5)
        model = ObservedModel.of(small, found)
        drawn.clear()
        torch.testing.assert_close(model.sample_latents(4, Sampling(seed=3)), expected[:4])
        assert drawn == []
        torch.testing.assert_close(model.sample_latents(7, Sampling(seed=3)), expected)
        assert drawn == [[5, 6]]
        parts = torch.cat([part.basis[0][0] for part in model.sample_parts(5, seed=3)])
        torch.testing.assert_close(parts, small.fields(expected[:5]).basis[0][0])
        drawn.clear()
        for other in (Sampling(seed=4), Sampling(seed=3, steps=2), Sampling(seed=3, sampler="euler")):
            model.sample_latents(2, other)
        assert drawn == [[0, 1]] * 3


def test_damaged_parts_are_drawn_again(small, run, drawn):
    rows = described(small, 4, 3, run)
    for path in run.evaluation.glob("*/*.npz"):
        path.write_bytes(path.read_bytes()[:-30])
    drawn.clear()
    torch.testing.assert_close(described(small, 4, 3, run), rows)
    assert drawn == [[0, 1], [2, 3]]


def test_how_samples_are_drawn_is_known_if_it_is_the_same_for_all(small, run):
    own = small.config.sampling
    with samples_of(small, [], 3, run) as found:
        model = ObservedModel.of(small, found)
        assert model.sampling() == {}
        model.sample(1, seed=3)
        same = {"sampler": own.sampler, "steps": own.steps, "guidance": own.guidance}
        assert model.sampling() == {"seed": 3, **same}
        model.sample(1, seed=4)
        assert model.sampling() == same
        model.sample(1, seed=3, steps=own.steps + 1)
        assert model.sampling() == {}

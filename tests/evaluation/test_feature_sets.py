"""Features of sets: cached by content, and samples in parts that an interrupted evaluation goes on with."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.evaluation import feature_sets
from ddmi_core.evaluation.feature_sets import describe_samples, describe_signals, forget_parts
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.model.data import load_data
from ddmi_core.model.model import Model, load
from ddmi_core.model.run_folder import RunFolder


@pytest.fixture
def small(finished_runs, monkeypatch):
    """A trained model, and parts of two samples."""
    monkeypatch.setattr(feature_sets, "PART", 2)
    return load(finished_runs["wave"], device="cpu")


def test_an_interrupted_evaluation_draws_only_what_is_missing(small, finished_runs, tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    (tmp_path / "denoiser").symlink_to(finished_runs["wave"] / "denoiser")
    network, drawn, latents_of = DomainFeatures(small.parts), [], Model.latents_of

    def failing(model, numbers, *rest):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(list(numbers))
        return latents_of(model, numbers, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Model, "latents_of", failing)
        with pytest.raises(KeyboardInterrupt):
            describe_samples(small, [network], 5, 3, run)
        assert drawn == [[0, 1], [2, 3]]
        drawn[:] = [[]]
        (rows,) = describe_samples(small, [network], 5, 3, run)
        assert drawn == [[], [4]]
    (whole,) = describe_samples(small, [network], 5, 3, None)
    torch.testing.assert_close(rows, whole)
    (other,) = describe_samples(small, [network], 5, 4, run)
    assert not torch.allclose(other, whole)
    forget_parts(run)
    assert not run.evaluation.exists()


def test_features_of_signals_come_from_the_cache_until_their_code_changes(small, monkeypatch):
    signals, network = load_data(small.parts, "").train, DomainFeatures(small.parts)
    counts, of_signals = [], DomainFeatures.of_signals
    monkeypatch.setattr(feature_sets, "BATCH", 8)
    monkeypatch.setattr(
        DomainFeatures, "of_signals", lambda own, signal: counts.append(len(signal.values)) or of_signals(own, signal)
    )
    first = describe_signals(network, signals)
    counts.clear()
    torch.testing.assert_close(describe_signals(network, signals), first)
    assert counts == [8]  # the first signals alone, to see whether the code is the same
    monkeypatch.setattr(DomainFeatures, "of_signals", lambda own, signal: 2 * of_signals(own, signal))
    torch.testing.assert_close(describe_signals(network, signals), 2 * first)
    torch.testing.assert_close(describe_signals(network, signals, [3, 1]), 2 * first[[3, 1]])

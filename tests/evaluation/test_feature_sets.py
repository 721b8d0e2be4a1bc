"""Features of signals: cached by content and by what computes them."""

from __future__ import annotations

import torch

from ddmi_core.evaluation import feature_sets
from ddmi_core.evaluation.feature_sets import describe_signals
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.model.data import load_data
from ddmi_core.model.loading import load


def test_features_of_signals_come_from_the_cache_until_their_code_changes(finished_runs, monkeypatch):
    small = load(finished_runs["wave"], device="cpu")
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

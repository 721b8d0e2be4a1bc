"""Sets of tensors: their batches, parts and fingerprints."""

from __future__ import annotations

import pytest
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.parts import TensorSet


@frozen(eq=False)
class Cloud:
    points: Tensor
    _sizes: Tensor


def clouds(count: int = 10, **options) -> TensorSet[Cloud]:
    points = torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(0))
    return TensorSet(Cloud(points, torch.arange(count)), [f"cloud {i}" for i in range(count)], **options)


def test_a_batch_has_the_signals_at_the_indices_and_shares_no_memory():
    every = clouds()
    batch = every.batch([7, 3])
    assert batch._sizes.tolist() == [7, 3]
    assert torch.equal(batch.points, every.signals.points[[7, 3]])
    batch.points.zero_()
    assert every.batch([7]).points.any()


def test_a_part_keeps_names_labels_and_signals_together():
    part = clouds(classes=("a", "b"), labels=[i % 2 for i in range(10)]).part([9, 2])
    assert (part.names, part.classes, part.labels.tolist()) == (("cloud 9", "cloud 2"), ("a", "b"), [1, 0])
    assert part.batch([0])._sizes.tolist() == [9]


def test_a_split_has_every_signal_once():
    split = clouds(200).split(0.2)
    assert sorted([*split.train.names, *split.held_out.names]) == sorted(clouds(200).names)
    assert 20 <= len(split.held_out) <= 60


def test_the_fingerprint_depends_on_names_labels_and_values():
    base = clouds(classes=("a", "b"))
    other = clouds(classes=("a", "b"))
    other.signals.points[3, 2, 1] += 1e-3
    different = [
        base,
        other,
        clouds(classes=("a", "c")),
        clouds(classes=("a", "b"), labels=[1] * 10),
        base.part([1, 0]),
    ]
    assert len({every.fingerprint() for every in different}) == len(different)
    assert base.fingerprint() == clouds(classes=("a", "b")).fingerprint()


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match=r"Cloud\._sizes is \(3,\); a set of 2 signals"):
        TensorSet(Cloud(torch.zeros(2, 1, 3), torch.zeros(3)), ["a", "b"])
    with pytest.raises(ValueError, match="points is a int"):
        TensorSet(Cloud(3, torch.zeros(2)), ["a", "b"])
    with pytest.raises(ValueError, match="one label per signal"):
        clouds(labels=[0])

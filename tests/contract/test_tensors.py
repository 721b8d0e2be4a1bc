"""Copies of signals and artefacts with which the kit compares."""

from __future__ import annotations

import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.testing.tensors import copied, difference


@frozen
class Halved:
    """A class whose converter changes what it is given."""

    values: Tensor = field(converter=lambda values: values / 2)


def test_a_copy_is_equal_and_apart_whatever_converters_do():
    item = (Halved(torch.ones(3)),)
    made = copied(item)
    assert difference(item, made) == ""
    made[0].values.add_(1)
    assert difference(item, made) == "[0].values differs in 3 of 3 values"
    assert item[0].values.tolist() == [0.5] * 3

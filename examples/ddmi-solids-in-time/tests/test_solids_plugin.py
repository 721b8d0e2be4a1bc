"""The contract of the domain, the formulas, the metric and the pictures."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from ddmi_solids_in_time.formula import KINDS, occupancy
from ddmi_solids_in_time.parts import PIXELS, frames, iou
from ddmi_solids_in_time.plugin import SOLIDS, ddmi_domains

from ddmi_core.parts import GridSignal, StoredGrid
from ddmi_core.testing import Subject, checks

SETTINGS = ("domain.count=24", "domain.side=8", "domain.moments=4")


@pytest.fixture(scope="module")
def subject():
    with Subject(SOLIDS, settings=SETTINGS) as subject:
        yield subject


@pytest.mark.parametrize("check", checks())
def test_contract(check, subject):
    check(subject)


def test_the_hook_gives_the_domain_with_a_plane_for_each_pair_of_axes():
    assert ddmi_domains() == [SOLIDS]
    assert SOLIDS.layout.planes == tuple(combinations("xyzt", 2))


@pytest.mark.parametrize("number", range(2 * len(KINDS)))
def test_a_solid_is_one_function_at_any_size_and_moves(number):
    fine, coarse = occupancy(number, (9, 24, 24, 24)), occupancy(number, (3, 8, 8, 8))
    centres = fine[1::3, 1::3, 1::3, 1::3]
    assert ((centres > 0) == (coarse > 0)).all()
    assert 0.005 < (fine > 0).mean() < 0.3
    assert ((fine[0] > 0) != (fine[-1] > 0)).any()
    assert np.abs(fine).max() == 1


def test_iou_of_a_known_overlap():
    def boxes(start):
        values = -torch.ones(1, 1, 2, 2, 2, 8)
        values[..., start : start + 4] = 1
        return values

    class Drawn:
        def native_values(self, fields):
            return boxes(2)

    assert iou(None, GridSignal(boxes(2)), Drawn()).tolist() == [1]
    assert iou(None, GridSignal(boxes(4)), Drawn()).tolist() == pytest.approx([2 / 6])
    assert iou(None, GridSignal(-torch.ones(1, 1, 2, 2, 2, 8)), Drawn()).tolist() == [0]


def test_pictures_show_the_solid_from_the_front_with_z_upwards():
    values = -np.ones((2, 8, 8, 8, 1), dtype=np.float32)
    values[0, 6:, 2:4, :2] = 1  # at the top left in the first moment
    first, second = (
        np.asarray(frame) for frame in frames(StoredGrid(values=values, size=(2, 8, 8, 8), extent=(2.0,) * 4))
    )
    assert first.shape == (PIXELS, PIXELS)
    assert first[: PIXELS // 8, : PIXELS // 8].min() > 30
    assert first[PIXELS // 2 :].max() < 10
    assert second.max() == 0

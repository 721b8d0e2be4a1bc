"""Agreement with texts, for a model that gives what it is asked for, one that gives something else, and one without."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ddmi_core.api import Split
from ddmi_occupancy.data.furniture.building import build
from ddmi_occupancy.data.furniture.captions import captions
from ddmi_occupancy.data.furniture.parameters import furniture
from ddmi_occupancy.data.furniture.solids import inside
from ddmi_occupancy.data.sampling import Packing, point_weights
from ddmi_occupancy.data.shape_set import ShapeSet
from ddmi_occupancy.evaluation import prompt_adherence as module
from ddmi_occupancy.evaluation.prompt_adherence import prompt_adherence, prompts

PIECES = [furniture(number) for number in range(40)]
ASKED = 30


class Shape:
    """In place of a field: a piece of furniture, in two slabs of a lattice."""

    def __init__(self, piece):
        self.piece = piece

    def lattice(self, axes):
        values = torch.from_numpy(np.where(occupied(self.piece, len(axes[0])), 1.0, -1.0))[..., None]
        half = len(values) // 2
        return SimpleNamespace(slabs=lambda: iter([(0, values[:half]), (half, values[half:])]))


@cache
def occupied(piece, cells):
    centres = (2 * np.arange(cells) + 1) / cells - 1
    z, y, x = np.meshgrid(centres, centres, centres, indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    return inside(build(piece), points).reshape(cells, cells, cells)


class Draws:
    """In place of a trained model: it chooses a piece by the text, and by its number without one."""

    condition = "a condition"

    def __init__(self, choose):
        self.choose = choose

    def sample_parts(self, n, *, seed=0):
        yield self.sample(n, seed=seed)

    def sample(self, n, *, seed=0, condition=None):
        if condition is None:
            return [Shape(PIECES[(seed + 7 * i) % len(PIECES)]) for i in range(n)]
        assert n == 1
        return Shape(self.choose(condition))  # a batch of one


def grid_features_by(text):
    return next(piece for piece in PIECES if text in captions(piece))


def another(text):
    return PIECES[(PIECES.index(grid_features_by(text)) + 1) % len(PIECES)]


def split_of(pieces, texts=None):
    packing = Packing(64, 64)
    row = packing.row(np.zeros((64, 3)), np.zeros((64, 3)), np.zeros((64, 3)), lambda p: np.ones(len(p), dtype=bool))
    texts = [captions(piece) for piece in pieces] if texts is None else texts
    names = [piece.name for piece in pieces]
    rows = packing.clouds(np.stack([row] * len(pieces)))
    whole = ShapeSet(rows, point_weights(64), names, 64, captions=texts)
    return Split(train=whole, held_out=whole)


@pytest.fixture(scope="module", autouse=True)
def _fewer_prompts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PROMPTS", ASKED)
        yield


@pytest.fixture(scope="module")
def split():
    return split_of(PIECES)


@pytest.fixture(scope="module")
def right(split):
    return figures(Draws(grid_features_by), split)


@pytest.fixture(scope="module")
def wrong(split):
    return figures(Draws(another), split)


def figures(model, split):
    return {figure.name: figure for figure in prompt_adherence(model, split, 8, seed=3)}


def test_shapes_that_a_text_is_true_of_agree_with_it(right):
    overall = right["prompt_adherence"]
    assert overall.value > 0.97
    assert overall.protocol["without the text"] < overall.value - 0.2
    assert f"{overall.protocol['without the text']:.2f}" in overall.meaning


def test_other_shapes_agree_less_and_about_as_often_as_those_that_nobody_asked_for(right, wrong):
    assert wrong["prompt_adherence"].value < right["prompt_adherence"].value - 0.2
    chance = wrong["prompt_adherence"].protocol["without the text"]
    assert wrong["prompt_adherence"].value == pytest.approx(chance, abs=0.2)


def test_each_property_has_a_figure_and_they_make_up_the_whole(wrong):
    whole, *parts = wrong.values()
    assert {"prompt_adherence_legs", "prompt_adherence_back"} <= {part.name for part in parts}
    named = [part.protocol["named"] for part in parts]
    assert sum(named) == whole.protocol["named"]
    assert np.average([part.value for part in parts], weights=named) == pytest.approx(whole.value)


def test_the_protocol_says_how_many_prompts_and_of_what(right):
    protocol = right["prompt_adherence"].protocol
    assert protocol["n"] == ASKED
    assert protocol["reference"] == "captions of held-out signals"
    assert {"seed", "cells", "named", "without the text"} <= set(protocol)


def test_nothing_is_measured_without_a_condition_or_without_captions_that_can_be_measured(split):
    model = Draws(grid_features_by)
    assert prompt_adherence(model, split_of(PIECES[:3], [("a thing",)] * 3), 8, seed=0) == []
    model.condition = None
    assert prompt_adherence(model, split, 8, seed=0) == []


def test_prompts_are_different_measurable_and_in_an_order_that_depends_on_no_other(split, monkeypatch):
    found = prompts(split)
    assert len(found) == len(set(found)) == ASKED
    assert "a chair" not in found  # names nothing but the class
    assert prompts(split_of(PIECES[::-1])) == found
    monkeypatch.setattr(module, "PROMPTS", 10_000)
    every, fewer = prompts(split), prompts(split_of(PIECES[:20]))
    assert [text for text in every if text in fewer] == fewer
    assert every[:ASKED] == found
    assert np.mean([len(text) for text in found]) == pytest.approx(np.mean([len(text) for text in every]), rel=0.2)

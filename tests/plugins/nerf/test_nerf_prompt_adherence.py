"""What is measured of cars against what they are made from, and agreement of samples with texts."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from nerf_scenes import Medium, nothing

from ddmi_core.api import Split
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.cars import car
from ddmi_nerf.data.cars.car_model import features
from ddmi_nerf.data.cars.parameters import KINDS
from ddmi_nerf.data.packing import Packing
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.evaluation import car_attributes
from ddmi_nerf.evaluation import prompt_adherence as module
from ddmi_nerf.evaluation.car_attributes import Attributes, measure
from ddmi_nerf.evaluation.prompt_adherence import matches, named_attributes, prompt_adherence
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.settings import NerfSettings

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "examples" / "measured_cars.py"))
measured, true = cache(SCRIPT["measured"]), SCRIPT["true"]
MADE = [car(number) for number in range(60)]
CARS = [one for kind in KINDS for one in [one for one in MADE if one.kind == kind][:2]]
RENDERER = NerfRenderer((32, 32))
SETTINGS = NerfSettings(size=8, views=1, shown=1, held_views=0, points=16)


# One car with and one without each attribute, of a kind that can have it.
VARIED = {
    name: tuple(
        next(one for one in MADE if one.kind in kinds and bool(getattr(true(one.parameters), name)) == has)
        for has in (True, False)
    )
    for name, kinds in SCRIPT["KINDS_WITH"].items()
}


def test_measured_kinds_and_colours_of_true_cars_are_right():
    wanted = [true(one.parameters) for one in CARS[::2]]
    found = [measured(one) for one in CARS[::2]]
    for name in ("kind", "colour", "second_colour"):
        assert [getattr(one, name) for one in found] == [getattr(one, name) for one in wanted], name


@pytest.mark.parametrize("name", VARIED)
def test_fittings_and_stripes_are_found_on_cars_that_have_them_and_on_no_others(name):
    for one in VARIED[name]:
        assert getattr(measured(one), name) == getattr(true(one.parameters), name), one.name


def test_of_nothing_nothing_is_measured():
    assert measure(Scene.of(nothing, torch.ones(3))) == Attributes()


def test_all_attributes_that_captions_name_are_measured_and_true_of_their_cars():
    named = set()
    for one in MADE:
        for text in one.captions:
            assert all(matches(text, true(one.parameters)).values()), text
        assert named_attributes(one.captions[0]) == {"kind": one.kind}
        # Each phrase that follows "with" is one attribute.
        assert len(named_attributes(one.captions[-1])) == 2 + len(features(one.parameters))
        named |= set(named_attributes(one.captions[-1]))
    assert named == {field.name for field in attrs.fields(Attributes)}
    assert matches("A red van with a white cabin", Attributes("van", "white")) == {
        "kind": True,
        "colour": False,
        "second_colour": False,
    }
    assert named_attributes("a thing of red metal") == {}


class Car(Medium):
    """In place of a field: a car, whose measures are known from the test above."""

    def __init__(self, one):
        super().__init__(nothing)
        self.car = one


class Model:
    """In place of a trained model: it gives cars chosen by the text, and by their number without one."""

    condition = "a condition"
    renderer = RENDERER

    def __init__(self, choose):
        self.choose = choose

    def sample_parts(self, n, *, seed=0):
        yield self.sample(n, seed=seed)

    def sample(self, n, *, seed=0, condition=None):
        if condition is None:
            return [Car(CARS[(seed + 7 * i) % len(CARS)]) for i in range(n)]
        return Car(self.choose(condition))  # a batch of one


def grid_features_by(text):
    return next(one for one in CARS if text in one.captions)


def another(text):
    return CARS[(CARS.index(grid_features_by(text)) + 1) % len(CARS)]


@pytest.fixture(scope="module")
def split():
    packing = Packing(1, 8, 32)
    row = packing.row(
        [Camera.orbit(0, 0, 2, width=8, height=8)],
        np.zeros((1, 8, 8, 4), np.uint8),
        np.zeros((32, 3)),
        np.zeros((32, 3)),
    )
    stack = packing.stack(np.stack([row] * len(CARS)))
    captions = [one.captions for one in CARS]
    whole = ViewSet(stack, [one.name for one in CARS], SETTINGS.showing, classes=KINDS, captions=captions)
    return Split(train=whole, held_out=whole)


def figures(choose, split):
    return {figure.name: figure for figure in prompt_adherence(Model(choose), split, 8, seed=3)}


def test_cars_that_a_text_is_true_of_agree_with_it_and_others_do_not(split, monkeypatch):
    monkeypatch.setattr(module, "PROMPTS", 10)
    monkeypatch.setattr(module, "measure", lambda scene: measured(scene.radiance.car))
    right, wrong = figures(grid_features_by, split), figures(another, split)
    assert next(iter(right)) == "prompt_adherence"
    assert {"prompt_adherence_kind", "prompt_adherence_colour"} < set(right)
    assert right["prompt_adherence"].value > 0.8
    assert wrong["prompt_adherence"].value < 0.5
    protocol = right["prompt_adherence"].protocol
    assert protocol["n"] == 10
    assert protocol["without the text"] < 0.5
    assert right["prompt_adherence_kind"].protocol["named"] == 10


def test_other_data_and_models_without_a_condition_have_no_figures(split):
    held = split.held_out
    other = ViewSet(held.stack, held.names, held.showing, classes=("van",), captions=held.captions)
    assert figures(grid_features_by, Split(other, other)) == {}
    model = Model(grid_features_by)
    model.condition = None
    assert prompt_adherence(model, split, 8, seed=0) == []


def test_reference_outlines_have_every_kind():
    assert {car(car_attributes.FIRST + number).kind for number in range(car_attributes.EXAMPLES)} == set(KINDS)

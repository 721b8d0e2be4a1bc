"""A domain's own condition: from the signals through training to requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from attrs import evolve

import ddmi_core
import formula_domains
from ddmi_core.api import Condition, Domain
from ddmi_core.errors import ConfigError, PluginError, RequestError
from ddmi_core.registry.registry import unregister
from ddmi_core.settings.resolve import resolve
from variants import returning, variant
from whole_runs import run


class Speed(Condition):
    """Whether a wave is slow (0) or fast (1), or anything between."""

    length = 1

    def of(self, signals):
        return signals.labels.float()[:, None]

    def parse(self, text):
        try:
            return torch.tensor([float(text)])
        except ValueError as error:
            raise RequestError(f"condition {text!r} is not a speed; give a number from 0 to 1") from error

    def examples(self):
        return ("0", "1")


class Wrong(Speed):
    def of(self, signals):
        return torch.zeros(3, 1)


class Unfinished(Speed):
    def of(self, signals):
        vectors = super().of(signals)
        vectors[4] = float("nan")
        return vectors


CONDITIONS = {"speed": Speed, "wrong": Wrong, "unfinished": Unfinished}


@pytest.fixture(scope="module")
def conditioned() -> Iterator[Domain]:
    """The wave domain with conditions of its own."""
    domain = variant(evolve(formula_domains.WAVE, name="speedy"), conditions=returning(CONDITIONS))
    ddmi_core.register(domain)
    yield domain
    unregister("speedy")


@pytest.fixture(scope="module")
def model(conditioned, tmp_path_factory) -> ddmi_core.Model:
    folder: Path = tmp_path_factory.mktemp("conditions") / "run"
    run(conditioned, folder, "diffusion.condition=speed")
    return ddmi_core.load(folder)


def test_a_request_is_parsed_by_the_condition(model):
    asked = model.conditions(range(2), seed=0, condition="0.25")
    assert asked.tolist() == [[0.25, 1.0], [0.25, 1.0]]
    fields = model.sample(2, seed=0, condition="0.25")
    other = model.sample(2, seed=0, condition="1")
    assert (fields(torch.zeros(2, 1, 1)) - other(torch.zeros(2, 1, 1))).abs().max() > 0


def test_a_text_that_means_nothing_is_refused_in_the_conditions_words(model):
    with pytest.raises(RequestError, match="not a speed"):
        model.sample(1, condition="quick")


def test_without_a_request_conditions_of_training_are_drawn(model):
    drawn = model.conditions(range(400), seed=0, condition=None)
    share = model.vectors.mean().item()
    assert set(drawn[:, 0].tolist()) == {0.0, 1.0}
    assert drawn[:, 0].mean().item() == pytest.approx(share, abs=0.08)
    assert torch.equal(drawn[:50], model.conditions(range(50), seed=0, condition=None))


def test_classes_are_no_conditions_of_such_a_model(model):
    assert model.diffusion.classes == 0
    assert model.condition.examples() == ("0", "1")


def test_an_unknown_condition_is_refused_before_anything_is_done(conditioned):
    with pytest.raises(ConfigError, match=r"diffusion.condition.*did you mean 'speed'"):
        resolve(conditioned, overrides=["diffusion.condition=sped"])


@pytest.mark.parametrize(
    ("name", "message"), [("wrong", r"Wrong.of returns vectors of shape \(3, 1\)"), ("unfinished", "not finite")]
)
def test_vectors_that_do_not_fit_are_refused_with_their_author(conditioned, tmp_path, name, message):
    with pytest.raises(PluginError, match=message):
        run(conditioned, tmp_path / "run", f"diffusion.condition={name}", "autoencoder.training.steps=2")


def test_the_cores_own_names_are_taken():
    with pytest.raises(PluginError, match=r"conditions\(\) names 'class', which the core reserves"):
        resolve(variant(formula_domains.WAVE, conditions=returning({"class": Speed})))

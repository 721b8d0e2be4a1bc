"""A domain's own evaluations: called once with model and data, and kept with their protocol."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

import ddmi_core
import formula_domains
from ddmi_core.api import Figure
from ddmi_core.errors import DataError
from ddmi_core.evaluation import evaluate
from ddmi_core.evaluation.protocol import SEED
from ddmi_core.model.data import load_data
from ddmi_core.registry.registry import unregister
from variants import returning, variant
from whole_runs import run


def spread(model, split, count, seed):
    """How much samples differ in the middle, against held-out signals."""
    fields = model.sample(count, seed=seed)
    values = model.renderer.native_values(fields)
    real = split.held_out.batch(range(len(split.held_out))).values
    return [
        Figure("spread_samples", float(values.std()), {"samples": count, "seed": seed}, "like the next is best"),
        Figure("spread_held_out", float(real.std()), {"signals": len(real)}),
    ]


def truth(model, split, count, seed):
    """About held-out signals alone."""
    model.reconstruct(split.held_out.batch([0]))
    return [Figure("truth", 1.0, {"signals": 1})]


def fast(model, split, count, seed):
    """Draws samples twice, with options of its own."""
    for _ in range(2):
        model.sample(2, seed=seed, sampler="ddim", steps=3, guidance=1.5)
    return [Figure("fast", 1.0, {}), Figure("stated", 1.0, {"steps": "three"})]


def mixed(model, split, count, seed):
    """Draws samples in two ways."""
    model.sample(2, seed=seed, steps=2)
    model.sample(2, seed=seed, steps=3)
    return [Figure("mixed", 1.0, {"steps": [2, 3]})]


def needs(parts):
    """Stands for a file that an evaluation needs, and which is not there where there are seven signals."""
    if parts.settings.count == 7:
        raise DataError("seven: no such file")


@pytest.fixture
def domain():
    wave = evolve(formula_domains.WAVE, name="studied")
    domain = variant(
        wave, evaluations=returning({"spread": spread, "truth": truth, "fast": fast, "mixed": mixed}), preflight=needs
    )
    ddmi_core.register(domain)
    yield domain
    unregister("studied")


def test_figures_of_a_domain_are_shown_and_kept_with_their_protocol(domain, tmp_path):
    printed = run(domain, tmp_path / "run", "autoencoder.training.steps=2", "diffusion.training.steps=2")
    assert "spread_samples" in printed
    assert "like the next is best" in printed
    figures = {figure["name"]: figure for figure in json.loads((tmp_path / "run/metrics.json").read_text())["figures"]}
    protocol = figures["spread_samples"]["protocol"]
    assert protocol["samples"] == 16
    assert protocol["steps"] == 4
    assert {"data", "versions", "sampler", "seed"} <= set(protocol)
    facts = {name: figure["protocol"] for name, figure in figures.items()}
    sampling = {"sampler", "steps", "guidance"}
    assert sampling & set(facts["truth"]) == set()
    assert {"data", "versions", "signals"} <= set(facts["truth"])
    assert {key: facts["fast"][key] for key in sampling} == {"sampler": "ddim", "steps": 3, "guidance": 1.5}
    assert (facts["stated"]["sampler"], facts["stated"]["steps"]) == ("ddim", "three")
    assert facts["mixed"]["steps"] == [2, 3]
    assert "sampler" not in facts["mixed"]
    assert figures["spread_held_out"]["value"] == pytest.approx(0.7, abs=0.2)
    assert "spread_samples" in (tmp_path / "run/report.html").read_text()


def test_what_an_evaluation_lacks_is_told_before_a_run_begins(domain, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        ddmi_core.run("studied", tmp_path / "run", overrides=["domain.count=7"])
    assert not (tmp_path / "run").exists()


def test_agreement_with_texts_is_measured_with_the_networks_and_kept_with_how_samples_are_drawn(
    finished_runs, monkeypatch
):
    def score(model, networks, split, most, seed, protocol):
        assert [network.name for network in networks] == ["plain"]
        assert (len(split.held_out) > 0, most, seed) == (True, model.config.evaluation.samples, SEED)
        return [Figure("clip_score", 25.0, protocol)]

    monkeypatch.setattr(evaluate, "clip_score_figures", score)
    model = ddmi_core.load(finished_runs["wave"])
    split = load_data(model.parts, model.config.data)
    (figure,) = [found for found in evaluate.measure(model, split).figures if found.name == "clip_score"]
    assert {"data", "versions", "protocol", "sampler", "steps", "guidance", "averages"} <= set(figure.protocol)

"""The trial before training: errors of later steps are met at once, and nothing of the run depends on it."""

from __future__ import annotations

import random
from functools import cached_property, partial

import numpy as np
import pytest
import torch
from attrs import evolve

import formula_domains
from ddmi_core.api import Figure, Split
from ddmi_core.errors import ConfigError, DataError, PluginError, RequestError
from ddmi_core.model.data import check_data, load_data
from ddmi_core.parts import GridSampler, GridSignal
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.runs import pipeline, rehearsal
from ddmi_core.runs.idle_settings import reading
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.checkpoint import FINAL, load
from formula_domains import Formulas, Waves
from variants import variant
from whole_runs import run

FEW = ("autoencoder.training.steps=3", "diffusion.training.steps=3", "evaluation.samples=4")


def wave(**members):
    return variant(formula_domains.WAVE, presets=Waves.presets, **members)


def rehearsed(domain):
    config = resolve(domain)
    parts = build_parts(domain, config.domain)
    return rehearsal.rehearse(parts, config, load_data(parts, ""), None)


def test_a_sound_domain_passes_in_silence_and_random_states_stay():
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    assert rehearsed(formula_domains.WAVE) == []
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


def test_evaluations_that_use_global_random_numbers_change_nothing(tmp_path, monkeypatch):
    def drawing(model, split, count, seed):
        return [Figure("drawn", float(torch.rand(()) + np.random.rand() + random.random()), {})]

    domain = wave(evaluations=lambda self: {"drawn": drawing})
    before = torch.get_rng_state()
    run(domain, tmp_path / "with", *FEW)
    monkeypatch.setattr(pipeline, "rehearse", lambda *_: [])
    torch.set_rng_state(before)
    run(domain, tmp_path / "without", *FEW)
    for stage in ("autoencoder", "latents", "denoiser"):
        ours, theirs = (load(tmp_path / name / stage / FINAL) for name in ("with", "without"))
        for group in ("weights",) if stage != "latents" else ("latents",):
            first, second = ours.tensors(group), theirs.tensors(group)
            assert all(torch.equal(first[name], second[name]) for name in second)
    samples = [sorted((tmp_path / name / "samples").glob("*.npy")) for name in ("with", "without")]
    assert samples[0]
    assert [file.read_bytes() for file in samples[0]] == [file.read_bytes() for file in samples[1]]


def failing(*_):
    raise KeyError("palette")


def failing_late(model, split, count, seed):
    model.sample(count, seed=seed)
    return failing()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"evaluations": lambda self: {"late": failing_late}}, "the evaluation 'late' fails"),
        ({"evaluations": lambda self: {"late": lambda *_: [Figure("late", torch.ones(1), {})]}}, "is a Tensor, not"),
        ({"signal_features": failing}, "comparing field_features and signal_features fails"),
        ({"features": lambda self, values: values.flatten()}, "both must be"),
        ({"metrics": lambda self: {"own": failing}}, "the metric 'own' fails"),
        ({"exporters": lambda self: {".npy": failing}}, "the exporter '.npy' of the render fails"),
        ({"exporters": lambda self: {**Waves.exporters(self), ".csv": failing}}, "the exporter '.csv' of the render"),
        ({"picture": failing}, "picture of the render fails"),
        ({"ground_truth": failing}, "ground_truth fails"),
        ({"report_views": failing}, "report_views fails"),
        ({"decoder": failing}, "a model with initial weights fails"),
    ],
)
def test_errors_of_later_steps_are_met_before_training(tmp_path, members, told):
    with pytest.raises(PluginError, match="before training") as caught:
        run(wave(**members), tmp_path / "run", *FEW)
    assert told in str(caught.value)
    assert "ddmi plugins test wave" in str(caught.value)
    assert not (tmp_path / "run" / "autoencoder").exists()


def test_metrics_that_cannot_take_the_signals_are_told_by_the_check_of_data():
    domain = wave(metrics=lambda self: {"own": failing})
    config = resolve(domain)
    parts = build_parts(domain, config.domain)
    found = check_data(parts, config, partial(rehearsal.try_metrics, parts, config))
    assert found.error.startswith("the metric 'own' cannot take these signals, of shapes (1, ")
    sound = build_parts(formula_domains.WAVE, config.domain)
    assert check_data(sound, config, partial(rehearsal.try_metrics, sound, config)).error == ""


def test_the_place_of_an_error_is_named(tmp_path):
    with pytest.raises(PluginError, match=rf"KeyError: 'palette' \({__file__}:\d+\)"):
        rehearsed(wave(metrics=lambda self: {"own": failing}))


def test_an_error_for_the_user_is_passed_on_unchanged():
    def lacking(model, split, count, seed):
        raise RequestError("install the package 'palette'")

    with pytest.raises(RequestError, match=r"^install the package 'palette'$"):
        rehearsed(wave(evaluations=lambda self: {"lacking": lacking}))


def sources(change):
    class Changed(Formulas):
        def batch(self, indices, generator=None):
            signal = super().batch(indices, generator)
            return GridSignal(change(signal.values, list(indices)))

    def load(location, settings):
        split = formula_domains.wave_source(location, settings)
        numbers = [int(name.split()[1]) for name in split.train.names]
        return evolve(split, train=Changed(1, settings.size, numbers))

    return {"sources": lambda self: {"formulas": load}}


def damaged(values, indices):
    if 15 in indices:
        values[indices.index(15)] = float("nan")
    return values


@pytest.mark.parametrize(("train", "held_out"), [(1, 4), (4, 0)])
def test_too_few_signals_for_the_figures_are_met_before_training(tmp_path, train, held_out):
    def few(location, settings):
        return Split(
            Formulas(1, settings.size, range(train)), rehearsal.Some(Formulas(1, settings.size, range(4, 8)), held_out)
        )

    with pytest.raises(
        DataError, match=rf"{train} training signals? and {held_out} held out; a run requires at least 2"
    ):
        run(wave(sources=lambda self: {"few": few}), tmp_path / "run", *FEW)
    assert not (tmp_path / "run" / "autoencoder").exists()


def test_values_out_of_range_are_noted(tmp_path):
    told = run(wave(**sources(lambda values, indices: 3 * values)), tmp_path / "run", *FEW)
    assert "note values of the data reach from -3 to 3, and the domain's limits are -1 to 1" in told


def test_a_damaged_signal_is_named_and_not_the_learning_rate(tmp_path):
    with pytest.raises(DataError, match="signal 'wave 19' has values that are not finite") as caught:
        run(wave(**sources(damaged)), tmp_path / "run", "autoencoder.training.steps=60")
    assert "rate" not in str(caught.value)


def test_damage_among_the_first_signals_is_met_before_training(tmp_path):
    def first(values, indices):
        return values / 0 if 0 in indices else values

    with pytest.raises(DataError, match="signal 'wave 1' has values"):
        run(wave(**sources(first)), tmp_path / "run", *FEW)
    assert not (tmp_path / "run" / "autoencoder").exists()


def test_no_step_starts_after_the_limit(monkeypatch):
    monkeypatch.setattr(rehearsal, "SECONDS", -1.0)
    assert rehearsed(wave(metrics=lambda self: {"own": failing})) == []


@pytest.mark.parametrize(
    ("sets", "key", "because"),
    [
        (("autoencoder.perceptual.kind=none", "autoencoder.perceptual.weight=2"), "perceptual.weight", "kind = 'none'"),
        (("diffusion.path.beta_end=0.1",), "path.beta_end", "diffusion.path.kind = 'rectified_flow'"),
        (("diffusion.denoiser.multipliers=[1, 3]",), "multipliers", "diffusion.denoiser.kind = 'transformer'"),
        (("autoencoder.adversarial.weight=2",), "adversarial.weight", "autoencoder.adversarial.start = 0"),
        (
            ("autoencoder.adversarial.start=9", "autoencoder.training.steps=9"),
            "adversarial.start",
            "autoencoder.training.steps = 9",
        ),
        (("autoencoder.readout.planes=concatenate",), "readout.planes", "has one plane"),
        (
            ("diffusion.condition=none", "diffusion.drop_condition=0.3"),
            "drop_condition",
            "diffusion.condition = 'none'",
        ),
    ],
)
def test_a_setting_that_cannot_act_ends_a_run_before_training(sets, key, because, tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(formula_domains.WAVE, tmp_path / "run", *sets)
    assert key in caught.value.key
    assert key in str(caught.value)
    assert because in str(caught.value)
    assert not (tmp_path / "run" / "run.toml").exists()


def scattered():
    def sampler(parts):
        return GridSampler(parts.domain.layout, scattered=True)

    domain = wave(sampler=cached_property(sampler))
    domain.load().sampler.__set_name__(domain.load(), "sampler")
    return domain


def test_a_term_on_patches_is_refused_where_the_sampler_draws_none(tmp_path):
    domain = scattered()
    with pytest.raises(ConfigError, match="GridSampler, the sampler of domain 'wave', draws no patch of a grid"):
        run(domain, tmp_path / "run", "autoencoder.adversarial.start=1")


def test_a_default_term_that_cannot_act_is_noted(tmp_path):
    domain = scattered()
    told = run(domain, tmp_path / "run", *FEW)
    assert "note autoencoder.perceptual.kind = 'multiscale' does nothing, because GridSampler" in told


def test_settings_of_a_preset_that_another_setting_switches_off_are_accepted(tmp_path):
    presets = {
        **Waves.presets(),
        "strong": Waves.presets()["quick"].read_text() + "[autoencoder.perceptual]\nweight = 2\n",
    }
    domain = variant(formula_domains.WAVE, presets=classmethod(lambda cls: presets))
    run(domain, tmp_path / "run", *FEW, "autoencoder.perceptual.kind=none", preset="strong")


def test_reading_records_what_any_code_reads_and_leaves_the_classes_as_they_were():
    config = resolve(formula_domains.WAVE)
    with reading(config) as read:
        assert config.diffusion.path.shift == 1.0
    assert (type(config.diffusion.path), "shift") in read
    assert (type(config.diffusion.path), "steps") not in read
    assert "__getattribute__" not in vars(type(config.diffusion.path))

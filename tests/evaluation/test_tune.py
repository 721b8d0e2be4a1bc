"""`ddmi tune`: on models whose best options are known by a formula; what it stores, and what it makes stale."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w
import torch
from attrs import evolve
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.cli.main import app
from ddmi_core.diffusion import guidance
from ddmi_core.diffusion.latents import Normalisation
from ddmi_core.errors import CheckpointError, DataError, NotFiniteError, OutputError, RequestError
from ddmi_core.evaluation import tune as tuning
from ddmi_core.evaluation.tune import Budget, Search, reset, tune
from ddmi_core.evaluation.tuning import BETTER, COPIES, FAILED, NO_BETTER, STORED, Tuning
from ddmi_core.model.data import load_data
from ddmi_core.model.folder_lock import locked
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.model.run_results import TUNING, chain
from ddmi_core.runs.publish import publish
from ddmi_core.runs.verify import verify
from resealed import resealed
from whole_runs import DOMAINS, run

WIDTH = 4


class Latents(FeatureNetwork):
    """The first numbers of latents, which are standard normal for signals."""

    name = "latents"

    def of_fields(self, fields, renderer):
        return torch.cat([plane.flatten(1) for plane in fields], dim=1)[:, :WIDTH]

    def of_signals(self, signal):
        seeds = (signal.values.flatten(1)[:, 0] * 1e6).long().tolist()
        rows = [torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(abs(seed))) for seed in seeds]
        return torch.cat(rows)  # eight signals in place of one


def gaussian(path, mean):
    """The exact estimate for normal data with this mean and variance one."""

    def denoise(x, t):
        alpha, sigma = (value[:, None] for value in (path.alpha(t), path.sigma(t)))
        return mean + alpha * (x - alpha * mean) / (alpha**2 + sigma**2)

    return denoise


class Biased(Model):
    """Draws latents of mean 0.5, and its weak model of mean 1, so that autoguidance of scale 2 gives mean 0."""

    def denoiser(self, given, guidance_scale, auto=1.0):
        strong, weak = (gaussian(self.diffusion.path, mean) for mean in (0.5, 1.0))
        return guidance.autoguidance(strong, weak, auto)

    def decode(self, latent):
        return latent


class Copying(Biased):
    """With autoguidance, it draws training signals."""

    rows = torch.zeros(0, WIDTH)

    def denoised(self, noise, given, numbers, sampling, callback=None):
        if self.config.sampling.autoguidance == 1:
            return super().denoised(noise, given, numbers, sampling, callback)
        rows = noise.clone()
        rows[:, :WIDTH] = self.rows[[number % len(self.rows) for number in numbers]]
        return rows


class Failing(Biased):
    """Sampling fails at one scale, and is interrupted at another one."""

    def denoiser(self, given, guidance_scale, auto=1.0):
        if auto == 1.25:
            raise NotFiniteError("not finite")
        if auto == 2.5:
            raise KeyboardInterrupt
        return super().denoiser(given, guidance_scale, auto)


def of_kind(kind, model, **sampling):
    """The model with a formula in place of its denoiser."""
    own = evolve(
        model,
        config=evolve(
            model.config,
            diffusion=evolve(model.config.diffusion, training=evolve(model.config.diffusion.training, snapshot=0.5)),
            sampling=evolve(model.config.sampling, **{"steps": 16, **sampling}),
        ),
        normalisation=Normalisation(*(torch.full((), value) for value in (0.0, 1.0))),
        weak=model.diffusion,
    )
    made = object.__new__(kind)
    made.__dict__.update(own.__dict__)
    return made


@pytest.fixture(scope="module")
def wave(models):
    return models["wave"]


@pytest.fixture(scope="module")
def split(wave):
    return load_data(wave.parts, wave.config.data)


def searched(model, split, **budget):
    search = Search(model, split, Budget(**{"samples": 128, **budget}), Latents())
    search.run()
    return search.result()


def test_the_scale_that_corrects_the_bias_is_chosen(wave, split):
    found = searched(of_kind(Biased, wave), split, tries=5)
    assert found.chosen == {**found.before, "autoguidance": 2.0}
    assert [trial.verdict for trial in found.trials] == [STORED, BETTER, BETTER, BETTER, NO_BETTER, NO_BETTER]
    distances = {trial.options["autoguidance"]: trial.distance for trial in found.trials}
    assert min(distances, key=distances.get) == 2.0


def test_right_options_stay_and_useless_ones_are_not_taken(wave, split):
    found = searched(of_kind(Biased, wave, autoguidance=2.0), split, tries=9)
    assert found.chosen == found.before
    assert {trial.verdict for trial in found.trials[1:]} == {NO_BETTER}
    guided = [trial for trial in found.trials if trial.options["guidance"] != 1]
    assert len(guided) == 4
    assert all(trial.difference == (0.0, 0.0, 0.0) for trial in guided)  # equal samples from the same noise


def test_copies_of_training_signals_are_not_chosen(wave, split, monkeypatch):
    monkeypatch.setattr(Copying, "rows", Latents().of_signals(split.train.batch(range(len(split.train)))))
    found = searched(of_kind(Copying, wave), split, tries=5)
    assert found.chosen == found.before
    assert {trial.verdict for trial in found.trials[1:]} == {COPIES}
    assert all(trial.copying == 0 and trial.difference[2] < 0 for trial in found.trials[1:])


def test_options_with_which_sampling_fails_are_left(wave, split):
    found = searched(of_kind(Failing, wave), split, tries=3)
    assert [trial.verdict for trial in found.trials] == [STORED, FAILED, BETTER, BETTER]
    assert found.trials[1].distance is None
    assert "not finite" in "\n".join(found.lines())


def test_calls_are_equal_for_all_samplers(wave, split):
    found = searched(of_kind(Biased, wave), split, calls=5)
    assert found.before["steps"] == 16
    steps = {trial.options["sampler"]: trial.options["steps"] for trial in found.trials}
    assert steps == {"dpmpp_2m": 5, "unipc": 5, "heun": 3, "ddim": 5, "euler": 5, "ancestral": 5}
    assert found.chosen["steps"] in (3, 5)


def test_a_model_without_conditions_and_snapshot_has_samplers_alone(wave, split):
    config = evolve(wave.config, diffusion=evolve(wave.config.diffusion, drop_condition=0.0))
    search = Search(evolve(wave, config=config), split, Budget(samples=16))
    assert search.planned == 5
    search.run()
    assert len({trial.options["sampler"] for trial in search.trials}) == 6
    assert all(trial.options["guidance"] == trial.options["autoguidance"] == 1 for trial in search.trials)


def test_intervals_are_tried_with_a_guidance_alone(wave, split):
    found = searched(of_kind(Biased, wave), split)
    limited = [
        trial for trial in found.trials if (trial.options["guidance_from"], trial.options["guidance_to"]) != (0, 1)
    ]
    assert len(limited) >= 4
    assert all(trial.options["autoguidance"] != 1 for trial in limited)
    assert len(found.trials) - 1 == found.planned


def test_a_budget_ends_the_search_and_a_seed_repeats_it(wave, split):
    model = of_kind(Biased, wave)
    first, second = (searched(model, split, tries=2) for _ in range(2))
    assert len(first.trials) == 3
    assert first.planned == 2
    assert [(t.options, t.distance, t.difference) for t in first.trials] == [
        (t.options, t.distance, t.difference) for t in second.trials
    ]
    assert first.trials[0].distance != searched(model, split, tries=1, seed=1).trials[0].distance
    none = searched(model, split, minutes=1e-9)
    assert (len(none.trials), none.ended, none.chosen) == (1, "minutes=1e-09", none.before)


@pytest.mark.parametrize(
    "budget", [{"samples": 15}, {"samples": 1025}, {"tries": 0}, {"minutes": 0.0}, {"calls": 0}, {"calls": 10**9}]
)
def test_budgets_out_of_range_are_refused(budget):
    with pytest.raises(RequestError, match=next(iter(budget))):
        Budget(**budget)


def test_data_without_held_out_signals_are_refused(wave, split):
    with pytest.raises(DataError, match="one held-out signal; the data have 20 and 0"):
        Search(wave, evolve(split, held_out=()), Budget())


@pytest.fixture
def place(finished_runs, tmp_path):
    """A copy of a finished run, without a snapshot."""
    return Path(shutil.copytree(finished_runs["wave"], tmp_path / "wave"))


@pytest.fixture
def poor(place):
    """The run with a sampler that is far worse than others with as many calls, for a formula; see `of_formula`."""
    table = tomllib.loads((place / "run.toml").read_text())
    table["sampling"] |= {"sampler": "ancestral", "steps": 5}
    (place / "run.toml").write_text(resealed(tomli_w.dumps(table)))
    return place


@pytest.fixture
def of_formula(monkeypatch, split):
    """`ddmi tune` finds normal data in every run, with the settings of the run."""

    class Normal(Biased):
        def denoiser(self, given, guidance_scale, auto=1.0):
            return gaussian(self.diffusion.path, 0.0)

    def load(folder, plugin, networks):
        model = ddmi_core.load(folder.path, device="cpu")
        made = of_kind(Normal, model, steps=model.config.sampling.steps)
        made.__dict__["weak"] = None
        return made, split

    monkeypatch.setattr(tuning, "load_checked", load)
    monkeypatch.setattr(tuning, "feature_networks", lambda model: [Latents()])
    return Normal


def states(place):
    return {one.name: one.state for one in chain(RunFolder(place))}


def options(place):
    return tomllib.loads((place / "run.toml").read_text())["sampling"]


def test_the_choice_is_stored_and_makes_results_stale_until_it_is_reset(poor, of_formula):
    before = options(poor)
    found = tune(poor, samples=128)
    assert found.chosen["sampler"] not in ("ancestral", "")
    assert options(poor) == {**before, **found.chosen}
    assert ddmi_core.load(poor).config.sampling.sampler == found.chosen["sampler"]
    assert Tuning.load(poor / "tuning.json").trials == found.trials
    again = states(poor)
    assert (again["autoencoder"], again["denoiser"], again[TUNING]) == ("up to date",) * 3
    assert (again["samples"], again["figures"], again["report"]) == ("stale",) * 3
    tune(poor, samples=32, tries=1, calls=2)
    assert options(poor)["steps"] == 2
    assert reset(poor) == {name: before[name] for name in found.before}
    assert options(poor) == before
    assert not (poor / "tuning.json").exists()
    assert TUNING not in states(poor)
    with pytest.raises(RequestError, match="nothing to reset"):
        reset(poor)


def test_results_are_up_to_date_again_after_a_reset(place, of_formula):
    first = (place / "run.toml").read_text()
    tune(place, samples=16, calls=3, tries=1)
    assert states(place)["figures"] == "stale"
    reset(place)
    assert set(states(place).values()) == {"up to date"}
    assert tomllib.loads((place / "run.toml").read_text()) == tomllib.loads(first)


def test_a_tuning_without_a_better_choice_changes_no_settings(place):
    first = (place / "run.toml").read_bytes()
    found = tune(place, samples=16, tries=1)
    assert found.chosen == found.before
    assert (place / "run.toml").read_bytes() == first
    assert set(states(place).values()) == {"up to date"}
    assert found.lines()[-1].endswith("as before")


def test_a_resumed_run_keeps_the_choice_and_makes_its_results(place, of_formula):
    tune(place, samples=16, calls=3, tries=1)
    printed = run(DOMAINS["wave"], place, "sampling.steps=7", resume=True)
    assert "ignored settings: sampling.steps" in printed
    assert set(states(place).values()) == {"up to date"}
    figures = json.loads((place / "metrics.json").read_text())["figures"]
    assert {figure["protocol"]["steps"] for figure in figures if "sampler" in figure["protocol"]} == {3}
    page = (place / "report.html").read_text()
    assert "unipc, 3 steps; chosen by ddmi tune, before: unipc, 4 steps" in page


def test_published_weights_have_the_choice_and_its_figures(place, of_formula, tmp_path):
    found = tune(place, samples=16, calls=3, tries=1)
    (place / "metrics.json").unlink()
    publish(place, tmp_path / "weights")
    assert ddmi_core.load(tmp_path / "weights").config.sampling.steps == 3
    assert Tuning.load(tmp_path / "weights" / "tuning.json").trials == found.trials
    assert states(tmp_path / "weights")[TUNING] == "up to date"
    assert "3 steps; chosen by ddmi tune" in (tmp_path / "weights" / "README.md").read_text()
    reset(tmp_path / "weights")
    assert ddmi_core.load(tmp_path / "weights").config.sampling.steps == 4


def test_a_damaged_record_is_told_and_disturbs_no_loading(place, of_formula):
    tune(place, samples=16, calls=3, tries=1)
    text = (place / "tuning.json").read_text()
    (place / "tuning.json").write_text(text.replace("unipc", "unipd"))
    with pytest.raises(CheckpointError, match=r"tuning.json is damaged.*Fix: write it again with ddmi tune"):
        Tuning.load(place / "tuning.json")
    assert states(place)[TUNING] == "damaged"
    assert any(one.name == "tuning.json" and "ddmi tune" in one.damage for one in verify(place))
    assert ddmi_core.load(place).config.sampling.steps == 3


def test_an_interrupted_tuning_stores_what_it_found(poor, of_formula, monkeypatch):
    class Stopped(Search):
        def _try(self, options):
            if any(trial.verdict == BETTER for trial in self.trials):
                raise KeyboardInterrupt
            super()._try(options)

    monkeypatch.setattr(tuning, "Search", Stopped)
    result = CliRunner().invoke(app, ["tune", str(poor), "-n", "128"])
    assert result.exit_code == 130
    assert "what was found so far is stored" in result.output
    found = Tuning.load(poor / "tuning.json")
    assert (found.ended, found.trials[-1].verdict) == ("interrupted", BETTER)
    assert options(poor)["sampler"] == found.chosen["sampler"] == found.trials[-1].options["sampler"] != "ancestral"


def test_the_command_prints_a_table_or_json_and_resets(poor, of_formula):
    done = CliRunner().invoke(app, ["tune", str(poor), "-n", "128"])
    assert done.exit_code == 0, done.output
    assert "ancestral, 5 steps" in done.output
    assert f"ddmi tune {poor} --reset" in done.output
    done = CliRunner().invoke(app, ["tune", str(poor), "-n", "16", "--tries", "1", "--json"])
    assert len(json.loads(done.stdout)["trials"]) == 2
    done = CliRunner().invoke(app, ["tune", str(poor), "--reset"])
    assert done.stdout == "reset: ancestral, 5 steps\n"


def test_a_folder_in_use_or_without_a_run_is_refused(place, of_formula, tmp_path):
    with locked(place), pytest.raises(OutputError, match="is in use"):
        tune(place, samples=16, tries=1)
    done = CliRunner().invoke(app, ["tune", str(tmp_path / "nothing")])
    assert (done.exit_code, "no run folder" in done.output) == (2, True)

"""Previews of a stage in training: when they are drawn, what they leave behind, and that training does not notice."""

from __future__ import annotations

import hashlib
import itertools
import random

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image

from ddmi_core.model import latent_cache
from ddmi_core.model.build import build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.report.report import build_report
from ddmi_core.runs import previews
from ddmi_core.runs.previews import FIRST, KEPT, SHARE, Previews, Reconstructions, Samples
from ddmi_core.runs.rehearsal import Some
from ddmi_core.steps import AUTOENCODER, DENOISER
from ddmi_core.training import checkpoint
from ddmi_core.training.log import Log
from whole_runs import DOMAINS, run

FEW = [f"{stage}.training.{key}" for stage in ("autoencoder", "diffusion") for key in ("steps=4", "log=1", "ema=0.5")]
SHEET = {"row": [Image.new("RGB", (8, 8), "red")]}


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def previewed(tmp_path, clock, interval=100.0, seconds=0.0, fails=False):
    """Previews that take some seconds each; with the steps of those drawn, and the notes."""
    drawn, notes = [], []

    def draw(weights):
        clock.now += seconds
        torch.rand(1), np.random.rand(), random.random()
        if fails:
            raise ValueError("no such colour")
        return SHEET

    folder = RunFolder(tmp_path)
    made = Previews(folder, DENOISER, interval, draw, lambda path: drawn.append(path), notes.append, clock)
    return made, folder, drawn, notes


def steps_at(made, clock, times):
    """One step at each of the times."""
    for step, now in enumerate(times, 1):
        clock.now = max(clock.now, now)
        made(step, {})


def test_the_first_picture_comes_after_a_minute_and_others_after_the_interval(tmp_path, clock):
    made, folder, _, _ = previewed(tmp_path, clock)
    steps_at(made, clock, range(0, 400, 10))
    assert [10 * (step - 1) for step in folder.previews_of(DENOISER)] == [FIRST, FIRST + 100, FIRST + 200, FIRST + 300]


def test_a_short_interval_holds_for_the_first_picture_too_and_0_draws_none(tmp_path, clock):
    made, folder, _, _ = previewed(tmp_path / "a", clock, interval=5.0)
    steps_at(made, clock, range(0, 12))
    assert [step - 1 for step in folder.previews_of(DENOISER)] == [5, 10]
    made, folder, _, _ = previewed(tmp_path / "b", clock, interval=0.0)
    steps_at(made, clock, range(0, 4000, 100))
    assert not folder.path.exists()


def test_drawing_takes_a_small_share_of_the_time(tmp_path, clock):
    made, _, drawn, _ = previewed(tmp_path, clock, seconds=30.0)
    steps_at(made, clock, range(0, 30_000, 10))
    assert 0 < 30.0 * (len(drawn) - 1) <= SHARE * 30_000


def test_few_pictures_stay_from_the_first_to_the_last_evenly(tmp_path, clock):
    made, folder, drawn, _ = previewed(tmp_path, clock, interval=1.0)
    steps_at(made, clock, range(1000))
    steps = list(folder.previews_of(DENOISER))
    assert len(drawn) == 999
    assert len(steps) == KEPT
    assert (steps[0], steps[-1]) == (2, 1000)
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert max(gaps) <= 3 * min(gaps)


def test_pictures_of_steps_that_are_done_again_are_removed_and_other_files_are_left(tmp_path, clock):
    folder = RunFolder(tmp_path)
    folder.previews.mkdir()
    others = [
        "notes.txt",
        "denoiser-5.png",
        "denoiser-00000009.png.jpg",
        "denoiser-last.png",
        "autoencoder-00000007.png",
    ]
    for name in (*others, "denoiser-00000003.png", "denoiser-00000007.png"):
        (folder.previews / name).write_text("")
    made, _, _, _ = previewed(tmp_path, clock)
    made(5, {})
    assert list(folder.previews_of(DENOISER)) == [3]
    assert {path.name for path in folder.previews.iterdir()} == {*others, "denoiser-00000003.png"}


def test_one_that_fails_is_told_once_and_random_states_stay(tmp_path, clock):
    made, folder, drawn, notes = previewed(tmp_path, clock, interval=5.0, fails=True)
    states = torch.random.get_rng_state(), random.getstate(), str(np.random.get_state())
    steps_at(made, clock, range(0, 100))
    assert notes == ["no more previews of stage 'denoiser': ValueError: no such colour"]
    assert drawn == []
    assert not list(folder.previews.glob("*"))
    assert torch.equal(states[0], torch.random.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path, clock):
    made, folder, _, notes = previewed(tmp_path, clock, interval=5.0)
    folder.previews.write_text("mine")
    steps_at(made, clock, range(0, 100))
    assert len(notes) == 1
    assert folder.previews.read_text() == "mine"


def results(place):
    """Digests of the weights of both stages and of the samples, and the losses."""
    files = [*place.glob("*/final/*.safetensors"), *place.glob("samples/*")]
    assert len(files) > 6
    digests = {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return digests, [(record["stage"], record["step"], record["loss"]) for record in Log(place / "log.jsonl").records()]


@pytest.fixture
def often(monkeypatch):
    """Settings for a picture after each step but the first."""
    monkeypatch.setattr(previews, "SHARE", 1e9)
    return "previews=1e-6"


def test_training_is_the_same_to_the_bit_with_and_without_previews(often, formula_domain, tmp_path, registered):
    run(formula_domain, tmp_path / "without", "previews=0", *FEW)
    text = run(formula_domain, tmp_path / "with", often, *FEW)
    assert results(tmp_path / "with") == results(tmp_path / "without")
    assert "preview" not in text
    folder = RunFolder(tmp_path / "with")
    for stage in (AUTOENCODER, DENOISER):
        pictures = [path.read_bytes() for path in folder.previews_of(stage).values()]
        assert list(folder.previews_of(stage)) == [2, 3, 4]
        assert len(set(pictures)) == 3
    page = folder.report.read_text()
    assert all(f'alt="{stage} after {step} steps"' in page for stage in (AUTOENCODER, DENOISER) for step in (2, 3, 4))
    assert not (tmp_path / "without" / "previews").exists()
    assert "steps" not in (tmp_path / "without" / "report.html").read_text().partition("during the training")[2]

    (folder.previews / "denoiser-00000003.png").write_text("no picture")
    (folder.previews / "mine.txt").write_text("notes")
    build_report(folder.path)
    page = folder.report.read_text()
    assert "denoiser after 2 steps" in page
    assert "denoiser after 3 steps" not in page
    (folder.path / "metrics.json").unlink()
    run(formula_domain, folder.path, resume=True)
    assert (folder.previews / "mine.txt").read_text() == "notes"


def test_a_failing_preview_leaves_the_training_as_it_is(often, tmp_path, registered, monkeypatch):
    run(DOMAINS["wave"], tmp_path / "without", "previews=0", *FEW)

    def fails(*given):
        raise RuntimeError("out of ink")

    monkeypatch.setattr(previews, "draw_sheet", fails)
    text = run(DOMAINS["wave"], tmp_path / "with", often, *FEW)
    assert results(tmp_path / "with") == results(tmp_path / "without")
    assert text.count("RuntimeError: out of ink") == 2


def test_pictures_show_reconstructions_and_samples_by_the_given_weights(formula_domain, finished_run, model):
    split = load_data(model.parts, "")
    rows = Reconstructions(model.parts, model.config, split)(model.autoencoder.state_dict())
    assert list(rows) == ["held out", "reconstruction"]
    assert_shows(rows["reconstruction"][0], model, model.reconstruct(split.held_out.batch([0])))
    bare = evolve(split, held_out=Some(split.held_out, 0))
    assert list(Reconstructions(model.parts, model.config, bare)(model.autoencoder.state_dict())) == [
        "training",
        "reconstruction",
    ]

    weights = checkpoint.load(finished_run / "autoencoder" / "final").digest("weights")
    encoded = latent_cache.load(finished_run / "latents", split.fingerprint(), weights)

    def build():
        return build_diffusion(model.domain, model.config, encoded.shape, len(encoded.classes))

    draw = Samples(model.parts, model.config, model.autoencoder, encoded, build)
    rows = draw(model.diffusion.state_dict())
    stills = [still for row in rows.values() for still in row]
    assert len(stills) == 12
    fields = model.sample(12, seed=model.config.seed)
    for number in (0, 11):
        assert_shows(stills[number], model, fields[number])


def assert_shows(still, model, field):
    known = model.parts.still(model.render(field))
    np.testing.assert_allclose(np.asarray(still, int), np.asarray(known, int), atol=1)

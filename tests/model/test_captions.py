"""Texts from captions through training to requests: samples are what they are asked to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from attrs import evolve
from torch import nn
from typer.testing import CliRunner

import ddmi_core
import formula_domains
from ddmi_core.api import Domain, Split
from ddmi_core.cli.main import app
from ddmi_core.conditions import sentences
from ddmi_core.errors import CheckpointError, ConfigError, DataError, RequestError
from ddmi_core.model import latent_cache
from ddmi_core.registry.registry import unregister
from ddmi_core.settings.config import Sampling
from ddmi_core.steps import AUTOENCODER
from ddmi_core.viewer.params import SampleRequest
from ddmi_core.viewer.session import Session
from text_networks import Embedded, saved
from variants import returning, variant
from whole_runs import run

CAPTIONS = (("a slow wave", "slow and calm"), ("a fast wave", "fast and hasty", "a wave that is fast"))
TRAINED = (
    "diffusion.condition=words",
    "autoencoder.training.steps=200",
    "diffusion.training.steps=200",
    'evaluation.grid=["heun:2"]',
)


class Described(formula_domains.Formulas):
    """Waves that are said to be slow or fast."""

    def __init__(self, size: int, numbers: list[int]) -> None:
        super().__init__(1, size, numbers)
        self.captions = [CAPTIONS[label] for label in self.labels.tolist()]


def described(location: Path | None, settings: formula_domains.WaveSettings) -> Split:
    train, held = [n for n in range(settings.count) if n % 6], range(0, settings.count, 6)
    return Split(Described(settings.size, train), Described(settings.size, list(held)))


@pytest.fixture(scope="module")
def domain() -> Iterator[Domain]:
    """The wave domain with captions and conditions of text."""
    wave = evolve(formula_domains.WAVE, name="told")
    domain = variant(wave, sources=returning({"described": described, "formulas": formula_domains.wave_source}))
    ddmi_core.register(domain)
    yield domain
    unregister("told")


@pytest.fixture(scope="module")
def trained(domain, tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("text") / "run"
    run(domain, folder, *TRAINED)
    return folder


@pytest.fixture(scope="module")
def model(trained) -> ddmi_core.Model:
    return ddmi_core.load(trained)


def steepness(model, text: str) -> float:
    """Mean square of the differences between neighbours; four times as large where a wave is twice as fast."""
    grids = model.renderer.native_values(model.sample(32, seed=0, condition=text, steps=8))
    return grids.diff(dim=-1).square().mean().item()


def test_samples_are_as_slow_or_fast_as_they_are_asked_to_be(model):
    slow = [steepness(model, text) for text in CAPTIONS[0]]
    fast = [steepness(model, text) for text in CAPTIONS[1]]
    assert min(fast) > 2 * max(slow)


def test_a_text_that_no_caption_says_is_followed_by_its_words(model):
    assert steepness(model, "very fast") > 2 * steepness(model, "very slow")


def test_every_caption_of_a_signal_is_kept_with_its_latents(trained, model):
    kept = latent_cache.load(trained / "latents", *_digests(trained)).vectors
    assert kept.shape == (20, 3, 256)
    slow, fast = (torch.stack([model.condition.parse(text) for text in texts]) for texts in CAPTIONS)
    assert torch.equal(kept[1], slow[[0, 1, 0]])
    assert torch.equal(kept[0], fast)


def _digests(trained: Path) -> tuple[str, str]:
    record = latent_cache.checkpoint.load(trained / "latents" / "final").record
    return record["fingerprint"], record[AUTOENCODER]


def test_the_command_takes_a_text(trained, tmp_path):
    out = tmp_path / "drawn"
    command = ["sample", str(trained), "-n", "2", "--condition", "a fast wave", "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert len(list(out.glob("*.npy"))) == 2
    listed = CliRunner().invoke(app, ["conditions", str(trained)])
    assert "a fast wave\n" in listed.output
    assert "words: " in listed.output


def test_a_request_without_words_is_refused(model):
    with pytest.raises(RequestError, match="has no words"):
        model.sample(1, condition="  ")


@pytest.mark.parametrize("name", ["words", "text"])
def test_what_a_condition_lacks_is_told_before_anything_is_trained(domain, tmp_path, monkeypatch, name):
    monkeypatch.setattr(sentences, "find_spec", lambda name: None)
    error, message = (DataError, "require captions") if name == "words" else (RequestError, r"ddmi\[text\]")
    with pytest.raises(error, match=message):
        run(domain, tmp_path / "run", f"diffusion.condition={name}", "data=formulas")
    assert not any((tmp_path / "run").rglob("*.safetensors"))
    run(domain, tmp_path / "run", "autoencoder.training.steps=2", "diffusion.training.steps=2")  # the folder is free


@pytest.mark.slow
def test_samples_follow_a_sentence_encoder_to_words_that_no_caption_has(domain, tmp_path):
    pytest.importorskip(sentences.PACKAGE)
    run(domain, tmp_path / "run", *TRAINED, "diffusion.condition=text")
    model = ddmi_core.load(tmp_path / "run")
    assert steepness(model, "a quick wave") > 2 * steepness(model, "a sluggish wave")


def test_samples_follow_words_as_tokens_from_the_command_and_from_the_page(domain, tmp_path):
    run(domain, tmp_path / "run", *TRAINED, "diffusion.condition=word-tokens")
    model = ddmi_core.load(tmp_path / "run")
    assert steepness(model, "a fast wave") > 2 * steepness(model, "a slow wave")
    with pytest.raises(RequestError, match="has no words"):
        model.sample(1, condition="")
    out = tmp_path / "drawn"
    command = ["sample", str(tmp_path / "run"), "-n", "2", "--condition", "a fast wave", "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert len(list(out.glob("*.npy"))) == 2
    page = Session(model, "told")
    assert page.about()["condition"]["kind"] == "text"
    names = page.sample(
        SampleRequest(n=2, sampling=Sampling(seed=0, steps=2, condition="a slow wave")), lambda *_: None
    )
    assert len(names) == 2


def test_a_text_network_is_given_by_its_path_and_must_stay_the_same(domain, tmp_path, monkeypatch):
    place = saved(tmp_path / "own.pt", Embedded())
    monkeypatch.chdir(tmp_path)
    steps = ("autoencoder.training.steps=2", "diffusion.training.steps=2", 'evaluation.grid=["heun:2"]')
    run(domain, tmp_path / "run", "diffusion.condition=own.pt", *steps)
    monkeypatch.undo()
    model = ddmi_core.load(tmp_path / "run")
    assert model.config.diffusion.condition == str(place)
    assert latent_cache.lengths_of(model.vectors) == (0, 5)
    asked = model.conditions(range(1), seed=0, condition="a slow wave")
    assert asked.shape == (1, 3, 6)
    saved(place, nn.Sequential(Embedded()))
    with pytest.raises(CheckpointError, match=r"own.pt is not the text network that this model was trained with"):
        ddmi_core.load(tmp_path / "run").sample(1, condition="a slow wave")
    place.unlink()
    again = ddmi_core.load(tmp_path / "run")
    assert torch.equal(
        again.conditions(range(9), seed=0, condition=None), model.conditions(range(9), seed=0, condition=None)
    )
    with pytest.raises(DataError, match=r"own.pt: there is no such file.*Fix: put it there"):
        again.sample(1, condition="a slow wave")
    with pytest.raises(ConfigError, match=r"diffusion.condition.*there is no text network .*own.pt"):
        run(domain, tmp_path / "other", f"diffusion.condition={place}")

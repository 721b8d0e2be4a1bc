"""A domain's condition as token sequences: from the signals through the latent cache and training to requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from attrs import evolve

import ddmi_core
import formula_domains
from ddmi_core.api import Condition, Domain, TokenSequences
from ddmi_core.errors import PluginError, RequestError
from ddmi_core.model import latent_cache
from ddmi_core.registry.registry import unregister
from ddmi_core.settings.config import Sampling
from ddmi_core.steps import AUTOENCODER
from ddmi_core.training import checkpoint
from variants import returning, variant
from whole_runs import run


class Spelled(Condition):
    """The class of a wave as a word of several tokens, with three spellings of "fast"."""

    length, token_length = 0, 4
    words = (("slow",) * 3, ("f", "fa", "fast"))

    def of(self, signals):
        spelled = [word for words in self.words for word in words]
        rows = torch.tensor([[3 * label + k for k in range(3)] for label in signals.labels.tolist()])
        return TokenSequences.listed([self.tokens(word) for word in spelled], rows)

    def tokens(self, word):
        return torch.tensor([[ord(letter) / 100 - 1, 1.0, 0.5, place / 4] for place, letter in enumerate(word)])

    def parse(self, text):
        if not text.isalpha():
            raise RequestError(f"condition {text!r} is not a word")
        return TokenSequences.listed([self.tokens(text)])


class Longer(Spelled):
    length = 2

    def of(self, signals):
        return evolve(super().of(signals), vectors=torch.randn(6, 2))


class Forgotten(Spelled):
    def of(self, signals):
        return super().of(signals)[:3]


class Endless(Spelled):
    def tokens(self, word):
        return super().tokens(word) * 1e6


class Flat(Spelled):
    def of(self, signals):
        return torch.zeros(len(signals), 4)


CONDITIONS = {"spelled": Spelled, "longer": Longer, "forgotten": Forgotten, "endless": Endless, "flat": Flat}
SHORT = ("autoencoder.training.steps=2", "diffusion.training.steps=2", 'evaluation.grid=["heun:2"]')


@pytest.fixture(scope="module")
def spelled() -> Iterator[Domain]:
    """The wave domain with conditions of its own."""
    domain = variant(evolve(formula_domains.WAVE, name="spelled"), conditions=returning(CONDITIONS))
    ddmi_core.register(domain)
    yield domain
    unregister("spelled")


@pytest.fixture(scope="module")
def folder(spelled, tmp_path_factory) -> Path:
    place: Path = tmp_path_factory.mktemp("tokens") / "run"
    run(spelled, place, "diffusion.condition=spelled", "diffusion.copies=2", "diffusion.training.steps=60")
    return place


@pytest.fixture(scope="module")
def model(folder) -> ddmi_core.Model:
    return ddmi_core.load(folder)


def test_a_request_is_a_sequence_and_changes_samples(model):
    asked = model.conditions(range(2), seed=0, condition="fast")
    assert asked.shape == (2, 4, 5)
    assert asked[..., -1].eq(1).all()
    torch.testing.assert_close(asked[0, :, :4], Spelled().tokens("fast"), atol=1e-3, rtol=1e-3)
    drawn = [model.sample_latents(2, Sampling(seed=0, condition=text)) for text in ("fast", "slow")]
    assert (drawn[0] - drawn[1]).abs().max() > 1e-3


def test_a_sample_does_not_depend_on_others_or_their_lengths(model):
    together, alone = (model.sample_latents(n, Sampling(seed=3)) for n in (5, 1))
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


def test_without_a_request_sequences_of_training_are_drawn(model):
    drawn = model.conditions(range(300), seed=0, condition=None)
    assert set(drawn[..., -1].sum(dim=1).tolist()) == {1.0, 2.0, 4.0}
    assert torch.equal(drawn[:20], model.conditions(range(20), seed=0, condition=None)[:, : drawn.shape[1]])


def test_completions_take_a_request_or_none(model):
    seen = model.observations(model.parts.sources()["formulas"](None, model.settings).train.batch([0]), 8)
    free, asked, other = (
        model.complete(seen, 1, seed=0, steps=3, condition=text)(torch.linspace(-1, 1, 9).view(1, 9, 1))
        for text in (None, "fast", "slow")
    )
    assert (asked - other).abs().max() > 1e-5
    assert (asked - free).abs().max() > 1e-5


def test_the_cache_holds_each_sequence_once_and_the_model_what_it_needs(folder):
    cached = checkpoint.load(folder / "latents" / "final").tensors("latents")
    assert cached["values"].dtype == torch.float16
    assert cached["values"].shape == (3 * 4 + 1 + 2 + 4, 4)
    assert cached["rows"].shape == (20, 3)
    kept = latent_cache.stored_vectors(checkpoint.load(folder / "denoiser" / "final").tensors("condition"))
    assert isinstance(kept, TokenSequences)
    assert kept.lengths == (0, 4)
    assert len(kept) == cached["rows"].numel()


def test_a_run_is_resumed_with_the_sequences_of_its_cache(folder):
    record = checkpoint.load(folder / "latents" / "final").record
    loaded = latent_cache.load(folder / "latents", record["fingerprint"], record[AUTOENCODER])
    stored = checkpoint.load(folder / "latents" / "final").tensors("latents")
    assert isinstance(loaded.vectors, TokenSequences)
    given = latent_cache.group_of(loaded.vectors)
    assert all(torch.equal(given[name], stored[name]) for name in ("values", "counts", "vectors", "rows"))


def test_a_condition_whose_lengths_have_changed_is_refused(model, monkeypatch):
    monkeypatch.setattr(Spelled, "parse", lambda self, text: TokenSequences.listed([torch.ones(2, 3)]))
    with pytest.raises(PluginError, match=r"lengths \(0, 3\); this model was trained with \(0, 4\)"):
        model.conditions([0], seed=0, condition="fast")


def test_a_vector_beside_the_tokens_is_trained_and_stored(spelled, tmp_path):
    run(spelled, tmp_path / "run", "diffusion.condition=longer", *SHORT)
    model = ddmi_core.load(tmp_path / "run")
    assert model.conditions(range(2), seed=0, condition=None).shape[2] == 5
    assert latent_cache.lengths_of(model.vectors) == (2, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forgotten", r"Forgotten.of returns sequences of 3 signals .* expected 20 and \(0, 4\)"),
        ("endless", "Endless.of returns numbers that are not finite in half precision"),
        ("flat", r"Flat.of returns vectors of shape \(20, 4\); expected TokenSequences"),
    ],
)
def test_sequences_that_do_not_fit_are_refused_with_their_author(spelled, tmp_path, name, message):
    with pytest.raises(PluginError, match=message):
        run(spelled, tmp_path / "run", f"diffusion.condition={name}", *SHORT)

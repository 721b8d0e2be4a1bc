"""Texts as token sequences: words in their order, limits with a warning, and networks of the user."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from ddmi_core.conditions import text_network
from ddmi_core.conditions.sentences import PACKAGE, HashedWords, TokenEncoder
from ddmi_core.conditions.text import TextTokens, network_tokens
from ddmi_core.errors import CaptionsMissing, DataError, DdmiWarning, RequestError
from ddmi_core.parts import text_tokens, word_condition, word_tokens
from text_networks import Embedded, captioned, saved


class Short(TokenEncoder):
    """One token for each letter, at most four, and no vector."""

    name, length, token_length, limit = "short", 0, 2, 4

    def read(self, texts):
        return [torch.tensor([[float(ord(c)), 1.0] for c in text[:4]]) for text in texts], torch.zeros(len(texts), 0)

    def count(self, text):
        return len(text)


def parts_of(given, signal=0):
    """The tokens of each sequence of a signal."""
    parts = given.values.float().split(given.counts.tolist())
    return [parts[row] for row in given.rows[signal].tolist()]


def test_each_word_is_a_token_and_the_vector_of_the_whole_is_beside_them():
    given = word_tokens().parse("a fast wave")
    assert given.counts.tolist() == [3]
    assert given.lengths == (256, 256)
    torch.testing.assert_close(given.vectors[0], word_condition().parse("a fast wave"))
    assert given.values.float().square().mean(dim=1).tolist() == pytest.approx([1, 1, 1], rel=1e-2)


def test_a_word_is_like_itself_elsewhere_and_the_order_counts():
    (red, chair), (turned_chair, turned_red) = (HashedWords().read([t])[0][0] for t in ("red chair", "chair red"))
    assert 0.8 < (red @ turned_red).item() < 1
    assert 0.8 < (chair @ turned_chair).item() < 1
    assert abs((red @ chair).item()) < 0.3


def test_captions_share_sequences_and_signals_with_fewer_repeat_theirs():
    given = TextTokens(Short()).of(captioned(("a", "bb"), ("bb",), ("ccc", "a")))
    assert given.counts.tolist() == [1, 2, 3]
    assert given.rows.tolist() == [[0, 1], [1, 1], [2, 0]]


def test_a_request_has_the_sequence_of_an_equal_caption():
    condition = word_tokens()
    asked, told = condition.parse("a fast wave"), condition.of(captioned(("slow",), ("a fast wave",)))
    assert torch.equal(parts_of(asked)[0], parts_of(told, 1)[0])


def test_many_captions_are_read_in_parts_and_stay_in_their_order(monkeypatch):
    monkeypatch.setattr("ddmi_core.conditions.text.CHUNK", 3)
    texts = [f"{chr(97 + number)}" * (1 + number % 3) for number in range(10)]
    given = TextTokens(Short()).of(captioned(*((text,) for text in texts)))
    assert given.counts.tolist() == [len(text) for text in texts]


def test_text_after_the_limit_is_ignored_with_a_warning():
    condition = TextTokens(Short())
    with pytest.warns(DdmiWarning, match=r"1 text of 2, such as 'abcdef'..., exceed the 4 tokens that short reads"):
        long = condition.of(captioned(("abcdef",), ("abcd",)))
    assert torch.equal(parts_of(long, 0)[0], parts_of(long, 1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        condition.parse("abcd")
        assert word_tokens().parse("word " * 256).counts.tolist() == [256]
    with pytest.warns(DdmiWarning, match="1 text of 1, .* exceed the 256 tokens that hashed words reads"):
        assert word_tokens().parse("word " * 300).counts.tolist() == [256]


@pytest.mark.parametrize("text", ["", "  ", "?!"])
def test_a_request_without_words_is_refused(text):
    with pytest.raises(RequestError, match="has no words; describe what to generate"):
        word_tokens().parse(text)


def test_data_without_captions_are_refused():
    with pytest.raises(CaptionsMissing, match="0 for 1 signals"):
        word_tokens().of(captioned())


def test_the_sentence_encoder_gives_contextual_tokens_whatever_the_other_texts_are():
    pytest.importorskip(PACKAGE)
    condition = text_tokens()
    alone, told = condition.parse("a red chair"), condition.of(captioned(("a red chair",), ("a " + "very " * 30,)))
    assert alone.counts.tolist() == [5]
    assert alone.lengths == (384, 384)
    torch.testing.assert_close(parts_of(alone)[0], parts_of(told)[0], atol=2e-2, rtol=1e-2)
    turned = parts_of(condition.parse("a chair red"))[0]
    assert (turned[[0, 1, 3, 2, 4]] - parts_of(alone)[0]).abs().mean() > 0.1
    with pytest.warns(DdmiWarning, match="256 tokens that all-MiniLM-L6-v2 reads"):
        assert condition.parse("word " * 300).counts.tolist() == [256]


# Networks of the user


def test_a_network_reads_ids_and_padding_has_no_influence(tmp_path):
    path = saved(tmp_path / "own.pt", Embedded())
    condition = network_tokens(path)
    assert (condition.encoder.name, condition.length, condition.token_length) == ("own", 0, 5)
    given = condition.of(captioned(("a fast wave",), ("slow",), ("a wave",)))
    assert given.counts.tolist() == [3, 1, 2]
    assert torch.equal(parts_of(given)[0], parts_of(condition.parse("a fast wave"))[0])
    padded = network_tokens(saved(tmp_path / "padded.pt", Embedded(), pad=7))
    other = padded.of(captioned(("a fast wave",), ("slow",), ("a wave",)))
    assert other.counts.tolist() == [3, 1, 2]
    assert torch.equal(other.values, given.values)


def test_vectors_of_a_network_are_beside_its_tokens(tmp_path):
    condition = network_tokens(saved(tmp_path / "own.pt", Embedded(pooled=True)))
    assert condition.length == 5
    vector = condition.parse("a fast wave").vectors[0]
    assert vector.square().mean().item() == pytest.approx(1, rel=1e-4)


def test_the_tokenizers_truncation_is_the_limit(tmp_path):
    condition = network_tokens(saved(tmp_path / "own.pt", Embedded(), most=2))
    with pytest.warns(DdmiWarning, match="exceed the 2 tokens that own reads"):
        assert condition.parse("a fast wave").counts.tolist() == [2]


class Wrong(nn.Module):
    def forward(self, ids):
        return ids.float()


class Failing(nn.Module):
    def forward(self, ids):
        return torch.zeros(2, 3) @ ids.float()


@pytest.mark.parametrize(
    ("network", "message"),
    [(Wrong(), r"must map ids \(1, 1\) to tokens \(B, T, F\).*it returns \(1, 1\)"), (Failing(), "it fails: ")],
)
def test_a_network_that_does_something_else_is_refused(tmp_path, network, message):
    with pytest.raises(DataError, match=message):
        network_tokens(saved(tmp_path / "own.pt", network))


def test_a_file_that_is_no_network_is_refused_with_the_fix(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"missing.pt: there is no such file.*Fix: put it there, or change"):
        network_tokens(tmp_path / "missing.pt")
    (tmp_path / "words.pt").write_text("no network")
    with pytest.raises(DataError, match=r"words.pt: not a TorchScript file"):
        network_tokens(tmp_path / "words.pt")
    torch.jit.save(torch.jit.script(Embedded()), str(tmp_path / "bare.pt"))
    with pytest.raises(DataError, match=r"no usable tokenizer.*_extra_files=\{'tokenizer.json'"):
        network_tokens(tmp_path / "bare.pt")
    monkeypatch.setattr(text_network, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"require the package tokenizers. Fix: pip install"):
        network_tokens(Path(tmp_path / "bare.pt"))

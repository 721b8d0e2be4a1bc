"""Token sequences: no padding is stored, equal sequences are stored once, and wrong shapes are refused."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.api import TokenSequences


def numbered(*counts: int) -> list[torch.Tensor]:
    """Sequences whose tokens hold the number of their sequence and their place in it."""
    return [
        torch.tensor([[float(number), float(place)] for place in range(count)]) for number, count in enumerate(counts)
    ]


def tokens_of(given: TokenSequences, signal: int) -> list[list[list[float]]]:
    """The tokens of each sequence of a signal."""
    parts = given.values.split(given.counts.tolist())
    return [parts[row].tolist() for row in given.rows[signal].tolist()]


def test_no_padding_is_stored():
    tokens, mask = torch.ones(2, 2, 9, 5), torch.zeros(2, 2, 9, dtype=torch.bool)
    mask[..., 0] = True
    mask[1, 1, 3:6] = True
    tokens[1, 1, 3:6] = 7
    given = TokenSequences.padded(tokens, mask, torch.arange(8.0).view(2, 2, 2))
    assert given.values.shape == (7, 5)
    assert given.counts.tolist() == [1, 1, 1, 4]
    assert given.rows.tolist() == [[0, 1], [2, 3]]
    assert given.vectors.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert tokens_of(given, 1)[1] == [[1.0] * 5, *[[7.0] * 5] * 3]
    assert given.lengths == (2, 5)


def test_signals_share_sequences_and_are_chosen_by_number():
    given = TokenSequences.listed(numbered(1, 3, 2), torch.tensor([[0, 1], [2, 2], [1, 0]]))
    assert len(given) == 3
    repeated = given[torch.tensor([2, 0, 2])]
    assert len(repeated) == 3
    assert repeated.values is given.values
    assert tokens_of(repeated, 0) == tokens_of(given, 2) == [[[1, 0], [1, 1], [1, 2]], [[0, 0]]]
    assert tokens_of(given[:1], 0) == tokens_of(given, 0)


def test_a_subset_holds_what_it_refers_to_and_nothing_else():
    given = TokenSequences.listed(numbered(1, 3, 2, 4), vectors=torch.eye(4))
    part = given.subset(torch.tensor([3, 1, 3]))
    assert part.counts.tolist() == [3, 4]
    assert part.vectors.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert [tokens_of(part, signal) for signal in range(3)] == [tokens_of(given, signal) for signal in (3, 1, 3)]


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([], "with T of at least 1"),
        ([torch.zeros(0, 2)], r"with T of at least 1; their shapes are \[\(0, 2\)\]"),
        ([torch.zeros(2)], r"\[\(2,\)\]"),
        ([torch.zeros(1, 2), torch.zeros(1, 3)], r"one length F; these have \[2, 3\]"),
    ],
)
def test_what_is_no_sequence_is_refused(sequences, message):
    with pytest.raises(ValueError, match=message):
        TokenSequences.listed(sequences)


def test_a_mask_must_fit_and_leave_a_token():
    with pytest.raises(ValueError, match="do not fit"):
        TokenSequences.padded(torch.zeros(2, 3, 4), torch.ones(2, 4))
    with pytest.raises(ValueError, match="at least 1"):
        TokenSequences.padded(torch.zeros(2, 3, 4), torch.tensor([[1, 0, 0], [0, 0, 0]]))

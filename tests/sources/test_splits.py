"""Splits depend on the keys alone, keep equal keys together, and leave something on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmi_core.sources.splits import choose, held_out, stable_share

KEYS = st.lists(st.text("abc", max_size=3), max_size=30)
SHARES = st.floats(0.01, 0.99)


def test_shares_are_the_same_on_every_machine_and_evenly_spread():
    for key, digest in (("", 0xE3B0C44298FC1C14), ("abc", 0xBA7816BF8F01CFEA)):  # of FIPS 180-4's examples
        assert stable_share(key) == digest / 2**64
    shares = sorted(stable_share(f"key {number}") for number in range(4000))
    assert all(abs(share - (rank + 0.5) / 4000) < 0.03 for rank, share in enumerate(shares))


@given(keys=KEYS, share=SHARES)
def test_every_index_is_on_one_side_in_order_and_equal_keys_on_the_same(keys, share):
    train, held = held_out(keys, share)
    assert sorted([*train, *held]) == list(range(len(keys)))
    assert train == sorted(train)
    assert held == sorted(held)
    assert not {keys[i] for i in train} & {keys[i] for i in held}


@given(keys=KEYS, share=SHARES)
def test_both_sides_have_something_where_there_are_two_keys(keys, share):
    train, held = held_out(keys, share)
    assert bool(train) == bool(keys)
    assert bool(held) == (len(set(keys)) > 1)


@given(keys=KEYS, share=SHARES)
def test_the_hash_of_a_key_decides_its_side_whatever_else_is_there_unless_a_side_would_be_empty(keys, share):
    below = {key for key in keys if stable_share(key) < share}
    held = {keys[i] for i in held_out(keys, share)[1]}
    if below and below != set(keys):
        assert held == below
    elif len(set(keys)) > 1:
        assert len(held ^ below) == 1  # one key is moved


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_large_sets_have_the_share(share):
    _, held = held_out([str(number) for number in range(4000)], share)
    assert len(held) / 4000 == pytest.approx(share, abs=0.02)


def test_a_limit_takes_the_same_names_whatever_their_order_and_more_when_it_grows():
    names = [str(number) for number in range(50)]
    few, more = choose(names, 10), choose(names, 20)
    assert len(few) == 10
    assert few == sorted(few)
    assert set(few) < set(more)
    turned = names[::-1]
    assert {turned[i] for i in choose(turned, 10)} == {names[i] for i in few}
    assert choose(names, 0) == choose(names, 50) == choose(names, 99) == list(range(50))

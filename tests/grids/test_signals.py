"""Sets on grids: batches, augmentation and fingerprints depend on the signals alone, not on how they are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddmi_core.nested import move
from ddmi_core.parts import GridSet, GridSignal

NAMES = ("a", "b", "c", "d", "e", "f")


def levels(count=6, dtype=np.uint8):
    """Two levels; every value of a signal is its number, the finer level 100 more."""
    numbers = np.arange(count).reshape(-1, 1, 1).astype(dtype)
    return [np.broadcast_to(numbers + add, (count, 2, size)).copy() for add, size in ((0, 4), (100, 8))]


def add_to_each(levels, indices, generator):
    """An augmentation that shows which index of the set it was told."""
    return tuple(level + indices.view(-1, 1, 1).to(level.dtype) * 10 for level in levels)


def numbers(signal):
    return ((signal.values[:, 0, 0] + 1) * 127.5).round().int().tolist()


def source():
    return torch.Generator().manual_seed(0)


def test_a_batch_has_the_wanted_signals_at_all_levels():
    signal = GridSet(levels(), NAMES).batch([4, 1, 1])
    assert numbers(signal) == [4, 1, 1]
    assert signal.values.dtype == torch.float32
    assert signal.levels()[0] is signal.values
    assert signal.finer[0].dtype == torch.uint8
    assert signal.finer[0][:, 1, 7].tolist() == [104, 101, 101]


def test_rows_say_where_signals_are_kept():
    assert numbers(GridSet(levels(), ("x", "y"), rows=[5, 2]).batch([0, 1])) == [5, 2]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_values_as_they_are(dtype):
    values = np.array([[[-1, 0.25, 0.5]]], dtype=dtype)
    signal = GridSet([values], ["a"]).batch([0])
    assert signal.values.dtype == torch.float32
    assert signal.values.tolist() == values.tolist()


def test_whole_numbers_of_16_bits_are_values():
    kept = np.array([[[-32767, 0, 32767, 1]]], dtype=np.int16)
    signal = GridSet([kept, kept], ["a"]).batch([0])
    torch.testing.assert_close(signal.values, torch.tensor([[[-1, 0, 1, 1 / 32767]]]))
    assert signal.finer[0].dtype == torch.int16


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="int64 are not supported"):
        GridSet([np.zeros((1, 1, 4), np.int64)], ["a"]).batch([0])


def test_signals_are_augmented_only_with_a_generator_and_something_to_augment_with():
    plain, augmented = GridSet(levels(), NAMES), GridSet(levels(), NAMES, augment=add_to_each)
    assert numbers(plain.batch([3, 2], source())) == [3, 2]
    assert numbers(augmented.batch([3, 2])) == [3, 2]
    signal = augmented.batch([3, 2], source())
    assert numbers(signal) == [33, 22]
    assert signal.finer[0][:, 0, 0].tolist() == [133, 122]


def test_augmenting_in_place_leaves_the_set_as_it_is():
    def blank(levels, indices, generator):
        for level in levels:
            level.zero_()
        return levels

    subject = GridSet(levels(), NAMES, augment=blank)
    before = subject.fingerprint()
    assert numbers(subject.batch([5], source())) == [0]
    assert numbers(subject.batch([5])) == [5]
    assert GridSet(subject.grids, NAMES).fingerprint() == before


def test_a_part_has_its_signals_names_and_labels_and_tells_the_augmentation_the_indices_of_the_whole():
    whole = GridSet(levels(), NAMES, classes=("p", "q"), labels=[0, 1, 0, 1, 0, 1], augment=add_to_each)
    part = whole.part([5, 3, 0])
    assert part.names == ("f", "d", "a")
    assert part.classes == ("p", "q")
    assert part.labels.tolist() == [1, 1, 0]
    assert part.grids[0] is whole.grids[0]
    assert numbers(part.batch([2, 0], source())) == [0, 55]
    assert numbers(part.part([1]).batch([0], source())) == [33]


def test_a_part_keeps_the_captions_of_its_signals():
    captions = [(f"signal {name}", f"the {name}") for name in NAMES]
    whole = GridSet(levels(), NAMES, captions=captions)
    assert whole.captions == tuple(captions)
    assert whole.part([5, 0]).part([1, 0]).captions == (captions[0], captions[5])
    split = whole.split(0.5)
    assert {c for part in (split.train, split.held_out) for c in part.captions} == set(captions)
    assert GridSet(levels(), NAMES).part([1]).captions == ()


def test_captions_do_not_change_the_fingerprint():
    assert GridSet(levels(), NAMES, captions=[["a"]] * 6).fingerprint() == GridSet(levels(), NAMES).fingerprint()


def test_a_part_of_nothing_is_empty():
    part = GridSet(levels(), NAMES).part([])
    assert len(part) == 0
    assert part.batch([]).values.shape == (0, 2, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_fingerprint_does_not_depend_on_how_the_signals_are_kept(dtype, tmp_path):
    first, second = levels(dtype=dtype)
    expected = GridSet([first, second], NAMES).fingerprint()
    turned = GridSet([first[::-1].copy(), second[::-1].copy()], NAMES, rows=[5, 4, 3, 2, 1, 0])
    more = GridSet([np.concatenate([level, level + 1]) for level in (first, second)], NAMES, rows=range(6))
    np.save(tmp_path / "a.npy", second)
    mapped = GridSet([first, np.load(tmp_path / "a.npy", mmap_mode="r")], NAMES)
    strided = GridSet([np.repeat(first, 2, axis=-1)[..., ::2], second], NAMES)
    assert {s.fingerprint() for s in (turned, more, mapped, strided)} == {expected}


def test_a_fingerprint_does_not_depend_on_the_kind_of_names_or_the_augmentation():
    plain = GridSet(levels(), NAMES, classes=("p",))
    other = GridSet(levels(), np.array(NAMES), classes=np.array(["p"]), augment=add_to_each)
    assert other.names == NAMES
    assert other.fingerprint() == plain.fingerprint()


def changed(which):
    first, second = levels()
    if which == "value":
        second[3, 1, 7] += 1
    if which == "shape":
        first = first.reshape(6, 4, 2)
    if which == "type":
        first = first.astype(np.int16)
    if which == "levels":
        return GridSet([first], NAMES)
    names = ("a", "b", "c", "d", "e", "g") if which == "name" else NAMES
    labels = [0, 0, 0, 0, 0, 1] if which == "label" else [0] * 6
    rows = [0, 1, 2, 3, 5, 4] if which == "order" else None
    return GridSet([first, second], names, rows, ("p", "r" if which == "class" else "q"), labels)


def test_a_fingerprint_tells_every_change_of_the_contents():
    kinds = ("none", "value", "shape", "type", "levels", "name", "label", "class", "order")
    assert len({changed(kind).fingerprint() for kind in kinds}) == len(kinds)
    assert changed("none").fingerprint() == changed("none").fingerprint()


def test_a_split_keeps_equal_keys_together_and_loses_nothing():
    count = 40
    names = [str(number) for number in range(count)]
    whole = GridSet(levels(count), names, augment=add_to_each)
    split = whole.split(0.3, [str(number // 4) for number in range(count)])
    train, held = ({int(name) for name in part.names} for part in (split.train, split.held_out))
    assert train | held == set(range(count))
    assert not {number // 4 for number in train} & {number // 4 for number in held}
    for part in (split.train, split.held_out):
        assert numbers(part.batch(range(len(part)))) == [int(name) for name in part.names]


def test_a_split_is_by_name_unless_keys_are_given():
    whole = GridSet(levels(), NAMES)
    by_name, by_key = whole.split(0.5), whole.split(0.5, NAMES)
    assert by_name.held_out.names == by_key.held_out.names


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match="2 names, 6 rows, 2 labels"):
        GridSet(levels(), ("a", "b"), rows=range(6))
    with pytest.raises(ValueError, match="6 names, 6 rows, 1 labels"):
        GridSet(levels(), NAMES, labels=[1])
    with pytest.raises(ValueError, match="captions for all signals or none; got 1 of 6"):
        GridSet(levels(), NAMES, captions=[["a"]])
    with pytest.raises(ValueError, match="row 6 is out of range; the levels hold 6, 6 signals"):
        GridSet(levels(), ("a", "b"), rows=[1, 6])
    with pytest.raises(ValueError, match="row -1 is out of range"):
        GridSet(levels(), ("a", "b"), rows=[0, -1])
    with pytest.raises(ValueError, match="row 3 is out of range; the levels hold 6, 3"):
        GridSet([levels()[0], levels(3)[1]], NAMES)


def test_signals_move_with_all_their_levels():
    moved = move(GridSignal(torch.zeros(1, 1, 4), (torch.zeros(1, 1, 8),)), torch.device("meta"))
    assert [level.device.type for level in moved.levels()] == ["meta", "meta"]

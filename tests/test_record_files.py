"""Records: what was written, or an error of one kind, for any damage of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from attrs import field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st

from ddmi_core import record_files
from ddmi_core.record_files import DamagedRecord

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.text(max_size=8).filter(lambda key: key != record_files.CHECKSUM), VALUES, max_size=5)


@frozen
class Part:
    name: str
    size: int = field(validator=validators.ge(0))


@frozen
class Whole:
    parts: tuple[Part, ...]
    ratio: float
    ends: tuple[float, float] | None = None
    more: Mapping[str, Part] = {}
    sure: bool = False


GOOD = {"parts": [{"name": "a", "size": 1}], "ratio": 2, "ends": [0, 1.5], "more": {"b": {"name": "b", "size": 0}}}


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(values):
    found = record_files.parsed(record_files.to_json(values))
    record_files.check(found)
    assert {key: value for key, value in found.items() if key != record_files.CHECKSUM} == values


@pytest.mark.parametrize(
    "text", ['{"a": {"b": 1, "c": 2, "b": 1}}', '{"d": 3, "a": 1, "d": 3}', '[{"a": 1}, {"a": 1, "a": 1}]']
)
def test_a_member_that_comes_twice_is_refused(text):
    with pytest.raises(DamagedRecord, match=r"the member '[abd]' comes 2 times"):
        record_files.parsed(text)


def test_the_order_of_members_does_not_matter():
    given = record_files.sealed({"a": {"b": 1, "c": 2}, "d": 3})
    record_files.check(record_files.parsed(json.dumps({**dict(reversed(given.items())), "a": {"c": 2, "b": 1}})))


@given(RECORDS.filter(bool), st.data())
def test_any_flipped_bit_is_refused_or_changes_nothing(values, data):
    text = bytearray(record_files.to_json(values).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = record_files.parsed(bytes(text))
        record_files.check(found)
    except DamagedRecord:
        return
    assert found == record_files.sealed(values)


def test_a_record_without_its_checksum_is_refused():
    text = record_files.to_json({"a": 1})
    for damaged in (text.replace("checksum", "checksuM"), '{"a": 1}'):
        with pytest.raises(DamagedRecord, match="it has no checksum"):
            record_files.check(record_files.parsed(damaged))


@given(RECORDS, st.data())
def test_any_cut_is_refused(values, data):
    text = record_files.to_json(values)
    cut = text[: data.draw(st.integers(0, len(text) - 2))]
    with pytest.raises(DamagedRecord):
        record_files.check(record_files.parsed(cut))


@given(st.sampled_from(["parts", "ratio", "ends", "more", "sure", "other"]), VALUES)
def test_any_value_of_a_member_is_structured_or_refused(name, value):
    changed = GOOD | {name: value}
    try:
        found = record_files.structured(changed, Whole)
    except DamagedRecord:
        return
    for part in (*found.parts, *found.more.values()):
        assert type(part.name) is str
        assert type(part.size) is int
        assert 0 <= part.size < 2**63
    assert type(found.ratio) is float
    assert type(found.sure) is bool


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ratio": "high"}, "ratio: expected a value of type float, found 'high'"),
        ({"ratio": None}, "ratio: expected a value of type float"),
        ({"ratio": True}, "ratio: expected a value of type float, found True"),
        ({"parts": {"a": 1}}, "parts: expected a list"),
        ({"parts": [{"name": "a"}]}, "it lacks 'size'"),
        ({"parts": [{"name": "a", "size": -3}]}, "'size' must be >= 0"),
        ({"parts": [{"name": "a", "size": 10**30}]}, "expected a value of type int"),
        ({"ends": [1]}, "expected a list of 2 values, found 1"),
    ],
)
def test_the_fault_names_the_member_and_what_it_takes(changes, words):
    with pytest.raises(DamagedRecord) as caught:
        record_files.structured(GOOD | changes, Whole)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff", "not text in UTF-8"),
        (b"[" * 10**6, "nested too deeply"),
        (b'{"a":' * 10**5, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[1]", "a list where an object"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_record_is_refused(text, words):
    with pytest.raises(DamagedRecord, match=words):
        record_files.parsed(text)


def test_large_files_are_not_read(tmp_path):
    (tmp_path / "a").write_text(record_files.to_json({"a": "b" * 100}))
    with pytest.raises(DamagedRecord, match="more than"):
        record_files.read(tmp_path / "a", most=50)
    assert record_files.read(tmp_path / "a")["a"] == "b" * 100

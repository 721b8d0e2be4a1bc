"""Decoded files: the same rows in memory and from the cache, which is made once, keyed by all that matters."""

from __future__ import annotations

import shutil
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest
from attrs import evolve

from ddmi_core.errors import DataError
from ddmi_core.sources import array_cache as kept
from ddmi_core.sources import decoding as decoded
from ddmi_core.sources.account import Change, accounting, data_warning
from ddmi_core.sources.decoding import Decoded, Decoding, damaged, decode_files
from ddmi_core.sources.files import find_files
from ddmi_core.sources.lazy_rows import LazyRows


class Reader:
    """Reads numbers, and counts how often."""

    def __init__(self):
        self.count = 0

    def __call__(self, entry):
        self.count += 1
        with entry.opened() as file:
            text = file.read().decode()
        if text == "bad":
            raise DataError(f"{entry.name}: bad")
        return np.full(100, int(text), dtype=np.int16)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for number in range(5):
        (tmp_path / "set" / f"{number}.txt").write_text("bad" if number == 3 else str(-number))
    return tmp_path / "set"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that everything is too large not to go into."""
    monkeypatch.setattr(decoded, "IN_MEMORY", 999)
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "cache")
    return tmp_path / "cache" / "decoded"


def decode(folder, how):
    return decode_files(folder, find_files(folder, (".txt",), "numbers"), how)


def how(reader=None):
    return Decoding(100, np.dtype(np.int16), reader or Reader(), ("test", 1))


def test_rows_are_files_in_order_and_problems_are_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "cache")
    rows, problems = decode(folder, how())
    assert rows.dtype == np.int16
    assert rows[[0, 1, 2, 4]].tolist() == [[-n] * 100 for n in (0, 1, 2, 4)]
    assert problems == {"3.txt": "3.txt: bad"}
    assert not (tmp_path / "cache").exists()


def test_the_limit_counts_bytes_and_not_values(folder, cache, monkeypatch):
    monkeypatch.setattr(decoded, "IN_MEMORY", 1000)  # 5 rows of 100 values of two bytes
    assert not isinstance(decode(folder, how())[0], np.memmap)
    monkeypatch.setattr(decoded, "IN_MEMORY", 999)
    assert isinstance(decode(folder, how())[0], np.memmap)


def test_data_of_some_size_are_cached_if_there_is_room(folder, cache, monkeypatch):
    monkeypatch.setattr(decoded, "IN_MEMORY", 10_000)
    monkeypatch.setattr(decoded, "SMALL", 999)
    reader = Reader()
    rows = [decode(folder, how(reader))[0] for _ in range(2)]
    assert reader.count == 5
    assert isinstance(rows[0], np.memmap)
    shutil.rmtree(cache)
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda place: SimpleNamespace(free=3999))
    again = decode(folder, how(reader))[0]
    assert reader.count == 10
    assert not isinstance(again, np.memmap)
    np.testing.assert_array_equal(again, rows[0])


def test_changes_and_copies_are_known_without_decoding_again(folder, cache):
    (folder / "4.txt").write_text("-1")

    def halved(entry):
        return Decoded(Reader()(entry), (Change("halved", 0.5),))

    accounts = []
    for _ in range(2):
        with accounting() as account:
            decode(folder, how(halved))
        accounts.append(account)
    first, second = accounts
    assert first == second
    assert first.changes["2.txt"] == (Change("halved", 0.5),)
    assert first.warnings[0].names == ("4.txt = 1.txt",)


def test_beyond_the_limit_the_same_rows_are_mapped_and_decoded_once(folder, cache, monkeypatch):
    reader = Reader()
    mapped, problems = decode(folder, how(reader))
    assert isinstance(mapped, np.memmap)
    again, problems_again = decode(folder, how(reader))
    assert reader.count == 5
    monkeypatch.undo()
    plain, plain_problems = decode(folder, how())
    assert np.array_equal(mapped, plain)
    assert np.array_equal(again, plain)
    assert problems == problems_again == plain_problems


@pytest.mark.parametrize(
    "change",
    [{"key": ("other", 1)}, {"key": ("test", 2)}, {"dtype": np.dtype(np.int32)}],
    ids=["domain", "setting", "type"],
)
def test_another_way_of_decoding_is_decoded_anew(folder, cache, change):
    decode(folder, how())
    reader = Reader()
    decode(folder, evolve(how(reader), **change))
    assert reader.count == 5


def test_a_changed_file_is_decoded_anew(folder, cache):
    decode(folder, how())
    (folder / "2.txt").write_text("17")
    assert decode(folder, how())[0][2].tolist() == [17] * 100


@pytest.fixture
def full(cache, monkeypatch):
    """A cache without room for decoded files."""
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda place: SimpleNamespace(free=3999))
    monkeypatch.setattr(decoded, "SMALL", 999)
    return cache


def lazily(reader=None):
    return evolve(how(reader), repeatable=True)


def test_data_beyond_memory_and_cache_are_decoded_at_each_reading(folder, full):
    reader = Reader()
    with accounting() as account:
        rows, problems = decode(folder, lazily(reader))
    (warning,) = account.warnings
    assert str(full) in warning.text
    assert "XDG_CACHE_HOME" in warning.fix
    assert isinstance(rows, LazyRows)
    assert (rows.shape, rows.dtype, len(rows)) == ((5, 100), np.int16, 5)
    assert problems == {"3.txt": "3.txt: bad"}
    assert reader.count == 5
    assert rows[[4, 0]].tolist() == [[-4] * 100, [0] * 100]
    assert reader.count == 7
    again, same = decode(folder, lazily(reader))
    assert (reader.count, same) == (7, problems)  # what the first reading of all files found is in the cache
    assert again[2].tolist() == [-2] * 100
    (folder / "2.txt").unlink()
    with pytest.raises(DataError, match=r"2\.txt: cannot be read"):
        again[1:3]


def test_reading_that_cannot_be_repeated_goes_to_the_cache_all_the_same(folder, full):
    assert isinstance(decode(folder, how())[0], np.memmap)


def test_data_in_the_cache_are_used_whatever_room_is_left(folder, cache, monkeypatch):
    monkeypatch.setattr(decoded, "SMALL", 999)
    decode(folder, lazily())
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    reader = Reader()
    assert isinstance(decode(folder, lazily(reader))[0], np.memmap)
    assert reader.count == 0


def test_threads_read_in_order_and_warn_in_the_account_that_is_open(folder, monkeypatch):
    monkeypatch.setattr(decoded, "cores", lambda: 4)
    monkeypatch.setattr(decoded, "AHEAD", 2)
    together = Barrier(2, timeout=10)

    def waiting(entry):
        if entry.name in ("0.txt", "1.txt"):
            together.wait()
        data_warning("read", [entry.name])
        return Reader()(entry)

    with accounting() as account:
        rows, problems = decode(folder, lazily(waiting))
    assert rows[:, 0].tolist() == [0, -1, -2, 0, -4]
    assert list(problems) == ["3.txt"]
    assert sorted(remark.names for remark in account.warnings) == [(f"{n}.txt",) for n in range(5)]


def test_views_of_lazy_rows_are_those_of_an_array():
    array = np.arange(60, dtype=np.float32).reshape(5, 12)
    counted = []

    def read(index):
        counted.append(index)
        return array[index]

    rows = LazyRows(read, 5, 12, array.dtype)
    first, second = rows[:, :4].reshape(5, 1, 2, 2), rows[:, None, 4:]
    expected = array[:, :4].reshape(5, 1, 2, 2), array[:, None, 4:]
    for view, whole in zip((first, second), expected, strict=True):
        assert view.shape == whole.shape
        for key in (3, -1, slice(1, 4), [4, 0, 0], np.array([2]), np.zeros(0, dtype=np.int64)):
            np.testing.assert_array_equal(view[key], whole[key])
    counted.clear()
    taken = first[[1, 2]], second[[1, 2]]
    assert counted == [1, 2]  # both views of a batch read each file once
    taken[0][:] = 0
    assert first[[1, 2]].any()
    for wrong in (5, -6, [0, 7], [0, -6], (0, 1)):
        with pytest.raises(IndexError):
            rows[wrong]
    with pytest.raises(ValueError, match="the first axis is 5 files"):
        rows.reshape(10, 6)


def test_reading_rows_costs_what_is_selected_whatever_the_number_of_files_is():
    count = 10**15  # an array of as many indices fits nowhere
    rows = LazyRows(lambda index: np.array([index]), count, 1, np.dtype(np.int64))
    assert rows[[3, -1]].tolist() == [[3], [count - 1]]
    assert rows[count // 2 : count // 2 + 2].tolist() == [[count // 2], [count // 2 + 1]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_decoding_that_is_cut_off_leaves_nothing_that_counts_as_done(folder, cache, error):
    class Stopping(Reader):
        def __call__(self, entry):
            if self.count == 2:
                raise error
            return super().__call__(entry)

    with pytest.raises(error):
        decode(folder, how(Stopping()))
    assert list(cache.iterdir()) == []
    assert len(decode(folder, how())[1]) == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no header"), "a.png: not a picture, or damaged: no header; save it again"),
        (
            OSError("cannot identify image file <_io.BytesIO object at 0x7f00>"),
            "damaged: cannot identify image file;",
        ),
        (
            OSError("cannot identify image file <_io.BufferedReader name='/data/a.png'>"),
            "damaged: cannot identify image file;",
        ),
        (EOFError(), "a.png: not a picture, or damaged: cut short; save it again"),
        (ZeroDivisionError(), "damaged: ZeroDivisionError; save"),
        (FileNotFoundError(2, "No such file"), "a.png: cannot be read: No such file"),
        (MemoryError(), "a.png: not enough memory to decode it"),
    ],
)
def test_what_decoders_raise_becomes_a_data_error(error, sentence):
    with pytest.raises(DataError) as caught, damaged("a.png", "a picture", "save it again"):
        raise error
    assert sentence in str(caught.value)
    assert caught.value.__cause__ is error


def test_errors_that_are_sentences_already_pass_unchanged():
    refused = DataError("a.png: too large")
    with pytest.raises(DataError) as caught, damaged("a.png", "a picture"):
        raise refused
    assert caught.value is refused

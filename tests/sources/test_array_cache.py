"""Kept arrays: made once under a key, whole or not at all; the least recently used go, and a cache may be missing."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from ddmi_core.errors import OutputError
from ddmi_core.sources import array_cache as kept
from ddmi_core.sources.array_cache import ArrayCache, source_digest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder of a cache named `numbers`."""
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "ddmi" / "numbers"


class Maker:
    """Makes and fills arrays, and counts how often."""

    def __init__(self):
        self.count = 0

    def make(self):
        self.count += 1
        return np.arange(5, dtype=np.int16)

    def fill(self, rows):
        assert not rows.any()
        self.count += 1
        rows[:] = np.arange(5)
        return {"notes": ["ä"]}

    def made(self, cache, *key):
        return cache.made(key, self.make), None

    def filled(self, cache, *key):
        return cache.filled(key, (5,), np.int16, self.fill)


WAYS = pytest.mark.parametrize("way", [Maker.made, Maker.filled], ids=["made", "filled"])


@WAYS
def test_an_array_is_made_once_and_then_mapped(place, way):
    maker, cache = Maker(), ArrayCache("numbers")
    first, notes = way(maker, cache, "a", 1)
    again, notes_again = way(maker, cache, "a", 1)
    assert maker.count == 1
    assert first.tolist() == again.tolist() == [0, 1, 2, 3, 4]
    assert first.dtype == again.dtype == np.int16
    assert notes == notes_again == (None if way is Maker.made else {"notes": ["ä"]})
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    way(maker, cache, "a", 2)
    assert maker.count == 2
    assert len(list(place.iterdir())) == 2


def test_other_shapes_and_types_are_other_arrays(place):
    cache = ArrayCache("numbers")
    ones = [
        cache.filled(["a"], shape, dtype, lambda rows: rows.fill(1))[0]
        for shape in ((2, 3), (3, 2), (6,))
        for dtype in (np.uint8, np.int16)
    ]
    assert [(rows.shape, str(rows.dtype), rows.sum()) for rows in ones] == [
        (shape, dtype, 6) for shape in ((2, 3), (3, 2), (6,)) for dtype in ("uint8", "int16")
    ]


@WAYS
@pytest.mark.parametrize("left", [0, 20, -3, -10])
def test_a_file_that_is_cut_short_is_made_anew(place, way, left):
    maker, cache = Maker(), ArrayCache("numbers")
    way(maker, cache, "a")
    (path,) = place.iterdir()
    path.write_bytes(path.read_bytes()[:left])
    assert way(maker, cache, "a")[0].tolist() == [0, 1, 2, 3, 4]
    assert maker.count == 2
    way(maker, cache, "a")
    assert maker.count == 2


def test_filling_that_is_cut_off_leaves_nothing(place):
    def fill(rows):
        rows[0] = 1
        raise KeyboardInterrupt

    cache = ArrayCache("numbers")
    with pytest.raises(KeyboardInterrupt):
        cache.filled(["a"], (5,), np.int16, fill)
    assert list(place.iterdir()) == []


def test_an_error_of_reading_is_none_of_the_cache(place):
    def fill(rows):
        raise FileNotFoundError("a source")

    with pytest.raises(FileNotFoundError, match="a source"):
        ArrayCache("numbers").filled(["a"], (5,), np.int16, fill)


def write_part(path, start):
    np.load(path, mmap_mode="r+")[start : start + 2] = start


def test_several_processes_may_fill_one_array(place):
    def fill(rows):
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            return list(pool.map(write_part, [rows.filename] * 3, (0, 2, 4)))

    rows, _ = ArrayCache("numbers").filled(["a"], (6,), np.int16, fill)
    assert rows.tolist() == [0, 0, 2, 2, 4, 4]


def test_the_same_array_may_be_made_twice_at_once(place):
    cache, inner = ArrayCache("numbers"), Maker()

    def fill(rows):
        other, _ = cache.filled(["a"], (5,), np.int16, inner.fill)
        rows[:] = other
        return {}

    assert cache.filled(["a"], (5,), np.int16, fill)[0].tolist() == [0, 1, 2, 3, 4]
    assert len(list(place.iterdir())) == 1


def used_at(place, clock):
    """Set the time at which the array that was used last was used."""
    newest = max(place.glob("*.npy"), key=lambda path: path.stat().st_mtime)
    os.utime(newest, (clock, clock))


def test_the_least_recently_used_arrays_make_room_before_another_is_filled(place):
    cache, clocks = ArrayCache("numbers", arrays=4), iter(range(1, 100))

    def fills(number):
        maker = Maker()
        maker.filled(cache, number)
        used_at(place, next(clocks))
        return maker.count

    assert [fills(number) for number in range(4)] == [1] * 4
    assert fills(0) == 0
    assert fills(4) == 1  # in the place of 1, which was used least recently
    assert len(list(place.iterdir())) == 4
    assert [fills(number) for number in (0, 2, 4)] == [0, 0, 0]
    assert fills(1) == 1


def test_arrays_beyond_the_room_go_when_it_is_tidied(place):
    cache = ArrayCache("numbers", room=3000)
    for number in range(5):
        cache.made([number], lambda: np.zeros(1000, dtype=np.uint8))
        used_at(place, number + 1)
    assert len(list(place.iterdir())) == 5
    cache.tidy()
    assert sorted(path.stat().st_mtime for path in place.iterdir()) == [4, 5]
    cache.tidy(room=1000)
    assert sorted(path.stat().st_mtime for path in place.iterdir()) == [5]


def test_what_killed_processes_have_left_goes(place):
    cache = ArrayCache("numbers")
    Maker().made(cache, "a")
    for name in (".old.npy.1.part", ".new.npy.2.part"):
        (place / name).write_bytes(b"x")
    os.utime(place / ".old.npy.1.part", (1, 1))
    cache.tidy()
    assert [path.name for path in place.glob(".*")] == [".new.npy.2.part"]


def test_without_a_cache_small_arrays_are_made_each_time_and_large_ones_are_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "file")
    maker, cache = Maker(), ArrayCache("numbers")
    for _ in range(2):
        assert maker.made(cache, "a")[0].tolist() == [0, 1, 2, 3, 4]
    assert maker.count == 2
    cache.tidy()
    with pytest.raises(OutputError, match=r"an array of 0\.0 GiB cannot be stored in the cache: .*XDG_CACHE_HOME"):
        maker.filled(cache, "a")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be taken at once here")
def test_a_full_disk_is_told_before_anything_is_read(place, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    maker = Maker()
    with pytest.raises(OutputError, match="No space left on device; free some space there"):
        maker.filled(ArrayCache("numbers"), "a")
    assert maker.count == 0
    assert list(place.iterdir()) == []


def test_a_cache_that_may_only_be_read_is_read(place, monkeypatch):
    maker, cache = Maker(), ArrayCache("numbers")
    maker.made(cache, "a")

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "utime", refuse)
    maker.made(cache, "a")
    assert maker.count == 1


def test_the_digest_of_programs_changes_with_them_and_not_with_their_order(tmp_path):
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1")
    other.write_text("2")
    before = source_digest(one, other)
    assert source_digest(other, one) == before
    other.write_text("3")
    assert source_digest(one, other) != before

"""Files are found by kind in folders and archives, and what cannot be read is told."""

from __future__ import annotations

import os
import struct
import tarfile
import tracemalloc
import zipfile
from io import BytesIO
from multiprocessing import get_context

import pytest

from ddmi_core.errors import DataError
from ddmi_core.sources import array_cache, files
from ddmi_core.sources.account import accounting
from ddmi_core.sources.files import Entry, find_files

WANTED = (".wav", ".txt")


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def contents(entries):
    found = {}
    for entry in entries:
        with entry.opened() as file:
            found[entry.name] = file.read().decode()
    return found


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path / "set", "b/2.wav", "a.TXT", "b/1.txt", "c.png", ".hidden.txt", ".hidden/x.txt", "__MACOSX/b/y.txt")
    return tmp_path / "set"


def test_files_of_the_wanted_kinds_are_found_sorted_and_hidden_ones_are_passed_over(folder):
    found = find_files(folder, WANTED, "things")
    assert [entry.name for entry in found] == ["a.TXT", "b/1.txt", "b/2.wav"]
    assert contents(found)["b/2.wav"] == "content of b/2.wav"


@pytest.mark.parametrize("top", ["", "set/", "./", "./set/"])
def test_an_archive_is_read_as_the_folder_that_it_holds(folder, tmp_path, top):
    archive = zipped(folder, tmp_path / "set.zip", top)
    assert contents(find_files(archive, WANTED, "things")) == contents(find_files(folder, WANTED, "things"))


def test_two_top_folders_of_an_archive_are_part_of_the_names(tmp_path):
    fill(tmp_path / "set", "a/1.txt", "b/1.txt")
    found = find_files(zipped(tmp_path / "set", tmp_path / "set.zip"), WANTED, "things")
    assert [entry.name for entry in found] == ["a/1.txt", "b/1.txt"]


def test_a_stamp_changes_with_its_file_alone(folder, tmp_path):
    def stamps():
        places = (folder, zipped(folder, tmp_path / "set.zip"))
        return [{entry.name: entry.stamp for entry in find_files(place, WANTED, "things")} for place in places]

    before = stamps()
    (folder / "a.TXT").write_text("something else")
    for old, new in zip(before, stamps(), strict=True):
        assert {name for name in old if old[name] != new[name]} == {"a.TXT"}


def test_missing_foreign_and_empty_places_are_told_with_the_kind(tmp_path):
    with pytest.raises(DataError, match="no such folder or archive"):
        find_files(tmp_path / "none", WANTED, "things")
    fill(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"contains no things; accepted suffixes: \.wav, \.txt"):
        find_files(tmp_path, WANTED, "things")
    with pytest.raises(DataError, match=r"neither a folder nor an archive.*; give a folder of things"):
        find_files(tmp_path / "a.png", WANTED, "things")


def test_a_file_that_is_gone_or_too_large_is_told_when_it_is_opened(folder, tmp_path, monkeypatch):
    (gone, *_) = find_files(folder, WANTED, "things")
    (folder / gone.name).unlink()
    with pytest.raises(DataError, match=r"a\.TXT: cannot be read"), gone.opened():
        pass
    (packed, *_) = find_files(zipped(folder, tmp_path / "set.zip"), WANTED, "things")
    monkeypatch.setattr(files, "LARGEST_FILE", 5)
    with pytest.raises(DataError, match="more than the limit of 5"), packed.opened():
        pass


def test_errors_of_the_reader_of_an_open_file_pass_through():
    entry = Entry("a", "1", lambda: BytesIO(b"content"))
    with pytest.raises(ZeroDivisionError), entry.opened():
        raise ZeroDivisionError


def test_every_file_that_is_left_out_is_in_the_account_with_its_reason(folder):
    fill(folder, "notes", ".git/config")
    (folder / "gone.wav").symlink_to(folder / "nothing.wav")
    with accounting() as account:
        find_files(folder, (".wav",), "sounds", beside=(".txt",))
    assert account.taken == {"b/2.wav": "sounds"}
    assert {name: left.reason for name, left in account.left_out.items()} == {
        "a.TXT": "with another suffix",
        "b/1.txt": "with another suffix",
        "c.png": "with another suffix",
        "notes": "with another suffix",
        ".hidden.txt": "hidden",
        ".hidden/": "hidden",
        ".git/": "hidden",
        "__MACOSX/": "hidden",
        "gone.wav": "linked to nothing",
    }


def test_links_are_followed_once_and_never_around_the_data(folder, tmp_path):
    fill(tmp_path / "elsewhere", "x/3.wav", "4.wav")
    (folder / "b" / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "5.wav").symlink_to(tmp_path / "elsewhere" / "4.wav")
    for name, target in (("again", "elsewhere/x"), ("loop", "set"), ("around", ".")):
        (folder / name).symlink_to(tmp_path / target)
    with accounting() as account:
        found = find_files(folder, (".wav",), "sounds")
    assert [entry.name for entry in found if "3.wav" not in entry.name] == ["5.wav", "b/2.wav", "b/linked/4.wav"]
    assert sum("3.wav" in entry.name for entry in found) == 1
    links = {name: left.reason for name, left in account.left_out.items() if left.reason.startswith("link")}
    assert links["loop"] == "linked to a folder that is read already"
    assert links["around"] == "linked to a folder around the data"


def test_a_readme_beside_the_top_folder_of_an_archive_changes_no_name(tmp_path):
    fill(tmp_path, "set/a/1.wav", "set/a/1.txt", "README.txt")
    archive = zipped(tmp_path, tmp_path.parent / "readme.zip")
    names = [entry.name for entry in find_files(archive, (".wav",), "sounds", beside=(".txt",))]
    assert names == ["README.txt", "a/1.txt", "a/1.wav"]


def test_bytes_of_names_that_are_not_utf_8_are_escaped_and_the_file_is_read(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.wav")).write_text("coffee")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    (entry,) = find_files(tmp_path, (".wav",), "sounds")
    assert entry.name == "caf\\xe9.wav"
    assert contents([entry]) == {entry.name: "coffee"}


def tarred(folder, archive, top="set", compression=""):
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, f"w:{compression}") as sink:
        sink.add(folder, top)
    return archive


def test_a_tar_archive_is_read_as_the_folder_in_it(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(array_cache, "user_cache_path", lambda name: tmp_path / "cache")
    archive = tarred(folder, tmp_path / "set.tar")
    expected = contents(find_files(folder, WANTED, "things"))
    assert contents(find_files(archive, WANTED, "things")) == expected
    monkeypatch.setattr(tarfile.TarFile, "__iter__", lambda archive: pytest.fail("its places are in the cache"))
    assert contents(find_files(archive, WANTED, "things")) == expected


def test_shards_in_a_folder_are_one_set_and_equal_names_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(array_cache, "user_cache_path", lambda name: tmp_path / "cache")
    for shard in range(2):
        fill(tmp_path / f"{shard}", f"{shard}7.wav", f"{shard}7.txt")
        tarred(tmp_path / f"{shard}", tmp_path / "shards" / f"{shard:05d}.tar", "")
    fill(tmp_path / "shards", "README.md")
    with accounting() as account:
        found = find_files(tmp_path / "shards", (".wav",), "sounds", beside=(".txt",))
    assert [entry.name for entry in found] == ["07.txt", "07.wav", "17.txt", "17.wav"]
    assert account.taken == {"07.wav": "sounds", "17.wav": "sounds"}
    assert "README.md" in account.left_out
    tarred(tmp_path / "0", tmp_path / "shards" / "00001.tar", "")
    found = find_files(tmp_path / "shards", (".wav",), "sounds", beside=(".txt",))
    assert [entry.name for entry in found] == [f"0000{n}:07.{suffix}" for n in range(2) for suffix in ("txt", "wav")]


def test_loose_files_are_taken_before_archives_beside_them(folder, tmp_path):
    before = [entry.name for entry in find_files(folder, WANTED, "things")]
    tarred(folder / "b", folder / "more.tar")
    with accounting() as account:
        assert [entry.name for entry in find_files(folder, WANTED, "things")] == before
    assert account.left_out["more.tar"].reason == "archives or tables beside files, which are not opened"


def test_damaged_and_compressed_tar_archives_are_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(array_cache, "user_cache_path", lambda name: tmp_path / "cache")
    packed = tarred(folder, tmp_path / "set.tar.gz", compression="gz")
    with pytest.raises(DataError, match=r"set\.tar\.gz: not an uncompressed tar archive.*must be unpacked"):
        find_files(packed, WANTED, "things")
    fill(tmp_path / "long", "z.wav")
    (tmp_path / "long" / "z.wav").write_bytes(bytes(100_000))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(tarred(tmp_path / "long", tmp_path / "whole.tar").read_bytes()[:50_000])
    with pytest.raises(DataError, match=r"cut\.tar: .*damaged"):
        find_files(cut, WANTED, "things")


def test_processes_that_share_a_zip_archive_read_their_own_files(tmp_path):
    names = [f"{number:03d}.wav" for number in range(40)]
    for name in names:
        fill(tmp_path / "set", name)
        (tmp_path / "set" / name).write_text(name * 20_000)
    found = find_files(zipped(tmp_path / "set", tmp_path / "set.zip"), WANTED, "things")
    SHARED[:] = found
    with get_context("fork").Pool(4) as pool:
        whole = pool.starmap(_is_whole, [(number, names[number]) for number in range(40)] * 3)
    assert all(whole)


SHARED: list[Entry] = []  # what forked processes inherit


def _is_whole(number, name):
    with SHARED[number].opened() as file:
        return file.read().decode() == name * 20_000


def test_what_to_do_with_other_archives_is_told(folder, tmp_path):
    locked = zipped(folder, tmp_path / "locked.zip")
    data = bytearray(locked.read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # the flags of a file in both of its headers
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(mark, at + 4)
    locked.write_bytes(data)
    first = find_files(locked, WANTED, "things")[0]
    with pytest.raises(DataError, match=r"a\.TXT: cannot be read: it is encrypted"), first.opened():
        pass


def test_damaged_entries_of_a_zip_archive_are_named(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.tone", bytes(range(256)) * 64)
    whole = path.read_bytes()
    start = whole.index(b"0.tone") + len("0.tone")
    end = whole.index(b"PK\x01\x02")
    refused = []
    for place in range(start, end, 3):
        for value in (0x00, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            (entry,) = find_files(path, (".tone",), "tones")
            try:
                with entry.opened() as file:
                    assert file.read() == bytes(range(256)) * 64
            except DataError as error:
                refused.append(str(error))
    assert len(refused) > (end - start) / 3
    assert all(words.startswith("0.tone: cannot be read: ") for words in refused)


def test_a_zip_archive_of_a_later_version_is_told(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.tone", b"x")
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"PK\x01\x02") + 6] = 84
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"damaged zip archive: zip file version 8\.4"):
        find_files(path, (".tone",), "tones")


def test_a_zip_entry_of_a_forged_size_is_not_inflated_beyond_it(tmp_path):
    place = tmp_path / "set.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", bytes(1 << 28))
    content, true = place.read_bytes(), struct.pack("<I", 1 << 28)
    place.write_bytes(content.replace(true, struct.pack("<I", 100)))
    (entry,) = find_files(place, (".txt",), "things")
    tracemalloc.start()
    with pytest.raises(DataError, match="CRC"), entry.opened():
        pass
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()

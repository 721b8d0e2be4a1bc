"""Files in Parquet and Arrow tables: the same data set as in a folder, with splits, classes and captions."""

import json
import os
from multiprocessing import get_context

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ddmi_core.errors import DataError
from ddmi_core.sources import arrow_tables
from ddmi_core.sources.account import accounting
from ddmi_core.sources.captions import captions_beside
from ddmi_core.sources.files import find_files
from ddmi_core.sources.folders import classes_of
from ddmi_core.sources.splits import split_folders

WANTED = (".bin", ".dat")
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CLASSES = ("shirt / top", "shoe")


def rows(first, count):
    return pa.array([{"bytes": b"%d" % i * 100, "path": f"x/{i}.bin"} for i in range(first, first + count)], FILE)


def table(files, features=None, **columns):
    own = {"file": {"_type": "Image"}, **(features or {})}
    metadata = {"huggingface": json.dumps({"info": {"features": own}})}
    return pa.table({"file": files, **columns}).replace_schema_metadata(metadata)


def parquet(path, made, group=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=group)
    return path


def arrow(path, made, batch=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made, batch)
    return path


def saved(folder, made):
    """As `Dataset.save_to_disk` writes it, beside a table that `map` left there."""
    half = len(made) // 2
    for number, part in enumerate((made[:half], made[half:])):
        arrow(folder / f"data-{number:05d}-of-00002.arrow", part)
    arrow(folder / "cache-1234.arrow", made)
    files = [{"filename": f"data-{number:05d}-of-00002.arrow"} for number in range(2)]
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_split": "train"}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def found(place, **options):
    return find_files(place, WANTED, "things", **options)


def content(entry):
    with entry.opened() as file:
        return file.read()


@pytest.mark.parametrize("write", [parquet, arrow], ids=["parquet", "arrow"])
def test_each_row_of_a_table_is_a_file(tmp_path, write):
    write(tmp_path / "data" / "part-0.x", table(rows(0, 40))).rename(tmp_path / "data" / f"part-0.{write.__name__}")
    for place in (tmp_path, tmp_path / "data" / f"part-0.{write.__name__}"):
        entries = found(place)
        assert [content(entry) for entry in entries] == [b"%d" % i * 100 for i in range(40)]
        assert content(entries[3]) == b"3" * 100  # backwards
    assert found(tmp_path)[12].name == "data-part-0:000012.bin"


def test_a_binary_column_and_large_types_hold_files_too(tmp_path):
    contents = [b"one", b"two"]
    parquet(tmp_path / "a.parquet", pa.table({"file": pa.array(contents, pa.large_binary()), "n": [1, 2]}))
    arrow(tmp_path / "b.arrow", pa.table({"file": pa.array([{"bytes": each} for each in contents])}))
    entries = found(tmp_path)
    assert [entry.name for entry in entries] == ["a:000000.bin", "a:000001.bin", "b:000000.bin", "b:000001.bin"]
    assert [content(entry) for entry in entries] == 2 * contents


def test_an_arrow_file_is_read_as_a_stream_is(tmp_path):
    made = table(rows(0, 3))
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, made.schema) as writer:
        writer.write_table(made)
    assert len(found(tmp_path)) == 3


@pytest.mark.parametrize("form", ["parquet", "save_to_disk"])
def test_splits_classes_and_captions_are_those_of_a_folder(tmp_path, form):
    features = {"label": {"_type": "ClassLabel", "names": CLASSES}, "fine": {"_type": "ClassLabel", "names": ["a"]}}
    columns = {"fine": [0] * 12, "label": [0, 1] * 6, "text": [f"thing {i}\nof two lines" for i in range(12)]}
    made = table(rows(0, 12), features, **columns)
    if form == "parquet":
        parquet(tmp_path / "data" / "train-00000-of-00002.parquet", made[:5])
        parquet(tmp_path / "data" / "train-00001-of-00002.parquet", made[5:8])
        parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", made[8:])
    else:
        saved(tmp_path / "train", made[:8])
        saved(tmp_path / "test", made[8:])
        (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    with accounting() as account:
        entries = found(tmp_path)
        names = [entry.name for entry in entries]
        captions = captions_beside(tmp_path, names, WANTED, "things")
    order = {content(entry): i for i, entry in enumerate(entries)}
    places = [order[b"%d" % i * 100] for i in range(12)]
    sides = split_folders(names)
    assert (sorted(sides[0]), sorted(sides[1])) == (sorted(places[:8]), sorted(places[8:]))
    classes, labels = classes_of(names)
    assert classes == ("shirt - top", "shoe")
    assert [labels[place] for place in places] == [0, 1] * 6
    assert [captions[place] for place in places] == [(f"thing {i}\nof two lines",) for i in range(12)]
    assert "'label', of several: label, fine" in str(account.lines())


def test_a_split_is_taken_only_if_all_tables_tell_it(tmp_path):
    parquet(tmp_path / "test-0.parquet", table(rows(0, 2)))
    assert [entry.name for entry in found(tmp_path)] == ["test-0:000000.bin", "test-0:000001.bin"]
    parquet(tmp_path / "train-0.parquet", table(rows(0, 1)))
    assert {entry.name.split("/")[0] for entry in found(tmp_path)} == {"train", "test"}
    parquet(tmp_path / "unsupervised-0.parquet", table(rows(0, 1)))
    assert not any("/" in entry.name for entry in found(tmp_path))


def test_loose_files_are_taken_before_tables_beside_them(tmp_path):
    (tmp_path / "1.bin").write_bytes(b"1")
    parquet(tmp_path / "metadata.parquet", pa.table({"n": [1]}))
    assert [entry.name for entry in found(tmp_path)] == ["1.bin"]


@pytest.mark.parametrize("statistics", [True, False])
def test_rows_without_a_file_are_told_and_left_out(tmp_path, statistics):
    files = pa.array([{"bytes": b"a", "path": None}, None, {"bytes": None, "path": None}], FILE)
    pq.write_table(table(files), tmp_path / "a.parquet", write_statistics=statistics)
    arrow(tmp_path / "b.arrow", table(files))
    with accounting() as account:
        assert [entry.name for entry in found(tmp_path)] == ["a:000000.bin", "b:000000.bin"]
    assert "warning: a.parquet: 2 of 3 rows have no file in 'file': row 1, row 2" in account.lines()


def test_a_row_with_a_path_alone_is_an_error_with_its_fix(tmp_path):
    for write in (parquet, arrow):
        files = pa.array([{"bytes": None, "path": "/far/1.bin"}], FILE)
        write(tmp_path / f"{write.__name__}.{write.__name__}", table(files))
    for entry in found(tmp_path):
        with pytest.raises(DataError, match=r":000000\.bin: cannot be read: .*path alone, /far/1\.bin.*Fix: store the"):
            content(entry)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (pa.table({"n": [1], "text": ["a"]}), r"no column holds files.*: n \(int64\), text \(string\)\. Fix: "),
        (table(rows(0, 1), mask=rows(0, 1)), r"several columns hold files: file \(struct.*mask \(struct.*\. Fix: "),
    ],
)
def test_not_exactly_one_column_of_files_is_an_error_that_lists_the_columns(tmp_path, made, message):
    place = parquet(tmp_path / "a.parquet", made)
    with pytest.raises(DataError, match=message) as error:
        found(tmp_path)
    assert str(place) in str(error.value)


@pytest.mark.parametrize("write", [parquet, arrow], ids=["parquet", "arrow"])
def test_a_truncated_table_is_named(tmp_path, write):
    place = write(tmp_path / f"a.{write.__name__}", table(rows(0, 40)))
    whole = place.read_bytes()
    for length in (len(whole) // 2, 3, 0):
        place.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"not a table, or damaged"):
            found(place)


def test_damaged_contents_of_a_row_are_an_error_of_that_file(tmp_path):
    made = table(pa.array([{"bytes": os.urandom(5000), "path": "1.bin"}] * 1, FILE))
    place = parquet(tmp_path / "a.parquet", made)
    facts = pq.ParquetFile(place).metadata.row_group(0).column(0)
    data = bytearray(place.read_bytes())
    start = facts.dictionary_page_offset or facts.data_page_offset
    data[start : start + 40] = bytes(40)
    place.write_bytes(data)
    (entry,) = found(place)
    with pytest.raises(DataError, match=r"a:000000\.bin: cannot be read: its table is damaged"):
        content(entry)


def test_a_saved_data_set_lacking_a_table_is_an_error(tmp_path):
    saved(tmp_path, table(rows(0, 10)))
    (tmp_path / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match=r"data-00001-of-00002\.arrow: missing, but state\.json lists it"):
        found(tmp_path)
    (tmp_path / "state.json").write_text('{"_data_files": 3}')
    with pytest.raises(DataError, match=r"state\.json: not the state of a saved data set"):
        found(tmp_path)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    place = parquet(tmp_path / "a.parquet", table(rows(0, 1)))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"Fix: pip install 'ddmi\[tables\]'"):
        found(place)


def test_a_table_that_was_written_again_is_read_again(tmp_path):
    place = parquet(tmp_path / "a.parquet", table(rows(0, 3)))
    before = found(place)
    assert content(before[0]) == b"0" * 100
    parquet(place, table(rows(5, 3)))
    after = found(place)
    assert content(after[0]) == b"5" * 100
    assert before[0].stamp != after[0].stamp


@pytest.mark.parametrize("write", [parquet, arrow], ids=["parquet", "arrow"])
def test_forked_processes_read_their_own_rows(tmp_path, write):
    SHARED[:] = found(write(tmp_path / f"a.{write.__name__}", table(rows(0, 60))))
    content(SHARED[50])
    with get_context("fork").Pool(3) as pool:
        assert all(pool.map(_is_own, [*range(60)] * 2, chunksize=7))


SHARED = []  # what forked processes inherit


def _is_own(number):
    return content(SHARED[number]) == b"%d" % number * 100


@pytest.mark.parametrize("form", [{"row_group_size": 32}, {"write_batch_size": 8}], ids=["groups", "pages"])
def test_reading_in_order_keeps_a_few_rows_in_memory(tmp_path, form):
    size, count = 1 << 16, 1000
    first = [b"%04d" % i for i in range(count)]
    made = table(pa.array([{"bytes": each * (size // 4)} for each in first], FILE))
    pq.write_table(made, tmp_path / "a.parquet", use_dictionary=False, **form)
    del made
    before, most = pa.total_allocated_bytes(), 0
    for entry, expected in zip(found(tmp_path), first, strict=True):
        assert content(entry)[:4] == expected
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < (arrow_tables.KEPT + 3) * arrow_tables.BATCH * size < count * size / 4

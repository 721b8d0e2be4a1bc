"""Arrays as files: what is written is read, other sizes are resampled, and other files are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ddmi_core.errors import DataError
from ddmi_core.parts import StoredGrid, read_array, write_array


def stored(values: np.ndarray) -> StoredGrid:
    return StoredGrid(values=values, size=values.shape[:-1], extent=(2.0,) * (values.ndim - 1))


@pytest.mark.parametrize("shape", [(7, 1), (4, 6, 1), (4, 6, 3), (2, 3, 4, 5, 2)])
def test_a_written_array_is_read_as_the_same_values(tmp_path, shape):
    values = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    write_array(stored(values), tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").ndim == len(shape) - (shape[-1] == 1)
    found = read_array(tmp_path / "a.npy", shape[:-1], shape[-1]).values
    np.testing.assert_array_equal(np.moveaxis(found[0].numpy(), 0, -1), values)


def test_another_size_is_resampled_at_the_centres_of_cells(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(-1, 1, 8, dtype=np.float32))
    found = read_array(tmp_path / "a.npy", (4,), 1).values[0, 0]
    np.testing.assert_array_equal(found, np.linspace(-1, 1, 8, dtype=np.float32)[1::2])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((4, 5)), "an array of shape 4x5; expected NxNx3"),
        (np.zeros((4, 5, 2)), "an array of shape 4x5x2; expected NxNx3"),
        (np.zeros((0, 5, 3)), "an array of shape 0x5x3"),
        (np.full((4, 5, 3), 1.5), r"lie in \[-1, 1\]"),
        (np.full((4, 5, 3), np.nan), r"lie in \[-1, 1\]"),
        (np.array(["a"]), "no array of numbers"),
        (np.array([{}]), "not a NumPy file"),
    ],
)
def test_other_arrays_are_refused(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DataError, match=words) as caught:
        read_array(tmp_path / "a.npy", (4, 5), 3)
    assert "a.npy" in str(caught.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npy").write_text("these are words")
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "many.npz", a=np.zeros(3))
    for name in ("text.npy", "empty.npy", "many.npz"):
        with pytest.raises(DataError, match="numpy"):
            read_array(tmp_path / name, (4,), 1)
    for name in ("missing.npy", "."):
        with pytest.raises(DataError, match=r"cannot be read: (No such file|Is a directory)"):
            read_array(tmp_path / name, (4,), 1)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10737418240,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4,",
        "{'a':" * 300,
    ],
    ids=["values that the file lacks", "more than a count can be", "cut short", "nested"],
)
def test_damaged_headers_are_refused(tmp_path, header):
    text = header.encode() + b" " * (-(10 + len(header)) % 64) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16))
    with pytest.raises(DataError, match=r"a\.npy: not a NumPy file"):
        read_array(path, (4,), 1)

"""Files that a data set names are read only inside the data folder, and pipes, devices and bombs are refused."""

from __future__ import annotations

import io
import json
import os
import sys
import tracemalloc
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest

from ddmi_core.errors import DataError
from ddmi_core.parts import captions_beside, find_files, npz_arrays
from ddmi_image.reading import read_square
from ddmi_nerf.data.folder import read as read_views
from ddmi_nerf.settings import NerfSettings
from ddmi_nerf.signal import ViewSignal
from ddmi_occupancy.data.mesh_files import triangles
from soaking import seeds

VIEWS = NerfSettings(size=16, plane=16, points=32, shown=1)
PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo") or sys.platform == "win32", reason="pipes of POSIX")


def renamed(folder, change):
    """A set of views whose `transforms.json` names its pictures by another path."""
    files = next(
        files for files in seeds.cameras().values() if "transforms.json" in files and "masks" not in str([*files])
    )
    seeds.put(folder, files)
    path = folder / "transforms.json"
    content = json.loads(path.read_text())
    for frame in content["frames"]:
        frame["file_path"] = change(frame["file_path"])
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("outside", ["../secret/{}", "/etc/{}", "images/../../../secret/{}", "\x00{}"])
def test_pictures_outside_of_the_data_folder_are_not_there(outside, tmp_path):
    place = tmp_path / "data"
    renamed(place, lambda path: outside.format(path.rpartition("/")[2]))
    files = list(place.rglob("*.png"))
    (tmp_path / "secret").mkdir()
    for path in files:
        (tmp_path / "secret" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"does not exist; .*(data folder|folder of this file|add it)"):
        read_views(place, VIEWS)


def test_pictures_beside_the_folder_of_the_cameras_are_read_if_the_data_folder_has_both(tmp_path):
    place = tmp_path / "data"
    path = renamed(place, lambda name: f"../{name.removeprefix('./')}")
    (place / "cameras").mkdir()
    path.rename(place / "cameras" / path.name)
    assert isinstance(read_views(place, VIEWS), ViewSignal)


@PIPES
def test_pipes_are_left_out_of_folders_and_refused_as_data(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.png").write_bytes(b"x")
    os.mkfifo(tmp_path / "data" / "1.png")
    (tmp_path / "data" / "2.png").symlink_to("/dev/zero")
    assert [entry.name for entry in find_files(tmp_path / "data", (".png",), "pictures")] == ["0.png"]
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(DataError, match="a pipe, socket or device"):
        find_files(tmp_path / "pipe.zip", (".png",), "pictures")
    os.mkfifo(tmp_path / "points.npz")
    with pytest.raises(DataError, match="a pipe, socket or device"), npz_arrays(tmp_path / "points.npz", "a", "b"):
        raise AssertionError


def test_captions_of_files_outside_are_ignored(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "data" / "0.png").write_bytes(b"x")
    rows = [{"file_name": "../secret.png", "text": "a"}, {"file_name": "0.png", "text": "b"}]
    (tmp_path / "data" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert captions_beside(tmp_path / "data", ["0.png"], (".png",), "pictures") == [("b",)]


def test_materials_and_textures_of_meshes_are_not_opened(tmp_path, monkeypatch):
    text = b"mtllib ../secret.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    monkeypatch.setattr("pathlib.Path.open", lambda *_: pytest.fail("a file was opened"))
    assert len(triangles(io.BytesIO(text), "a.obj", tmp_path).faces) == 1
    ply = seeds.meshes()["a.ply"].replace(b"ply\n", b"ply\ncomment TextureFile ../secret.png\n", 1)
    assert len(triangles(io.BytesIO(ply), "a.ply", tmp_path).faces)


def npz(path, size, declared=None):
    header = io.BytesIO()
    shape = (declared or size,)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("points.npy", "w") as file:
        file.write(header.getvalue())
        for _ in range(size >> 24):
            file.write(bytes(1 << 24))
    return path


def test_arrays_that_declare_or_inflate_to_too_much_are_refused(tmp_path):
    few = npz(tmp_path / "declares.npz", 1 << 24, 10**12)
    told = r"declares.npz: .*(not enough memory|damaged)"
    with pytest.raises(DataError, match=told), npz_arrays(few, str(few), "an NPZ file") as arrays:
        arrays["points"]
    bomb = npz(tmp_path / "inflates.npz", (1 << 30) + (1 << 24))
    assert bomb.stat().st_size < 1 << 21
    told = r"its arrays have 1,090,.* more than the limit of 1,073,741,824"
    with pytest.raises(DataError, match=told), npz_arrays(bomb, str(bomb), "an NPZ file"):
        raise AssertionError


def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"])
def test_chunks_of_a_picture_that_inflate_are_refused_or_ignored_within_little_memory(kind):
    bomb = zlib.compress(bytes(1 << 26), 9)
    start = {b"iCCP": b"a\0\0", b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[kind]
    rows = zlib.compress((b"\0" + bytes(16)) * 16)
    head = (16).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(kind, start + bomb) + chunk(b"IDAT", rows)
    picture += chunk(b"IEND", b"")
    tracemalloc.start()
    with suppress(DataError):
        read_square(io.BytesIO(picture), "a.png", 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 24

"""Files that are empty, cut short or something else than their suffix says are named as such, in every domain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.parts import captions_beside
from ddmi_image.folder import read as read_picture
from ddmi_image.settings import ImageSettings
from ddmi_nerf.data.folder import read as read_views
from ddmi_nerf.settings import NerfSettings
from ddmi_occupancy.data.folder import read as read_mesh
from ddmi_occupancy.settings import OccupancySettings
from ddmi_video.folder import read as read_video
from ddmi_video.settings import VideoSettings
from known_plugins import AUDIO

CONTENTS = {
    "is empty": b"",
    "is a web page": b"\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
    "is a web page, not a": b"\xef\xbb\xbf<html lang='en'></html>",
    "is an XML document, such as a server's error message": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>',
    "is a PDF document": b"%PDF-1.7\n",
    "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
}


def views(place):
    """An object `one` with a disc in four views from the sides."""
    place /= "one"
    disc = np.zeros((32, 32, 4), np.uint8)
    disc[8:24, 8:24] = 255
    place.mkdir()
    frames = []
    for number in range(4):
        c, s = np.cos(number * np.pi / 2), np.sin(number * np.pi / 2)
        pose = [[c, 0, s, 3 * s], [s, 0, -c, -3 * c], [0, 1, 0, 0], [0, 0, 0, 1]]
        Image.fromarray(disc).save(place / f"{number}.png")
        frames.append({"file_path": f"{number}.png", "mask_path": f"mask-{number}.png", "transform_matrix": pose})
        Image.fromarray(disc[..., 3]).save(place / f"mask-{number}.png")
    (place / "transforms.json").write_text(json.dumps({"fl_x": 40, "frames": frames}))


def gltf(place, buffer="b.bin"):
    attributes = {"primitives": [{"attributes": {"POSITION": 0}}]}
    accessor = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
    tree = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": 36, "uri": buffer}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        **{"accessors": [accessor], "meshes": [attributes], "nodes": [{"mesh": 0}], "scenes": [{"nodes": [0]}]},
    }
    (place / "a.gltf").write_text(json.dumps(tree))


def glb(place):
    tree = json.dumps({"asset": {"version": "2.0"}}).encode()
    tree += b" " * (-len(tree) % 4)
    header = np.array([0x46546C67, 2, 20 + len(tree), len(tree), 0x4E4F534A], "<u4").tobytes()
    (place / "a.glb").write_bytes(header + tree)


def picture(place):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(place / "a.png")


def nothing(place):
    """A file that is written as a whole later."""


def read_sound(path):
    from ddmi_audio.folder import read
    from ddmi_audio.settings import AudioSettings

    return read(path, AudioSettings())


def meshes(suffix):
    return f"a.{suffix}", nothing, lambda place: read_mesh(place / f"a.{suffix}", OccupancySettings())


def of_views(name):
    return f"one/{name}", views, lambda place: read_views(place / "one", NerfSettings())


def captions(name):
    return name, picture, lambda place: captions_beside(place, ["a.png"], (".png",), "pictures")


READERS = {  # a file, what makes the files around it, and what reads it
    "picture": ("a.png", picture, lambda place: read_picture(place / "a.png", ImageSettings(size=48))),
    "video": ("a.mp4", nothing, lambda place: read_video(place / "a.mp4", VideoSettings())),
    "gif": ("a.gif", nothing, lambda place: read_video(place / "a.gif", VideoSettings())),
    **{suffix: meshes(suffix) for suffix in ("obj", "ply", "stl", "off", "xyz", "npz")},
    "glb": ("a.glb", glb, meshes("glb")[2]),
    "gltf": ("a.gltf", gltf, meshes("gltf")[2]),
    "buffer": ("b.bin", gltf, meshes("gltf")[2]),
    **{name: of_views(name) for name in ("transforms.json", "2.png", "mask-1.png", "points.ply")},
    "wav": ("a.wav", nothing, lambda place: read_sound(place / "a.wav")),
    "flac": ("a.flac", nothing, lambda place: read_sound(place / "a.flac")),
    **{name: captions(name) for name in ("a.txt", "a.json", "metadata.csv", "metadata.jsonl")},
}


@pytest.mark.parametrize("what", CONTENTS)
@pytest.mark.parametrize("kind", READERS)
def test_foreign_and_empty_files_are_named_as_such(kind, what, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(AUDIO)
    name, make, read = READERS[kind]
    make(tmp_path)
    (tmp_path / name).write_bytes(CONTENTS[what])
    with pytest.raises(DataError) as raised:
        read(tmp_path)
    assert f"{name.rpartition('/')[2]}: {what}" in str(raised.value)
    assert "Fix: " in str(raised.value)


CUT = {
    "picture": "image file is truncated",
    "gltf": "a.gltf: is cut short, in the middle of its JSON",
    "glb": r"a.glb: the file is cut short: it has \d+ of \d+ bytes",
    "transforms.json": "transforms.json: is cut short, in the middle of its JSON",
}


@pytest.mark.parametrize("kind", CUT)
def test_cut_files_are_named_as_such(kind, tmp_path):
    name, make, read = READERS[kind]
    make(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=CUT[kind]):
        read(tmp_path)


@pytest.mark.parametrize("name", ["outer buffer.bin", "outer%20buffer.bin"])
def test_a_gltf_buffer_may_be_named_with_escapes_or_as_it_is(name, tmp_path):
    gltf(tmp_path, "outer%20buffer.bin")
    (tmp_path / name).write_bytes(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes())
    with pytest.raises(DataError, match=r"not watertight|no volume"):  # a triangle, which was read
        read_mesh(tmp_path / "a.gltf", OccupancySettings())

"""Readers of common file formats, to verify exported files with independent packages."""

from __future__ import annotations

import json
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path


class Empty(ValueError):  # noqa: N818 - a property of the file, not a fault
    """A file is valid and has no content."""


def opened(path: Path) -> str:
    """Read a whole file by the format of its suffix.

    Returns:
        the name of the reader; empty if there is none, or its package is not installed.

    Raises:
        Empty: if a mesh has no vertices, for example that of a field without a surface.
        Exception: any exception of the reader, for an invalid file.
    """
    for suffixes, name, read in _READERS:
        if path.suffix in suffixes:
            try:
                read(path)
            except ModuleNotFoundError:
                return ""
            return name
    return ""


def _picture(path: Path) -> None:
    from PIL import Image, ImageSequence

    with Image.open(path) as drawn:
        for frame in ImageSequence.Iterator(drawn):
            frame.load()


def _sound(path: Path) -> None:
    with wave.open(str(path), "rb") as sound:
        if not sound.getnframes() or len(sound.readframes(sound.getnframes())) % sound.getsampwidth():
            raise ValueError("it holds no whole samples")


def _array(path: Path) -> None:
    import numpy as np

    if not np.load(path).size:
        raise ValueError("it holds an empty array")


def _mesh(path: Path) -> None:
    import trimesh

    # As a scene, because point clouds are not meshes.
    parts = trimesh.load_scene(path).geometry.values()
    if not sum(len(part.vertices) for part in parts):
        raise Empty("it holds no vertices")


def _clip(path: Path) -> None:
    import av

    with av.open(str(path)) as container:
        if not sum(1 for _ in container.decode()):
            raise ValueError("it holds no frames")


def _archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) or not archive.namelist():
            raise ValueError(f"{bad} in it is damaged" if bad else "it holds no files")


def _document(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


_READERS: tuple[tuple[tuple[str, ...], str, Callable[[Path], None]], ...] = (
    ((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"), "Pillow", _picture),
    ((".wav",), "wave", _sound),
    ((".npy",), "numpy", _array),
    ((".glb", ".ply", ".stl", ".obj", ".off"), "trimesh", _mesh),
    ((".zip",), "zipfile", _archive),
    ((".mp4", ".webm", ".mkv", ".mov"), "PyAV", _clip),
    ((".json",), "json", _document),
)

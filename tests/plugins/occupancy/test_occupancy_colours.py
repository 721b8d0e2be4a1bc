"""Colours, materials and textures of meshes are recorded as not learned, and leave the shape as it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from ddmi_occupancy.data.mesh_colours import COLOURS, MATERIALS
from ddmi_occupancy.data.mesh_files import read_mesh
from ddmi_occupancy.settings import OccupancySettings


def box():
    return trimesh.creation.box((1.0, 2.0, 3.0))


def of_vertices():
    mesh = box()
    mesh.visual.vertex_colors = np.random.default_rng(0).integers(0, 255, (8, 4), np.uint8) | 1
    return mesh


def of_faces():
    mesh = box()
    mesh.visual.face_colors = np.random.default_rng(0).integers(0, 255, (12, 4), np.uint8) | 1
    return mesh


def textured():
    mesh = box()
    places = np.random.default_rng(0).uniform(size=(8, 2))
    mesh.visual = trimesh.visual.TextureVisuals(places, image=Image.new("RGB", (4, 4), "red"))
    return mesh


def exported(mesh, suffix):
    data = mesh.export(file_type=suffix)
    return data.encode() if isinstance(data, str) else data


def read(data, suffix):
    return read_mesh(io.BytesIO(data), f"a.{suffix}", None, OccupancySettings())


@pytest.mark.parametrize(
    ("make", "suffix", "what"),
    [
        *((box, suffix, None) for suffix in ("obj", "ply", "off", "stl", "glb")),
        *((of_vertices, suffix, COLOURS) for suffix in ("obj", "ply", "glb")),
        (of_faces, "ply", COLOURS),
        (textured, "obj", MATERIALS),
        (textured, "glb", MATERIALS),
    ],
)
def test_what_a_file_has_beside_its_shape_is_recorded(make, suffix, what):
    mesh, changes = read(exported(make(), suffix), suffix)
    plain, known = read(exported(box(), suffix), suffix)
    assert [change.what for change in changes[len(known) :]] == ([what] if what else [])
    assert np.array_equal(mesh.vertices, plain.vertices)
    assert np.array_equal(mesh.faces, plain.faces)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda head, vertices, faces: [head, *vertices, *faces, "# end"], []),
        (lambda head, vertices, faces: ["C" + head, *(f"{row} 9 9 9 255" for row in vertices), *faces], [COLOURS]),
        (lambda head, vertices, faces: [head, *vertices, *(f"{row} 9 9 9" for row in faces)], [COLOURS]),
    ],
)
def test_colours_of_vertices_and_faces_of_an_off_file_are_recorded(change, what):
    rows = exported(box(), "off").decode().split("\n")
    head, vertices, faces = "\n".join(rows[:2]), rows[2:10], rows[10:22]
    mesh, changes = read("\n".join(change(head, vertices, faces)).encode(), "off")
    assert [change.what for change in changes][1:] == what
    assert len(mesh.faces) == 12


def test_a_texture_of_a_ply_file_and_a_colour_of_a_binary_stl_file_are_recorded():
    ply = exported(box(), "ply").replace(b"element vertex", b"comment TextureFile a.png\nelement vertex", 1)
    stl = exported(box(), "stl")
    assert [change.what for change in read(ply, "ply")[1]][-1] == MATERIALS
    assert [change.what for change in read(b"COLOR=\xff\0\0\xff".ljust(80, b" ") + stl[80:], "stl")[1]][-1] == COLOURS

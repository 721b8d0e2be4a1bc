"""Whether mesh files have colours, materials or textures, which the domain does not learn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ddmi_core.parts import Change
from ddmi_occupancy.data.gltf import gltf_tree
from ddmi_occupancy.data.ply import HEADER

COLOURS = "read without colours, which are not learned"
MATERIALS = "read without materials and textures, which are not learned"

OBJ_COLOURS = re.compile(rb"^[ \t]*v(?:[ \t]+[^\s#]+){6,}", re.MULTILINE)  # x y z red green blue
OBJ_MATERIALS = re.compile(rb"^[ \t]*usemtl[ \t]", re.MULTILINE)
PLY_COLOURS = re.compile(rb"^property[ \t]+\w+[ \t]+(?:diffuse_)?(?:red|r)[ \t]*\r?$", re.MULTILINE)
PLY_TEXTURE = re.compile(rb"^comment[ \t]+TextureFile[ \t]", re.MULTILINE)
OFF_COLOURS = re.compile(rb"^(?:ST)?C", re.MULTILINE)


def unlearned(data: bytes, suffix: str) -> list[Change]:
    """What a mesh file has beside its shape, for the account.

    Args:
        data: contents of the file, which has been read as a mesh.
        suffix: of its format, in lower case.
    """
    return [Change(what) for what in dict.fromkeys(_found(data, suffix))]


def _found(data: bytes, suffix: str) -> Iterator[str]:
    found: dict[str, object]
    if suffix == ".obj":
        found = {COLOURS: OBJ_COLOURS.search(data), MATERIALS: OBJ_MATERIALS.search(data)}
    elif suffix == ".ply":
        end = HEADER.search(data)
        head = data[: end.start()] if end else b""
        found = {COLOURS: PLY_COLOURS.search(head), MATERIALS: PLY_TEXTURE.search(head)}
    elif suffix == ".off":
        last = data.rstrip().rpartition(b"\n")[2].partition(b"#")[0].split()  # a face: its size, corners, colour
        found = {COLOURS: OFF_COLOURS.match(data) or (last and last[0].isdigit() and len(last) > 1 + int(last[0]))}
    elif suffix == ".stl":
        found = {COLOURS: b"COLOR=" in data[:80]}  # of Materialise Magics
    else:
        tree = gltf_tree(data, "")
        found = {COLOURS: '"COLOR_0"' in json.dumps(tree.get("meshes")), MATERIALS: tree.get("materials")}
    yield from (what for what, there in found.items() if there)

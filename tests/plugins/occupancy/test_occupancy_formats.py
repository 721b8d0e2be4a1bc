"""Mesh files of all kinds that programs write: the same prism in each, or a sentence that names the cause."""

import base64
import io
import json
import struct
import time
from contextlib import suppress
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from ddmi_core.errors import DataError
from ddmi_occupancy.data.gltf import read_gltf
from ddmi_occupancy.data.mesh_files import read_mesh, triangles
from ddmi_occupancy.data.ply import ply_elements
from ddmi_occupancy.data.polygons import triangulated
from ddmi_occupancy.geometry.mesh import TriangleMesh, cleaned, normalised
from ddmi_occupancy.geometry.mesh_repair import oriented, outwards, repaired, single_sided
from ddmi_occupancy.settings import OccupancySettings

SETTINGS = OccupancySettings()
# An L-shaped prism, which is concave: its caps are hexagons.
OUTLINE = [(0, 0), (3, 0), (3, 1), (1, 1), (1, 2), (0, 2)]
PLACES = np.array([(x, y, z) for z in (0.0, 1.5) for x, y in OUTLINE])
POLYGONS = [[5, 4, 3, 2, 1, 0], [6, 7, 8, 9, 10, 11], *([i, (i + 1) % 6, 6 + (i + 1) % 6, 6 + i] for i in range(6))]
VOLUME = 6.0
TRIANGLES = triangulated(
    PLACES, np.array([len(p) for p in POLYGONS]), np.array([i for p in POLYGONS for i in p]), "prism"
).faces


def read(data, name, beside=None):
    data = data.encode() if isinstance(data, str) else data
    return triangles(io.BytesIO(data), name, beside)


def changes_of(data, name):
    return {change.what: change.amount for change in read_mesh(io.BytesIO(data.encode()), name, None, SETTINGS)[1]}


def obj(faces, head="", places=PLACES):
    rows = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in places]
    return "\n".join([head, *rows, *("f " + " ".join(str(i + 1) for i in face) for face in faces), ""])


def off(faces):
    rows = [" ".join(map(str, place)) for place in PLACES]
    return "\n".join(["OFF", f"12 {len(faces)} 0", *rows, *(" ".join(map(str, [len(f), *f])) for f in faces), ""])


def ply(faces, kind, extra=""):
    head = f"ply\nformat {kind} 1.0\nelement vertex 12\nproperty double x\nproperty double y\nproperty double z\n"
    head += f"element face {len(faces)}\n{extra}property list uchar int vertex_indices\nend_header\n"
    if kind == "ascii":
        return (
            head.encode()
            + "\n".join(
                [*(f"{x} {y} {z}" for x, y, z in PLACES), *(f"{len(f)} {' '.join(map(str, f))}" for f in faces)]
            ).encode()
        )
    order = ">" if "big" in kind else "<"
    flag = b"\7" if extra else b""
    return (
        head.encode()
        + PLACES.astype(order + "f8").tobytes()
        + b"".join(flag + struct.pack(f"{order}B{len(f)}i", len(f), *f) for f in faces)
    )


def stl(count=None, tail=b"", header=b"solid made by a program"):
    corners = PLACES[TRIANGLES].astype("<f4")
    rows = b"".join(bytes(12) + each.tobytes() + bytes(2) for each in corners)
    return header.ljust(80, b"\0") + struct.pack("<I", len(corners) if count is None else count) + rows + tail


def text_stl():
    rows = ["solid prism"]
    for corners in PLACES[TRIANGLES]:
        rows += ["facet normal 0 0 0", " outer loop", *(f"  vertex {x} {y} {z}" for x, y, z in corners)]
        rows += [" endloop", "endfacet"]
    return "\n".join([*rows, "endsolid prism", ""])


def gltf(uri=None, extensions=None):
    places, index = PLACES.astype("<f4"), TRIANGLES.astype("<u4")
    blob = places.tobytes() + index.tobytes()
    address = uri or "data:application/octet-stream;base64," + base64.b64encode(blob).decode()
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, **({"extensions": extensions} if extensions else {})}
    tree = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(blob), "uri": address}],
        "bufferViews": [
            {"buffer": 0, "byteLength": places.nbytes},
            {"buffer": 0, "byteOffset": places.nbytes, "byteLength": index.nbytes},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 12, "type": "VEC3", "min": [0, 0, 0], "max": [3, 2, 1.5]},
            {"bufferView": 1, "componentType": 5125, "count": index.size, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [primitive]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
    }
    return json.dumps(tree), blob


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("polygons.obj", obj(POLYGONS)),
        ("mixed.obj", obj([*TRIANGLES[:8].tolist(), *POLYGONS[2:]])),
        ("mark.obj", b"\xef\xbb\xbf" + obj(TRIANGLES).replace("\n", "\r\n").encode()),
        ("utf16.obj", obj(TRIANGLES).encode("utf-16")),
        ("mac.obj", obj(TRIANGLES).replace("\n", "\r")),
        ("latin.obj", obj(TRIANGLES, "# Stühle\no Tür").encode("latin-1")),
        ("normals.obj", obj(POLYGONS).replace("f ", "vn 0 0 1\nvt 0 0\nf ").replace(" 7 8", " 7/1/1 8//1")),
        ("ends.obj", obj([[i - 13 for i in face] for face in TRIANGLES.tolist()])),
        ("lines.obj", obj(POLYGONS, "l 1 2\np 1\nf 1 2").replace(" 8 9", " \\\n8 9")),
        ("polygons.off", off(POLYGONS)),
        ("modelnet.off", off(TRIANGLES).replace("OFF\n", "OFF")),
        ("colours.off", off(POLYGONS).replace("OFF", "# made by\nCOFF").replace("3.0 0.0 0.0", "3 0 0 255 0 0")),
        ("text.ply", ply(POLYGONS, "ascii")),
        ("little.ply", ply(POLYGONS, "binary_little_endian")),
        ("big.ply", ply(POLYGONS, "binary_big_endian")),
        ("same.ply", ply(TRIANGLES, "binary_big_endian")),
        ("flags.ply", ply(POLYGONS, "binary_little_endian", "property uchar flags\n")),
        ("binary.stl", stl()),
        ("open.stl", stl(count=0)),
        ("tail.stl", stl(tail=b"made by a program")),
        ("text.stl", text_stl()),
        ("upper.stl", text_stl().upper()),
        ("endless.stl", "\n " + text_stl().replace("endsolid prism\n", "")),
        ("inside.gltf", gltf()[0]),
    ],
)
def test_every_way_of_writing_a_solid_gives_it(name, data):
    mesh = read(data, name)
    assert repaired(normalised(cleaned(mesh, name)), name, False).volume == pytest.approx(VOLUME * 0.6**3)
    # Concave caps have no folds, whose areas would exceed that of the prism.
    a, b, c = mesh.corners.transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(2 * 4 + 10 * 1.5)


@pytest.mark.parametrize("start", range(6))
def test_concave_polygons_have_no_folds_wherever_they_begin(start):
    corners = np.roll(np.arange(6), start)
    for turned in (corners, corners[::-1]):
        for places in (PLACES, PLACES[:, [1, 2, 0]], PLACES[:, [2, 0, 1]]):
            a, b, c = triangulated(places, np.array([6]), turned, "cap").corners.transpose(1, 0, 2)
            across = np.cross(b - a, c - a) / 2
            assert np.linalg.norm(across, axis=1).sum() == pytest.approx(4)
            assert np.linalg.norm(across.sum(axis=0)) == pytest.approx(4)


def test_buffers_are_found_by_percent_encoded_addresses(tmp_path):
    data, blob = gltf("outer%20buffer.bin")
    (tmp_path / "outer buffer.bin").write_bytes(blob)
    assert len(read(data, "a.gltf", tmp_path).faces) == len(TRIANGLES)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("cut.stl", stl(count=25), "cut short: it has 20 of 25 triangles"),
        ("half.stl", stl()[:-30], "cut short: it has 19 of 20 triangles"),
        ("text.stl", text_stl()[:-90], "cut short: it has 19 of 20 facets"),
        ("text.stl", "a text", "neither binary nor with facets as text"),
        ("empty.stl", b"", "cannot be read as stl"),
        ("comma.stl", text_stl().replace(".", ","), "decimal points, not commas"),
        ("comma.obj", obj(TRIANGLES).replace(".", ","), "decimal points, not commas"),
        ("zero.obj", obj([[-1, 0, 1]]), "vertex 0 or one before the first"),
        ("much.obj", obj([[0, 1, 98]]), "names vertex 98, but there are 12"),
        ("word.obj", obj([[0, 1, 2]]).replace("f 1", "f one"), "a corner that is no number"),
        ("cut.ply", ply(POLYGONS, "binary_little_endian")[:-5], "cut short in its element face"),
        ("cut.ply", ply(TRIANGLES, "binary_little_endian")[:300], "cut short in its element vertex"),
        ("text.ply", ply(POLYGONS, "ascii")[:-9], "cut short in its element face"),
        ("none.ply", b"ply\nformat ascii 1.0\nend_header\n", "no vertices with x, y and z"),
        ("odd.ply", b"ply\nformat odd 1.0\nend_header\n", "unknown format 'odd'"),
        ("odd.ply", b"ply\nformat ascii 1.0\nelement vertex many\nend_header\n", "unknown line 'element vertex many'"),
        ("strips.ply", ply([], "ascii").replace(b"element face", b"element tristrips"), "triangle strips"),
        ("cut.off", off(TRIANGLES)[:-30], "cut short|fewer corners"),
        ("none.off", off(TRIANGLES)[4:], "its first line is not OFF"),
        ("four.off", off(TRIANGLES).replace("OFF", "4OFF"), "four or more dimensions"),
        ("draco.gltf", gltf(extensions={"KHR_draco_mesh_compression": {}})[0], "Draco.*pip install DracoPy"),
    ],
)
def test_the_cause_of_what_cannot_be_read_is_named(name, data, message):
    with pytest.raises(DataError, match=message) as raised:
        read(data, name)
    assert str(raised.value).startswith(f"{name}: ")


FORMATS = {
    ".obj": obj(POLYGONS, "# made by hand"),
    ".off": off(TRIANGLES),
    ".ply": ply(TRIANGLES, "ascii"),
    ".stl": text_stl(),
    ".gltf": gltf()[0],
    ".glb": b"glTF" + bytes(60),
}


@pytest.mark.parametrize(("kind", "suffix"), list(permutations(FORMATS, 2)))
def test_contents_of_another_format_are_named(kind, suffix):
    message = rf"a{suffix}: has the contents of a {kind} file\. Fix: rename it to a{kind}"
    with pytest.raises(DataError, match=message):
        read(FORMATS[kind], f"a{suffix}")


def test_lists_and_values_of_a_ply_file_are_read_by_name():
    data = (
        b"ply\nformat ascii 1.0\nelement note 1\nproperty list int float w\nelement vertex 2\n"
        b"property float x\nproperty uchar red\nend_header\n2 0.5 1.5\n3 255\n4 7\n"
    )
    found = ply_elements(data, "a.ply")
    assert [values.tolist() for values in found["note"]["w"]] == [[2], [0.5, 1.5]]
    assert found["vertex"]["red"].tolist() == [255, 7]


def test_vertices_that_are_not_finite_and_in_no_face_are_left_out():
    assert (
        changes_of(obj(TRIANGLES) + "v nan nan nan\n", "a.obj")["freed of vertices that are not finite and in no face"]
        == 1
    )
    with pytest.raises(DataError, match="1 vertex not finite, the first is number 12"):
        changes_of(obj([*TRIANGLES, (0, 1, 12)], places=[*PLACES, (np.nan,) * 3]), "a.obj")


# Orientation.


def box(low, high, turned=False):
    corners = np.array([[(low, high)[i >> k & 1] for k in range(3)] for i in range(8)], dtype=float)
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return TriangleMesh(corners, faces[:, ::-1] if turned else faces)


def joined(*parts):
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    return TriangleMesh(np.concatenate([part.vertices for part in parts]), faces)


@pytest.mark.parametrize(
    ("outer", "inner", "volume"),
    [(False, True, 27 - 1), (True, False, 27 - 1), (False, False, 27 + 1), (True, True, 27 + 1)],
)
def test_a_mesh_that_is_inside_out_keeps_its_cavity(outer, inner, volume):
    assert outwards(joined(box(0, 3, outer), box(1, 2, inner))).volume == pytest.approx(volume)


def test_a_cavity_in_a_part_of_a_cavity_follows_the_outermost_part():
    nested = joined(box(0, 9, True), box(1, 8), box(2, 7, True), box(20, 22), box(30, 31, True))
    assert outwards(nested).volume == pytest.approx(9**3 - 7**3 + 5**3 + 2**3 + 1)


def test_parts_that_overlap_are_in_none_of_each_other():
    assert outwards(joined(box(0, 3), box(1, 4, True))).volume == pytest.approx(54)


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_time_grows_slowly_with_the_number_of_parts(share):
    """8 times as many parts would take 64 times as long if it were quadratic."""
    draw = np.random.default_rng(0)

    def seconds(n):
        at = np.stack(np.meshgrid(*[np.arange(n)] * 3), axis=-1).reshape(-1, 3) * 2
        part = box(0, 1)
        places = (part.vertices[None] + at[:, None]).reshape(-1, 3)
        faces = (part.faces[None] + 8 * np.arange(len(at))[:, None, None]).reshape(-1, 3)
        wrong = np.where((draw.random(len(faces)) < share)[:, None], faces[:, ::-1], faces)
        mesh = normalised(TriangleMesh(places, wrong))
        start = time.process_time()
        assert repaired(mesh, "parts.obj", True).volume == pytest.approx(n**3 * (1.8 / (2 * n - 1)) ** 3)
        return time.process_time() - start

    seconds(2)
    assert seconds(12) < 30 * seconds(6)


def test_double_sided_faces_are_a_solid_if_they_are_closed():
    part = box(0, 2)
    both = TriangleMesh(part.vertices, np.concatenate([part.faces, part.faces[:, ::-1]]))
    assert repaired(single_sided(normalised(both)), "a.obj", True).volume == pytest.approx(1.8**3)
    beside = single_sided(joined(both, box(3, 4)))
    assert len(beside.faces) == 24
    assert outwards(oriented(beside)).volume == pytest.approx(8 + 1)
    assert changes_of(obj([*TRIANGLES, *TRIANGLES[:, ::-1]]), "a.obj")["freed of the backs of double-sided faces"] == 20


def test_faces_between_solids_that_touch_and_sheets_stay():
    touching = cleaned(joined(box(0, 1), TriangleMesh(box(0, 1).vertices + np.eye(3)[0], box(0, 1).faces)), "a.obj")
    assert single_sided(touching) is not touching
    assert len(single_sided(touching).faces) == 24
    assert repaired(touching, "a.obj", True).volume == pytest.approx(2)


DAMAGED = {
    "ply with 5,000 digits": (ply(TRIANGLES, "ascii").replace(b"vertex 12", b"vertex " + b"9" * 5000, 1), "a.ply"),
    "stl of 66 bytes": (stl()[:66], "a.stl"),
    "nested gltf": (b'{"a":' * 3000, "a.gltf"),
    "obj of a huge index": (obj([[10**30, 1, 2]]).encode(), "a.obj"),
    "off of a huge count": (f"OFF\n{10**25} 1 0\n0 0 0\n".encode(), "a.off"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_hostile_files_end_in_a_sentence(name):
    data, file = DAMAGED[name]
    with pytest.raises(DataError, match=f"^{file}: "):
        read(data, file)


@pytest.mark.parametrize("kind", ["ply", "obj", "off", "stl", "gltf"])
def test_any_byte_of_a_file_may_be_damaged(kind):
    files = {
        "ply": ply(TRIANGLES, "binary_little_endian"),
        "obj": obj(TRIANGLES).encode(),
        "off": off(TRIANGLES).encode(),
        "stl": stl(),
        "gltf": gltf()[0].encode(),
    }
    whole = files[kind]
    draw = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in draw.integers(min(len(damaged), 400), size=3):
            damaged[place] = draw.integers(256)
        if draw.random() < 0.3:
            del damaged[draw.integers(len(damaged)) :]
        with suppress(DataError):
            read(bytes(damaged), f"a.{kind}")


@pytest.mark.parametrize("where", ["buffers", "images"])
@pytest.mark.parametrize(
    "how", ["../secret.bin", "%2e%2e/secret.bin", "{outside}/secret.bin", "link.bin", "sub/../../secret.bin"]
)
def test_a_gltf_file_reads_nothing_outside_of_its_folder(how, where, tmp_path):
    text, blob = gltf("inside.bin")
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(blob)
    (folder / "inside.bin").write_bytes(blob)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    tree, uri = json.loads(text), how.format(outside=tmp_path)
    tree.setdefault(where, [{}])[0]["uri"] = uri
    with pytest.raises(DataError, match="is not in its folder"):
        read_gltf(json.dumps(tree).encode(), "a.gltf", folder)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there are no devices")
@pytest.mark.parametrize("uri", ["/dev/zero", "zero", "a" * 5000, "a\0b"])
def test_a_gltf_file_reads_no_device_and_no_impossible_name(uri, tmp_path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(DataError):
        read_gltf(gltf(uri)[0].encode(), "a.gltf", tmp_path)


def test_a_gltf_file_reads_buffers_in_its_folder(tmp_path):
    text, blob = gltf("a%20b.bin")
    (tmp_path / "a b.bin").write_bytes(blob)
    assert read_gltf(text.encode(), "a.gltf", tmp_path).vertices.shape == (12, 3)

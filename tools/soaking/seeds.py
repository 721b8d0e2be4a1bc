"""Valid small files and texts of every form that users give to the program, to be mutated."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CORNERS = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FACES = ((0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3))


def meshes() -> dict[str, bytes]:
    """A tetrahedron by suffix, in several forms of each format."""
    corners = np.array(CORNERS, dtype="<f4")
    faces = np.array(FACES, dtype="<u4")
    places = "\n".join(" ".join(map(str, corner)) for corner in CORNERS)
    obj = "# a tetrahedron\no body\n" + "".join(f"v {line}\n" for line in places.split("\n")) + "vn 0 0 1\nusemtl m\n"
    obj += "".join(f"f {' '.join(f'{corner + 1}//1' for corner in face)}\n" for face in FACES)
    off = f"OFF\n4 4 6\n{places}\n" + "".join(f"3 {a} {b} {c}\n" for a, b, c in FACES)
    stl = "solid body\n" + "".join(
        "facet normal 0 0 1\nouter loop\n"
        + "".join(f"vertex {' '.join(map(str, CORNERS[corner]))}\n" for corner in face)
        + "endloop\nendfacet\n"
        for face in FACES
    )
    binary_stl = bytes(80) + struct.pack("<I", 4)
    for face in FACES:
        binary_stl += struct.pack("<3f", 0, 0, 1) + corners[list(face)].tobytes() + b"\0\0"
    head = "ply\nformat {} 1.0\ncomment made by hand\nelement vertex 4\n"
    head += "property float x\nproperty float y\nproperty float z\n"
    head += "element face 4\nproperty list uchar int vertex_indices\nend_header\n"
    ply = head.format("ascii") + places + "\n" + "".join(f"3 {a} {b} {c}\n" for a, b, c in FACES)
    rows = b"".join(b"\x03" + np.array(face, dtype="<i4").tobytes() for face in FACES)
    binary_ply = head.format("binary_little_endian").encode() + corners.tobytes() + rows
    body = corners.tobytes() + faces.tobytes()
    gltf = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": [0, 0, 1]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": 4}]}],
        "buffers": [{"byteLength": len(body)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": 48},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 1]},
            {"bufferView": 1, "componentType": 5125, "count": 12, "type": "SCALAR"},
        ],
    }
    return {
        "a.obj": (obj + "s off\n").encode(),
        "a.off": off.encode(),
        "a.stl": (stl + "endsolid body\n").encode(),
        "b.stl": binary_stl,
        "a.ply": ply.encode(),
        "b.ply": binary_ply,
        "a.glb": glb(gltf, body),
        "a.gltf": json.dumps({**gltf, "buffers": [{"byteLength": len(body), "uri": "a.bin"}]}).encode(),
    }


def gltf_buffer() -> bytes:
    """The buffer beside `a.gltf`."""
    return np.array(CORNERS, dtype="<f4").tobytes() + np.array(FACES, dtype="<u4").tobytes()


def glb(gltf: object, body: bytes) -> bytes:
    """A binary glTF file."""
    text = json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def pictures() -> dict[str, bytes]:
    """Small pictures by file name."""
    draw = np.random.default_rng(0)
    colours = draw.integers(0, 255, (20, 18, 3), dtype=np.uint8)
    made = {}
    for name, mode, options in (
        ("a.png", "RGB", {"dpi": (72, 72)}),
        ("b.png", "P", {}),
        ("c.png", "RGBA", {}),
        ("a.jpg", "RGB", {"quality": 60}),
        ("a.webp", "RGB", {}),
        ("a.bmp", "RGB", {}),
        ("a.tiff", "RGB", {}),
        ("a.gif", "P", {}),
    ):
        stream = io.BytesIO()
        Image.fromarray(colours).convert(mode).save(stream, {"jpg": "jpeg"}.get(name[2:], name[2:]), **options)
        made[name] = stream.getvalue()
    stream = io.BytesIO()
    Image.fromarray(draw.integers(0, 65535, (20, 18), dtype=np.uint16)).save(stream, "png")
    return {**made, "d.png": stream.getvalue()}


def sounds() -> dict[str, bytes]:
    """Short sounds."""
    made = {}
    for name, width, channels in (("a.wav", 2, 1), ("b.wav", 1, 2), ("c.wav", 3, 1)):
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setparams((channels, width, 8000, 0, "NONE", ""))
            file.writeframes(np.random.default_rng(0).bytes(8000 * width * channels))
        made[name] = stream.getvalue()
    return made


def clips() -> dict[str, bytes]:
    """A clip of eight frames, as a video and as an animated picture."""
    import av

    frames = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)
    video, animated = io.BytesIO(), io.BytesIO()
    with av.open(video, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    first, *others = (Image.fromarray(pixels) for pixels in frames)
    first.save(animated, "gif", save_all=True, append_images=others, duration=125)
    return {"a.mp4": video.getvalue(), "a.gif": animated.getvalue()}


def clouds() -> dict[str, bytes]:
    """Points of a cube's surface with normals."""
    stream, draw = io.BytesIO(), np.random.default_rng(0)
    points, sides = draw.uniform(-0.5, 0.5, (240, 3)), draw.integers(0, 3, 240)
    signs = draw.choice((-1.0, 1.0), 240)
    points[np.arange(240), sides] = signs / 2
    normals = np.zeros((240, 3))
    normals[np.arange(240), sides] = signs
    np.savez(stream, points=points, normals=normals)
    return {"a.npz": stream.getvalue()}


def arrays(shape: tuple[int, ...]) -> dict[str, bytes]:
    """An array as a file of NumPy."""
    stream = io.BytesIO()
    np.save(stream, np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))
    return {"a.npy": stream.getvalue()}


def tables(axes: tuple[str, ...], values: tuple[str, ...]) -> dict[str, bytes]:
    """Values at places, as CSV and NPZ."""
    names = (*axes, *values)
    draw = np.random.default_rng(0)
    rows = draw.uniform(0, 1, (6, len(names))).round(3)
    text = ",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    stream = io.BytesIO()
    np.savez(stream, **{name: rows[:, place] for place, name in enumerate(names)})
    return {"a.csv": text.encode(), "a.npz": stream.getvalue()}


def archives() -> dict[str, bytes]:
    """Pictures in archives."""
    picture = pictures()["a.png"]
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive, tarfile.open(fileobj=tarred, mode="w") as tar:
        for number in range(4):
            name = f"{'ab'[number % 2]}/{number}.png"
            archive.writestr(name, picture)
            facts = tarfile.TarInfo(name)
            facts.size = len(picture)
            tar.addfile(facts, io.BytesIO(picture))
    return {"a.zip": zipped.getvalue(), "a.tar": tarred.getvalue()}


def captions() -> dict[str, bytes]:
    """Captions beside four pictures, in all their forms."""
    rows = [{"file_name": f"{number}.png", "text": f"picture {number}"} for number in range(4)]
    return {
        "metadata.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "metadata.csv": ("file_name,text\n" + "".join(f"{row['file_name']},{row['text']}\n" for row in rows)).encode(),
        "0.txt": b"a red square\nanother caption\n",
        "0.json": json.dumps({"caption": ["a red square", "one"]}).encode(),
    }


def cameras() -> dict[str, dict[str, bytes]]:
    """Objects with three views, by the format of their cameras; files by name."""
    from ddmi_nerf.cameras import srn
    from ddmi_nerf.cameras.camera import Shot
    from ddmi_nerf.cameras.transforms import write_blender, write_nerfstudio
    from ddmi_nerf.data.cars.source import cameras as around

    draw = np.random.default_rng(0)
    seen = around(3, 16, draw)
    views = {}
    for number in range(3):
        stream = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (16, 16, 4), dtype=np.uint8)).save(stream, "png")
        views[f"images/{number}.png"] = stream.getvalue()
    shots = [Shot(camera, f"images/{number}.png") for number, camera in enumerate(seen)]
    intrinsics, _ = srn.write_srn(seen[0])
    poses = {f"pose/{number}.txt": srn.write_srn(camera)[1].encode() for number, camera in enumerate(seen)}
    turns = ("1 0 0 0 0 0 2", "0.7 0 0.7 0 0 0 2", "0.7 0.7 0 0 0.1 0 2")
    images = "".join(f"{n + 1} {turn} 1 {n}.png\n1 2 3\n" for n, turn in enumerate(turns))
    binary = struct.pack("<Q", 1) + struct.pack("<iiQQ4d", 1, 1, 16, 16, 20, 20, 8, 8)
    posed = struct.pack("<Q", 3)
    for number in range(3):
        posed += struct.pack("<i7di", number + 1, 1, 0, 0, 0, 0, 0, 2, 1) + f"{number}.png\0".encode()
        posed += struct.pack("<Q", 1) + struct.pack("<2dq", 1, 2, -1)
    points = struct.pack("<Q", 1) + struct.pack("<Q3d3BdQii", 1, 0, 0, 0, 9, 9, 9, 0.1, 1, 1, 0)
    rows = np.zeros((3, 17))
    rows[:, :15] = np.concatenate([np.eye(3), [[0, 0, 2]], [[16, 16, 20]]]).T.reshape(-1)
    llff, neus = io.BytesIO(), io.BytesIO()
    np.save(llff, rows)
    matrices = {f"{kind}_{n}": np.eye(4) for n in range(3) for kind in ("world_mat", "scale_mat")}
    np.savez(neus, **matrices)
    return {
        "blender": {**views, "transforms.json": write_blender(shots).encode()},
        "nerfstudio": {**views, "transforms.json": write_nerfstudio(shots).encode()},
        "srn": {
            **{f"rgb/{number}.png": data for number, data in enumerate(views.values())},
            **poses,
            "intrinsics.txt": intrinsics.encode(),
        },
        "colmap": {
            **views,
            "sparse/0/cameras.txt": b"# cameras\n1 PINHOLE 16 16 20 20 8 8\n",
            "sparse/0/images.txt": b"# images\n" + images.encode(),
            "sparse/0/points3D.txt": b"1 0 0 0 10 20 30 0.1 1 0 2 0\n2 0.1 0 0 10 20 30 0.1 1 0\n",
        },
        "colmap binary": {
            **views,
            "sparse/0/cameras.bin": binary,
            "sparse/0/images.bin": posed,
            "sparse/0/points3D.bin": points,
        },
        "llff": {**views, "poses_bounds.npy": llff.getvalue()},
        "neus": {**views, "cameras_sphere.npz": neus.getvalue()},
    }


def put(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

"""The same object in the files of COLMAP, LLFF, NeuS and nerfstudio: all give the same cameras and views."""

import json
import struct

import attrs
import numpy as np
import pytest
import torch
from nerf_files import save, views
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.colmap import MODELS, read_colmap
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.lens import Lens
from ddmi_nerf.cameras.numpy_files import decomposed
from ddmi_nerf.cameras.transforms import write_nerfstudio
from ddmi_nerf.data.folder import load_all, read
from ddmi_nerf.data.objects import find_objects
from ddmi_nerf.settings import NerfSettings

SETTINGS = NerfSettings(size=24, views=8, held_views=0, shown=8, points=64)
NAMES = [f"{place:02d} a.png" for place in range(8)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def save_all(folder, pictures, below="images", alpha=True):
    for name, pixels in zip(NAMES, pictures, strict=True):
        save(folder / below / name, pixels, alpha)


def nerfstudio(folder, cameras, pictures):
    save_all(folder, pictures)
    shots = [Shot(camera, f"images/{name}") for camera, name in zip(cameras, NAMES, strict=True)]
    (folder / "transforms.json").write_text(write_nerfstudio(shots))


def quaternion(turn):
    """w, x, y and z of a rotation, as an eigenvector (I. Bar-Itzhack, 2000)."""
    (a, b, c), (d, e, f), (g, h, i) = turn
    whole = [[a - e - i, b + d, c + g, h - f], [b + d, e - a - i, f + h, c - g]]
    whole += [[c + g, f + h, i - a - e, d - b], [h - f, c - g, d - b, a + e + i]]
    x, y, z, w = np.linalg.eigh(np.array(whole))[1][:, -1]
    return [w, x, y, z]


def from_world(camera):
    """Quaternion and shift of a pose from the world to the camera."""
    turn = camera.to_world[:3, :3].T
    return quaternion(turn), (-turn @ camera.origin).tolist()


def model_of(camera):
    return f"PINHOLE {camera.width} {camera.height} " + " ".join(map(repr, camera.intrinsics))


def colmap_text(folder, cameras, pictures, model=""):
    save_all(folder, pictures)
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "#   POINTS2D[] as (X, Y, POINT3D_ID)"]
    for number in reversed(range(len(cameras))):  # COLMAP writes them in any order
        turn, shift = from_world(cameras[number])
        words = [number + 1, *map(repr, map(float, turn)), *map(repr, shift), 7, NAMES[number]]
        lines += [" ".join(map(str, words)), "1.5 2.5 -1 3.5 4.5 9" * (number % 2)]
    (place / "images.txt").write_text("\n".join(lines) + "\n")
    (place / "cameras.txt").write_text(f"# one\n7 {model or model_of(cameras[0])}\n")


def colmap_binary(folder, cameras, pictures):
    save_all(folder, pictures)
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    first = cameras[0]
    content = struct.pack("<QIiQQ4d", 1, 7, 1, first.width, first.height, *first.intrinsics)
    (place / "cameras.bin").write_bytes(content)
    content = struct.pack("<Q", len(cameras))
    for number in reversed(range(len(cameras))):
        turn, shift = from_world(cameras[number])
        content += struct.pack("<I7dI", number + 1, *turn, *shift, 7) + NAMES[number].encode() + b"\0"
        content += struct.pack("<Q", number % 3) + struct.pack("<ddq", 1.0, 2.0, -1) * (number % 3)
    (place / "images.bin").write_bytes(content)


def llff(folder, cameras, pictures):
    save_all(folder, pictures)
    rows = []
    for camera in cameras:
        right, down, forwards = camera.to_world[:3, :3].T
        size = [camera.height, camera.width, camera.fx]
        rows.append([*np.stack([down, right, -forwards, camera.origin, size], axis=1).ravel(), 1.0, 5.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def neus(folder, cameras, pictures):
    """Projections of a world that is moved and three times as large, whose matrices have any factor."""
    save_all(folder, [np.dstack([p[..., :3], np.full_like(p[..., 3], 255)]) for p in pictures], "image", alpha=False)
    (folder / "mask").mkdir()
    scale = np.array([[3.0, 0, 0, 5], [0, 3, 0, -2], [0, 0, 3, 1], [0, 0, 0, 1]])
    arrays = {}
    for place, (camera, pixels) in enumerate(zip(cameras, pictures, strict=True)):
        Image.fromarray(pixels[..., 3]).save(folder / "mask" / f"{place:03d}.png")
        colours = np.divide(
            pixels[..., :3] * 255.0, pixels[..., 3:], where=pixels[..., 3:] > 0, out=0.0 * pixels[..., :3]
        )
        Image.fromarray(np.rint(colours).clip(0, 255).astype(np.uint8)).save(folder / "image" / NAMES[place])
        k = np.eye(4)
        k[[0, 1, 0, 1], [0, 1, 2, 2]] = camera.intrinsics
        whole = k @ np.linalg.inv(camera.to_world)
        arrays[f"world_mat_{place}"] = (-1.0) ** place * 0.3 * whole @ np.linalg.inv(scale)
        arrays[f"world_mat_inv_{place}"] = np.zeros((4, 4))
        arrays[f"scale_mat_{place}"] = scale
    np.savez(folder / "cameras_sphere.npz", **arrays)


FORMATS = {"colmap text": colmap_text, "colmap binary": colmap_binary, "llff": llff, "neus": neus}


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_give_the_same_cameras_and_views(tmp_path, name):
    cameras, pictures = views(count=8)
    nerfstudio(tmp_path / "first" / "a", cameras, pictures)
    FORMATS[name](tmp_path / "second" / "a", cameras, pictures)
    expected = read(tmp_path / "first" / "a", SETTINGS)
    with accounting() as account:
        signal = read(tmp_path / "second" / "a", SETTINGS)
    torch.testing.assert_close(signal.to_world, expected.to_world, atol=1e-5, rtol=0)
    torch.testing.assert_close(signal.intrinsics, expected.intrinsics, atol=1e-4, rtol=0)
    torch.testing.assert_close(signal.opacity, expected.opacity, atol=0.01, rtol=0)
    torch.testing.assert_close(signal.images, expected.images, atol=0.02, rtol=0)
    assert len(account.taken) >= 9
    assert load_all(tmp_path / "second", SETTINGS).names == ("a",)


@pytest.mark.parametrize(
    ("model", "intrinsics", "through"),
    [
        ("SIMPLE_PINHOLE 48 48 70 23 25", (35, 35, 11.5, 12.5), None),  # for pictures of twice the size
        ("PINHOLE 24 24 35 36 11 13", (35, 36, 11, 13), None),
        ("SIMPLE_RADIAL 24 24 35 11 13 0.1", (35, 35, 11, 13), Lens((0.1, 0, 0))),
        ("RADIAL 24 24 35 11 13 0.1 0.2", (35, 35, 11, 13), Lens((0.1, 0.2, 0))),
        ("OPENCV 24 24 35 36 11 13 0.1 0.2 0.03 0.04", (35, 36, 11, 13), Lens((0.1, 0.2, 0), (0.03, 0.04))),
        ("OPENCV 24 24 35 36 11 13 0 0 0 0", (35, 36, 11, 13), None),
        ("FULL_OPENCV 24 24 35 36 11 13 0.1 0.2 0 0 0.3 0 0 0", (35, 36, 11, 13), Lens((0.1, 0.2, 0.3))),
        (
            "OPENCV_FISHEYE 24 24 35 36 11 13 0.1 0.02 0.03 0.04",
            (35, 36, 11, 13),
            Lens((0.1, 0.02, 0.03, 0.04), fisheye=True),
        ),
        ("RADIAL_FISHEYE 24 24 35 11 13 0.1 0.2", (35, 35, 11, 13), Lens((0.1, 0.2, 0, 0), fisheye=True)),
    ],
)
def test_models_of_colmap_are_read_as_text_and_binary(model, intrinsics, through):
    image = "1 1 0 0 0 0 0 4 7 a.png\n\n"
    name, *words = model.split()
    number = [each for each, _ in MODELS].index(name)
    form = f"<QIiQQ{len(words) - 2}d"
    binary = struct.pack(form, 1, 7, number, *map(int, words[:2]), *map(float, words[2:]))
    image_binary = struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, 0, 0, 4, 7) + b"a.png\0" + struct.pack("<Q", 0)
    for cameras, images, is_binary in ((f"7 {model}\n".encode(), image.encode(), False), (binary, image_binary, True)):
        (shot,) = read_colmap(cameras, images, is_binary, "m", lambda name: (name, ""), lambda _: Header(24, 24))
        assert shot.camera.intrinsics == intrinsics
        assert shot.lens == through
        assert shot.camera.origin.tolist() == [0, 0, -4]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("FOV 24 24 35 36 11 13 0.9", "camera model 'FOV' is not supported; undistort the pictures"),
        ("FULL_OPENCV 24 24 35 36 11 13 0.1 0.2 0 0 0.3 0.4 0 0", "distortion k4 = 0.4 is not supported"),
        ("PINHOLE 24 24 35 36", "PINHOLE has 2 parameters; it needs fx fy cx cy"),
        ("PINHOLE 24 30 35 36 11 13", "w and h are 24 x 30, the image has 24 x 24"),
        ("PINHOLE a b", "not a sparse model of COLMAP"),
    ],
)
def test_models_that_cannot_be_used_are_told(tmp_path, model, words):
    colmap_text(tmp_path / "a", *views(count=8), model=model)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a", SETTINGS)
    assert words in str(caught.value)
    assert "a: sparse/0/images.txt" in str(caught.value)


def damage_binary(folder):
    path = folder / "sparse/0/images.bin"
    path.write_bytes(path.read_bytes()[:300])


def huge_width(folder):
    path = folder / "sparse/0/cameras.txt"
    path.write_text(path.read_text().replace(" 24 24 ", f" {10**400} 24 "))


def nested(folder):
    (folder / "transforms.json").write_text('{"frames":' + "[" * 5000)


def drop_rows(folder):
    np.save(folder / "poses_bounds.npy", np.load(folder / "poses_bounds.npy")[:5])


def drop_mask(folder):
    (folder / "mask" / "003.png").unlink()


def drop_image(folder):
    (folder / "images" / NAMES[2]).unlink()


DAMAGED = {
    "cut": (colmap_binary, damage_binary, "images.bin: not a file of images of COLMAP, or damaged"),
    "size": (colmap_text, huge_width, "sparse/0/cameras.txt"),
    "nested": (nerfstudio, nested, "transforms.json: not JSON"),
    "image": (colmap_text, drop_image, f"image {NAMES[2]} does not exist; add it"),
    "rows": (llff, drop_rows, "poses_bounds.npy: 5 cameras, but 8 images"),
    "shape": (llff, lambda folder: np.save(folder / "poses_bounds.npy", np.zeros((8, 15))), "shape (8, 15); LLFF's"),
    "object": (llff, lambda folder: np.save(folder / "poses_bounds.npy", np.array([{}])), "not a NumPy array"),
    "mask": (neus, drop_mask, "cameras_sphere.npz: 8 images and 7 masks"),
    "none": (neus, lambda folder: np.savez(folder / "cameras_sphere.npz", a=np.eye(4)), "has no matrix world_mat_0"),
    "zip": (neus, lambda folder: (folder / "cameras_sphere.npz").write_bytes(b"PK"), "not an archive of NumPy arrays"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_files_that_cannot_be_used_are_told(tmp_path, name):
    write, damage, words = DAMAGED[name]
    write(tmp_path / "a", *views(count=8))
    damage(tmp_path / "a")
    with pytest.raises(DataError) as caught:
        load_all(tmp_path / "a", SETTINGS)
    assert words in str(caught.value)


def test_projections_are_taken_apart():
    draw = np.random.default_rng(2)
    for _ in range(10):
        orbit = Camera.orbit(draw.uniform(0, 360), draw.uniform(-80, 80), draw.uniform(1, 4))
        k = np.array([[draw.uniform(20, 90), 0, 20], [0, draw.uniform(20, 90), 15], [0, 0, 1]])
        projection = draw.normal() * k @ np.linalg.inv(orbit.to_world)[:3]
        intrinsics, pose = decomposed(projection)
        np.testing.assert_allclose(intrinsics, (k[0, 0], k[1, 1], 20, 15))
        np.testing.assert_allclose(pose, orbit.to_world, atol=1e-9)
    with pytest.raises(ValueError, match="skew"):
        decomposed(np.array([[50.0, 5, 20, 0], [0, 50, 20, 0], [0, 0, 1, 3]]))
    with pytest.raises(ValueError, match="singular"):
        decomposed(np.zeros((3, 4)))


@pytest.mark.parametrize("write", [colmap_text, nerfstudio])
def test_objects_of_an_arbitrary_world_are_placed_by_their_cameras(tmp_path, write):
    """One that is turned, moved and seven times as large stands upright at the origin, its first camera in front."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    cameras = [Camera.orbit(90.0 * number, elevation, 3.0) for elevation in (10, 40) for number in range(4)]
    cameras = [attrs.evolve(camera, width=24, height=24, cx=12, cy=12) for camera in cameras]
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = 7 * turn, [4, -2, 9]
    elsewhere = [attrs.evolve(camera, to_world=world @ camera.to_world) for camera in cameras]
    disc = np.zeros((24, 24, 4), np.uint8)
    disc[np.hypot(*np.mgrid[-11.5:12, -11.5:12]) < 7] = [90, 80, 70, 255]
    write(tmp_path / "a", elsewhere, [disc] * 8)
    with pytest.raises(DataError, match=r"--set domain\.place=cameras|inside the object's cube"):
        read(tmp_path / "a", SETTINGS)
    with accounting() as account:
        signals = load_all(tmp_path, attrs.evolve(SETTINGS, place="cameras"))
    signal = read(tmp_path / "a", attrs.evolve(SETTINGS, place="cameras"))
    for pose, camera in zip(signal.to_world[0].numpy(), cameras, strict=True):
        np.testing.assert_allclose(pose, camera.to_world, atol=1e-5)
    place = account.changes[signals.names[0]][0].values
    np.testing.assert_allclose(np.array(place["world"]) @ world, np.eye(4), atol=1e-6)
    assert place["extent"] == 1


def test_cameras_that_determine_no_world_are_told(tmp_path):
    cameras, pictures = views(count=8)
    nerfstudio(tmp_path / "a", [cameras[0]] * 8, pictures)
    with pytest.raises(DataError, match=r"all look in one direction.*domain\.place=cameras"):
        read(tmp_path / "a", attrs.evolve(SETTINGS, place="cameras"))


def test_a_model_beside_nerfstudios_file_is_no_second_object(tmp_path):
    cameras, pictures = views(count=8)
    nerfstudio(tmp_path / "data" / "a", cameras, pictures)
    colmap_binary(tmp_path / "data" / "a" / "colmap", cameras, pictures)
    assert [files.name for files in find_objects(tmp_path / "data")] == ["a"]


def test_masks_of_colmap_lie_in_their_folder(tmp_path):
    cameras, pictures = views(count=8)
    colmap_text(tmp_path / "a", cameras, pictures)
    (tmp_path / "a" / "masks").mkdir()
    for place, name in enumerate(NAMES):
        path = tmp_path / "a" / "images" / name
        alpha = Image.open(path).getchannel("A")
        Image.open(path).convert("RGB").save(path)
        alpha.save(tmp_path / "a" / "masks" / (f"{name}.png" if place % 2 else name))
    expected = np.stack([pixels[..., 3] / 255 for pixels in pictures])
    np.testing.assert_allclose(read(tmp_path / "a", SETTINGS).opacity[0, :, 0], expected, atol=0.01)


def test_images_of_no_camera_are_left_out_with_a_reason(tmp_path):
    cameras, pictures = views(count=8)
    nerfstudio(tmp_path / "data" / "a", cameras, pictures)
    save(tmp_path / "data" / "a" / "images" / "depth.png", pictures[0])
    save(tmp_path / "data" / "b.png", pictures[0])
    content = json.loads((tmp_path / "data/a/transforms.json").read_text())
    content["frames"][0]["mask_path"] = "masks/0.png"
    (tmp_path / "data/a/transforms.json").write_text(json.dumps(content))
    (tmp_path / "data/a/masks").mkdir()
    Image.fromarray(pictures[0][..., 3]).save(tmp_path / "data/a/masks/0.png")
    with accounting() as account:
        load_all(tmp_path / "data", SETTINGS)
    assert {name: left.reason for name, left in account.left_out.items()} == {
        "a/images/depth.png": "of no camera",
        "b.png": "of no camera",
    }
    assert sorted(name for name, kind in account.taken.items() if kind == "views and masks") == sorted(
        ["a/masks/0.png", *(f"a/images/{name}" for name in NAMES)]
    )
    assert account.taken["a/transforms.json"] == "files of cameras, points or captions"


def test_views_of_objects_that_are_not_used_are_left_out(tmp_path):
    cameras, pictures = views(count=8)
    for name in "abc":
        nerfstudio(tmp_path / "data" / name, cameras, pictures)
    (tmp_path / "data" / "a" / "transforms.json").write_text("{")
    with accounting() as account:
        kept = load_all(tmp_path / "data", attrs.evolve(SETTINGS, strict=False)).names
        reasons = {name[0]: left.reason for name, left in account.left_out.items() if "/" in name}
    assert kept == ("b", "c")
    assert reasons == {"a": "of an object that cannot be used"}
    for part in ("16 views and masks", "2 files of cameras, points or captions", "10 left out"):
        assert part in account.files_line()
    with accounting() as account:
        (kept,) = load_all(tmp_path / "data", attrs.evolve(SETTINGS, strict=False, limit=2)).names
    left = {name[0] for name, why in account.left_out.items() if why.reason == "of an object beyond the setting limit"}
    assert kept not in left
    assert left

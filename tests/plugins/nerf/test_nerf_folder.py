"""Objects with views from folders and archives: all formats, splits, points, and what is refused."""

import io
import json
import shutil
import zipfile

import attrs
import numpy as np
import pytest
import torch
from nerf_files import blender, edited, nerfstudio, save, srn_object, views
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_nerf.cameras.conventions import flipped
from ddmi_nerf.data.cars import car
from ddmi_nerf.data.folder import load, load_all, read
from ddmi_nerf.data.reading import read_picture
from ddmi_nerf.data.srn_cars import srn_cars
from ddmi_nerf.settings import NerfSettings
from picture_profiles import COLOUR, DECLARED

SETTINGS = NerfSettings(size=24, views=6, held_views=2, shown=2, points=64)
FORMATS = {"blender": blender, "nerfstudio": nerfstudio, "srn": srn_object}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings_of(name, **changes):
    return attrs.evolve(SETTINGS, opacity="white" if name == "srn" else "alpha", **changes)


def poses(signal):
    return signal.to_world[0].numpy()


def frames_kept(path, kept):
    """A file of cameras with some of its frames."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "frames": content["frames"][kept]}))


@pytest.mark.parametrize("name", FORMATS)
def test_objects_are_read_in_the_cube(tmp_path, name):
    FORMATS[name](tmp_path / "data" / "a")
    signals = load_all(tmp_path / "data", settings_of(name))
    assert signals.names == ("a",)
    seen, pictures = views(count=8)  # their world is the cube
    shown, novel = signals.batch([0]), signals.novel([0])
    assert shown.images.shape == (1, 2, 3, 24, 24)
    assert novel.images.shape == (1, 2, 3, 24, 24)
    for signal in (shown, novel):
        for place, pose in enumerate(poses(signal)):
            which = int(np.argmin([np.abs(camera.to_world - pose).max() for camera in seen]))
            np.testing.assert_allclose(pose, seen[which].to_world, atol=1e-5)
            np.testing.assert_allclose(signal.intrinsics[0, place], seen[which].intrinsics, rtol=1e-5)
            pixels = pictures[which] / 255
            over_white = 2 * (pixels[..., :3] + 1 - pixels[..., 3:]) - 1
            np.testing.assert_allclose(signal.images[0, place].movedim(0, -1), over_white, atol=0.03)
            if name != "srn":
                np.testing.assert_allclose(signal.opacity[0, place, 0], pixels[..., 3], atol=0.01)
    kept = {tuple(np.round(pose[:3, 3], 4)) for signal in (shown, novel) for pose in poses(signal)}
    assert len(kept) == 4


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".tga", ".avif"])
@pytest.mark.parametrize("named", [True, False])
def test_views_of_all_formats_of_pictures_are_read(suffix, named, tmp_path):
    one, other = (blender(tmp_path / name) for name in ("one", "other"))
    for path in other.glob("images/*.png"):
        Image.open(path).save(path.with_suffix(suffix), quality=95, lossless=True)
        path.unlink()
    cameras = other / "transforms.json"
    cameras.write_text(cameras.read_text().replace(".png", suffix if named else ""))
    expected, found = (read(place, SETTINGS).images for place in (one, other))
    assert (found - expected).abs().mean() < 0.02


def test_what_is_done_to_the_views_of_an_object_is_recorded(tmp_path):
    blender(tmp_path / "data" / "a", count=12, size=48, scale=1.5)
    for _ in range(2):  # from the files, and from the cache
        with accounting() as account:
            load_all(tmp_path / "data", SETTINGS)
        changes = {change.what: change for change in account.changes["a"]}
        assert changes["moved and scaled to the cube"].values == {"centre": [0.0, 0.0, 0.0], "extent": 1.5}
        assert changes["reduced to 8 views"].amount == 12
        assert changes["with reduced views"].amount == 2


def test_points_without_a_file_are_on_the_visual_hull(tmp_path):
    blender(tmp_path / "data" / "a", count=16)
    signal = load_all(tmp_path / "data", attrs.evolve(SETTINGS, views=12, points=400)).batch([0])
    surface, _, _ = car(3).surface(4000, np.random.default_rng(0))
    between = np.linalg.norm(signal.points[0].numpy()[:, None] - surface, axis=-1).min(axis=1)
    assert between.mean() < 0.1


@pytest.mark.parametrize(("file", "key"), [("points.ply", None), ("cloud.ply", "ply_file_path")])
def test_points_come_from_a_coloured_cloud(tmp_path, file, key):
    folder = nerfstudio(tmp_path / "data" / "a")
    edited(folder, lambda content: content.update(aabb_scale=2, scale=1, offset=[0.5, 0.4, 0.5]))  # around (0, 0.1, 0)
    lines = [f"{x / 50} 0.25 -0.5 255 0 {5 * x}" for x in range(50)] + ["7 7 7 0 0 0"]
    header = "ply\nformat ascii 1.0\nelement vertex 51\nproperty float x\nproperty float y\nproperty float z\n"
    header += "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    (folder / file).write_text(header + "\n".join(lines) + "\n")
    if key:
        edited(folder, lambda content: content.update({key: file}))
    signal = load_all(tmp_path / "data", SETTINGS).batch([0])
    assert (signal.points[0, :, 1] - 0.15).abs().max() < 1e-4
    assert set((signal.points[0, :, 0] * 50).round().int().tolist()) <= set(range(50))
    blue = (signal.points[0, :, 0] * 250).round() / 127.5 - 1
    torch.testing.assert_close(signal.point_colours[0, :, 2], blue, atol=0.01, rtol=0)


def test_clouds_without_colours_are_told(tmp_path):
    folder = nerfstudio(tmp_path / "data" / "a")
    header = (
        "ply\nformat ascii 1.0\nelement vertex 20\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    (folder / "points.ply").write_text(header + "0 0 0\n" * 20)
    with pytest.raises(DataError, match=r"a/points\.ply: the vertices have no colours"):
        load_all(tmp_path / "data", SETTINGS)


def test_damaged_clouds_are_told(tmp_path):
    (nerfstudio(tmp_path / "data" / "a") / "points.ply").write_text("ply\n")
    with pytest.raises(DataError, match=r"a/points\.ply: "):
        load_all(tmp_path / "data", SETTINGS)


def test_archives_give_what_folders_give(tmp_path):
    for number in range(3):
        blender(tmp_path / "data" / f"car {number}", number, size=16)
    packed = tmp_path / "data.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((tmp_path / "data").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    settings = attrs.evolve(SETTINGS, size=16)
    assert load_all(packed, settings).fingerprint() == load_all(tmp_path / "data", settings).fingerprint()


def test_objects_are_split_classed_and_captioned(tmp_path):
    for number in range(4):
        folder = blender(tmp_path / "data" / ("b" if number % 2 else "a") / f"{number}", number, size=16)
        (folder / "caption.txt").write_text(f"car {number}\na toy\n")
    split = load(tmp_path / "data", attrs.evolve(SETTINGS, size=16, held_out=0.4))
    names = [*split.train.names, *split.held_out.names]
    assert sorted(names) == ["a/0", "a/2", "b/1", "b/3"]
    assert len(split.held_out) >= 1
    for part in (split.train, split.held_out):
        assert part.classes == ("a", "b")
        for name, label, captions in zip(part.names, part.labels.tolist(), part.captions, strict=True):
            assert part.classes[label] == name[0]
            assert captions == (f"car {name[-1]}", "a toy")


def test_views_for_tests_are_the_held_out_ones(tmp_path):
    folder = blender(tmp_path / "data" / "a", count=8)
    content = json.loads((folder / "transforms.json").read_text())
    (folder / "transforms.json").unlink()
    for name, frames in (("train", content["frames"][:5]), ("test", content["frames"][5:])):
        frames = [{**frame, "file_path": f"./{frame['file_path'][:-4]}"} for frame in frames]  # as NeRF's own files
        (folder / f"transforms_{name}.json").write_text(json.dumps({**content, "frames": frames}))
    signals = load_all(tmp_path / "data", attrs.evolve(SETTINGS, shown=6))
    assert signals.batch([0]).images.shape[1] == 5
    seen, _ = views(count=8)
    for pose in poses(signals.novel([0])):
        assert min(np.abs(camera.to_world - pose).max() for camera in seen[5:]) < 1e-5


def test_objects_with_fewer_views_make_all_show_fewer(tmp_path, caplog):
    blender(tmp_path / "data" / "few", count=4)
    blender(tmp_path / "data" / "many", 1, count=9)
    signals = load_all(tmp_path / "data", attrs.evolve(SETTINGS, shown=6))
    assert signals.batch([0, 1]).images.shape[1] == 3
    assert signals.novel([0, 1]).images.shape[1] == 1
    assert "training uses 3 training views of each object" in caplog.text
    assert "because 1 of 2 objects have fewer: few (3)" in caplog.text


def test_wide_pictures_are_cropped_with_their_cameras(tmp_path):
    whole = blender(tmp_path / "data" / "a", size=24)
    expected = load_all(tmp_path / "data", attrs.evolve(SETTINGS, size=12)).batch([0])

    def widen(content):
        content.update(w=32, cx=content["cx"] + 4)

    edited(whole, widen)
    for place, pixels in enumerate(views(count=8)[1]):
        save(whole / f"images/{place}.png", np.pad(pixels, ((0, 0), (4, 4), (0, 0))))
    cropped = load_all(tmp_path / "data", attrs.evolve(SETTINGS, size=12)).batch([0])
    torch.testing.assert_close(cropped.images, expected.images)
    torch.testing.assert_close(cropped.intrinsics, expected.intrinsics)


def test_changed_files_are_read_again(tmp_path):
    folder = blender(tmp_path / "data" / "a")
    first = load_all(tmp_path / "data", SETTINGS).fingerprint()
    assert load_all(tmp_path / "data", SETTINGS).fingerprint() == first
    save(folder / "images/7.png", views(count=8)[1][7] // 2)
    assert load_all(tmp_path / "data", SETTINGS).fingerprint() != first


@pytest.mark.parametrize("which", ["", "transforms.json"])
def test_one_object_is_read_as_a_signal(tmp_path, which):
    folder = blender(tmp_path / "a")
    signal = read(folder / which, SETTINGS)
    assert signal.images.shape == (1, 8, 3, 24, 24)
    assert signal.points.shape == (1, 64, 3)


def test_views_of_an_object_that_is_read_are_in_the_order_of_its_files(tmp_path):
    signal = read(blender(tmp_path / "a"), SETTINGS)
    cameras, pictures = views()
    for view, (camera, pixels) in enumerate(zip(cameras, pictures, strict=True)):
        np.testing.assert_allclose(signal.to_world[0, view, :3, :3], camera.to_world[:3, :3], atol=1e-6)
        np.testing.assert_allclose(signal.opacity[0, view, 0], pixels[..., 3] / 255, atol=0.01)
    spread = read(tmp_path / "a", attrs.evolve(SETTINGS, views=2, held_views=1))
    np.testing.assert_allclose(spread.to_world[0], signal.to_world[0, [1, 4, 6]], atol=1e-6)


def test_views_for_tests_are_the_last_of_an_object_that_is_read(tmp_path):
    folder = blender(tmp_path / "a")
    (folder / "transforms.json").rename(folder / "transforms_train.json")
    shutil.copy(folder / "transforms_train.json", folder / "transforms_test.json")
    frames_kept(folder / "transforms_test.json", slice(3, 4))
    frames_kept(folder / "transforms_train.json", slice(0, 3))
    signal = read(folder, SETTINGS)
    assert signal.images.shape[1] == 4
    np.testing.assert_allclose(signal.to_world[0, 3, :3, :3], views()[0][3].to_world[:3, :3], atol=1e-6)


def test_one_view_has_no_points_unless_they_are_given(tmp_path):
    folder = blender(tmp_path / "a")
    frames_kept(folder / "transforms.json", slice(0, 1))
    for opacity in ("alpha", "full"):
        signal = read(folder, attrs.evolve(SETTINGS, opacity=opacity))
        assert signal.images.shape == (1, 1, 3, 24, 24)
        assert signal.points.shape == signal.point_colours.shape == (1, 0, 3)
    header = "ply\nformat ascii 1.0\nelement vertex 20\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    header += "".join(f"property uchar {colour}\n" for colour in ("red", "green", "blue"))
    (folder / "points.ply").write_text(header + "end_header\n" + "0 0 0 255 0 0\n" * 20)
    assert read(folder, SETTINGS).points.shape == (1, 64, 3)


def test_a_folder_of_several_is_not_one(tmp_path):
    blender(tmp_path / "data" / "a")
    blender(tmp_path / "data" / "b", 1)
    with pytest.raises(DataError, match="2 objects; give the folder of one, such as"):
        read(tmp_path / "data", SETTINGS)
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match="not an object with views"):
        read(tmp_path / "c.png", SETTINGS)


def posed(content, change):
    """Give the frames of a file other poses."""
    for frame in content["frames"]:
        frame["transform_matrix"] = change(np.array(frame["transform_matrix"])).tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["frames"][2].pop("transform_matrix"), "frame 2 (images/2.png): no transform_matrix"),
        (lambda c: c["frames"][1]["transform_matrix"][0].__setitem__(0, float("nan")), "frame 1 (images/1.png)"),
        (lambda c: c["frames"][1].update(transform_matrix=[[0.0] * 4] * 3 + [[0, 0, 0, 1]]), "singular"),
        (lambda c: c.update(w=100), "intrinsics do not match the size"),
        (lambda c: c.update(cx=50), "principal point (50"),
        (lambda c: c.update(camera_model="FISHEYE"), "camera model 'FISHEYE' is not supported"),
        (lambda c: c["frames"][3].update(file_path="images/none.png"), "image images/none.png does not exist"),
        (lambda c: c.update(aabb_scale=8), "is inside the object's cube"),
        (lambda c: c.update(aabb_scale=8), "mini: the camera of images/"),
        (lambda c: c.update(aabb_scale=0.25), "the object extends beyond its cube"),
        (lambda c: posed(c, np.linalg.inv), "does not look at the object's cube"),
        (lambda c: posed(c, flipped), "give camera-to-world matrices in the axes of their format"),
    ],
)
def test_cameras_that_do_not_fit_are_told_with_the_object(tmp_path, change, words):
    edited(blender(tmp_path / "data" / "mini"), change)
    with pytest.raises(DataError) as caught:
        load_all(tmp_path / "data", SETTINGS)
    assert words in str(caught.value)
    assert "mini" in str(caught.value)


def test_outlines_that_have_nothing_in_common_are_told(tmp_path):
    folder = blender(tmp_path / "data" / "mini")
    save(folder / "images/3.png", np.zeros((24, 24, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"mini: the views contradict .* 1 view of them without any .*: images/3\.png"):
        load_all(tmp_path / "data", SETTINGS)
    with pytest.raises(DataError, match="mini: the silhouettes of its views do not intersect in the cube"):
        load_all(tmp_path / "data", attrs.evolve(SETTINGS, agreement=0.0))


def test_pictures_without_anything_opaque_are_told(tmp_path):
    folder = blender(tmp_path / "data" / "mini")
    for path in (folder / "images").iterdir():
        save(path, np.zeros((24, 24, 4), dtype=np.uint8))
    with pytest.raises(DataError, match="mini: no pixel of its images is opaque"):
        load_all(tmp_path / "data", SETTINGS)


def test_one_object_that_cannot_be_read_is_told_with_its_folder(tmp_path):
    folder = blender(tmp_path / "mini")
    (folder / "transforms.json").write_text("{")
    for path in (folder, folder / "transforms.json"):
        with pytest.raises(DataError, match=f"{folder}: transforms.json: is cut short"):
            read(path, SETTINGS)


def test_pictures_without_alpha_are_told_and_taken_where_white_is_empty(tmp_path):
    blender(tmp_path / "data" / "a", alpha=False)
    with pytest.raises(DataError, match=r"no alpha channel \(RGB\).*opacity=white"):
        load_all(tmp_path / "data", SETTINGS)
    white = load_all(tmp_path / "data", attrs.evolve(SETTINGS, opacity="white")).batch([0])
    shutil.rmtree(tmp_path / "data")
    blender(tmp_path / "data" / "a")
    alpha = load_all(tmp_path / "data", SETTINGS).batch([0])
    torch.testing.assert_close(white.images, alpha.images, atol=0.02, rtol=0)
    assert (white.opacity >= alpha.opacity - 0.01).all()
    assert ((white.opacity == 0) == (alpha.opacity < 0.02)).float().mean() > 0.98


def test_without_opacity_points_must_be_given(tmp_path):
    folder = nerfstudio(tmp_path / "data" / "a", alpha=False)
    full = attrs.evolve(SETTINGS, opacity="full")
    with pytest.raises(DataError, match=r"put a coloured points\.ply"):
        load_all(tmp_path / "data", full)
    header = "ply\nformat ascii 1.0\nelement vertex 20\nproperty float x\nproperty float y\nproperty float z\n"
    header += "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    (folder / "points.ply").write_text(header + "0 0 0 9 9 9\n" * 20)
    assert (load_all(tmp_path / "data", full).batch([0]).opacity == 1).all()


def test_damaged_pictures_are_told_and_left_out_if_not_strict(tmp_path):
    blender(tmp_path / "data" / "good")
    bad = blender(tmp_path / "data" / "bad", 1)
    content = (bad / "images/3.png").read_bytes()
    (bad / "images/3.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"bad/images/3\.png: not an image .*, or damaged: "):
        load_all(tmp_path / "data", SETTINGS)
    assert load_all(tmp_path / "data", attrs.evolve(SETTINGS, strict=False)).names == ("good",)
    (bad / "transforms.json").write_text("{")
    assert load_all(tmp_path / "data", attrs.evolve(SETTINGS, strict=False)).names == ("good",)


def test_places_without_objects_are_told(tmp_path):
    with pytest.raises(DataError, match="--data PATH"):
        load(None, SETTINGS)
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "none", SETTINGS)
    with pytest.raises(DataError, match="camera file not found"):
        load(tmp_path / "transforms.json", SETTINGS)
    save(tmp_path / "data" / "a.png", np.zeros((9, 9, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"no objects found.*Fix: estimate the cameras"):
        load(tmp_path / "data", SETTINGS)
    (tmp_path / "data" / "intrinsics.txt").write_text("1 1 1\n0 0 0\n1\n2 2\n")
    with pytest.raises(DataError, match="no poses found"):
        load(tmp_path / "data", SETTINGS)


def test_srn_cars_are_found_in_their_published_layout(tmp_path):
    for number in range(2):
        srn_object(tmp_path / "srn" / "cars_train" / f"{number}", number)
    srn_object(tmp_path / "srn" / "cars_test" / "9", 3, count=10)
    split = srn_cars(tmp_path / "srn", SETTINGS)
    assert split.train.names == ("0", "1")
    assert split.held_out.names == ("9",)
    assert split.train.classes == split.held_out.classes == ()
    signal = split.held_out.batch([0])
    np.testing.assert_allclose(np.linalg.norm(signal.to_world[0, :, :3, 3], axis=1), 2.6, rtol=1e-5)
    assert 0.05 < signal.opacity.mean() < 0.4


def test_all_views_of_test_cars_that_the_encoder_does_not_get_can_be_held_out(tmp_path):
    srn_object(tmp_path / "cars_train" / "0", 0)
    srn_object(tmp_path / "cars_test" / "9", 3, count=16)
    kept = srn_cars(tmp_path, SETTINGS)
    assert (kept.train.novel_views, kept.held_out.novel_views) == (2, 2)
    split = srn_cars(tmp_path, attrs.evolve(SETTINGS, test_views=1000))
    assert (split.train.novel_views, split.held_out.novel_views) == (2, 10)
    held = split.held_out
    whole, part = held.novel([0]), held.novel([0], range(3, 5))
    assert whole.images.shape[1] == 10
    assert part.images.equal(whole.images[:, 3:5])
    assert part.to_world.equal(whole.to_world[:, 3:5])
    known = held.batch([0]).to_world[0]
    every = torch.cat([known, whole.to_world[0]])
    assert len(torch.unique(every, dim=0)) == len(every)  # no view is given and held out
    few = srn_cars(tmp_path, attrs.evolve(SETTINGS, views=14, test_views=1000))
    assert (few.held_out.showing.views, few.held_out.novel_views) == (12, 4)


def test_missing_srn_cars_are_told_with_the_place(tmp_path):
    with pytest.raises(DataError, match=r"cars_train: no such folder.*scene-representation-networks"):
        srn_cars(tmp_path, SETTINGS)


@pytest.mark.parametrize("opacity", ["alpha", "full"])
def test_greys_of_sixteen_bits_are_scaled_and_not_clipped(opacity):
    values = np.full((8, 8), 0x4040, np.uint16)
    values[:, :4] = 7
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", transparency=7)
    pixels = read_picture(file, "a.png", 8, opacity).pixels
    assert pixels[0, 7].tolist() == [0x40, 0x40, 0x40, 255]
    assert pixels[0, 0].tolist() == ([0, 0, 0, 0] if opacity == "alpha" else [255, 255, 255, 255])
    for value, kind in ((200, np.int32), (0.5, np.float32)):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8), value, kind)).save(file, "TIFF")
        found = read_picture(file, "a.tif", 8, "full")
        assert found.pixels[0, 0, 0] == (200 if value == 200 else 128)
        assert any(change.fix for change in found.changes)
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8), 1e6, kind)).save(file, "TIFF")
        with pytest.raises(DataError, match=r"of which the value of white is unknown. Fix: convert it to 8 bits"):
            read_picture(file, "a.tif", 8, "full")


@pytest.mark.parametrize("kind", DECLARED)
def test_colours_that_views_declare_are_converted_to_srgb(tmp_path, kind):
    save_declared, suffix, wanted = DECLARED[kind]
    nerfstudio(tmp_path / "data" / "a")
    (tmp_path / "data/a/masks").mkdir()

    def change(content):
        for place, frame in enumerate(content["frames"]):
            view = Image.open(tmp_path / "data/a" / frame["file_path"])
            view.getchannel("A").save(tmp_path / f"data/a/masks/{place}.png")
            frame.update(file_path=f"images/{place}{suffix}", mask_path=f"masks/{place}.png")
            save_declared(Image.new("RGB", view.size, COLOUR), tmp_path / "data/a" / frame["file_path"])

    edited(tmp_path / "data" / "a", change)
    with accounting() as account:
        signal = load_all(tmp_path / "data", SETTINGS).batch([0])
    inside = (signal.opacity[0, :, 0] == 1).numpy()
    found = (signal.images[0].movedim(1, -1).numpy()[inside] + 1) * 127.5
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=3)
    (told,) = (each for each in account.changes["a"] if "converted to sRGB" in each.what)
    assert (told.amount, told.unit) == (8, "views")

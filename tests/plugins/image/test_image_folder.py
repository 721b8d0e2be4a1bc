"""Folders, archives and official layouts as sources."""

import json
import logging
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from attrs import evolve
from PIL import Image

import ddmi_core
from ddmi_core.errors import ConfigError, DataError
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.sources import array_cache as kept
from ddmi_core.sources import decoding as decoded
from ddmi_core.sources import folders
from ddmi_core.sources.lazy_rows import LazyRows
from ddmi_image.afhq_celeba import afhqv2_cat, afhqv2_dog, celeba_hq
from ddmi_image.folder import load
from ddmi_image.packing import area_means, pack, row_bytes
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings

SMALL = ImageSettings(size=16, multiples=(1, 2, 4), held_out=0.3)


def save(path, number, size=(64, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number * 7 % 256, number * 31 % 256, 99)).save(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(20):
        save(tmp_path / "set" / f"{i:02}.png", i, (64 + i, 90 - i))
    return tmp_path / "set"


def test_pictures_of_mixed_sizes_are_read_in_order(folder):
    split = load(folder, SMALL)
    names = [*split.train.names, *split.held_out.names]
    assert sorted(names) == [f"{i:02}.png" for i in range(20)]
    assert list(split.train.names) == sorted(split.train.names)
    assert len(split.held_out) > 0
    for part in (split.train, split.held_out):
        for i, name in enumerate(part.names):
            red = part.batch([i]).values[0, 0, 5, 5].item()
            assert (red + 1) * 127.5 == pytest.approx(int(name[:2]) * 7 % 256, abs=0.6)


@pytest.mark.parametrize("classes", [(".",), ("cats", "dogs")])
@pytest.mark.parametrize("top", ["", "set/", "./", "./set/"])
def test_an_archive_gives_the_same_as_its_folder(classes, top, tmp_path):
    folder = tmp_path / "set"
    for i in range(20):
        save(folder / classes[i % len(classes)] / f"{i:02}.png", i)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("__MACOSX/set/._00.png", b"resource fork")
        for path in folder.rglob("*"):  # with entries for the sub-folders
            archive.write(path, f"{top}{path.relative_to(folder)}")
    one, other = load(folder, SMALL), load(tmp_path / "set.zip", SMALL)
    assert one.train.classes == other.train.classes == (() if classes == (".",) else classes)
    assert one.train.fingerprint() == other.train.fingerprint()
    assert one.held_out.fingerprint() == other.held_out.fingerprint()


def test_a_table_gives_the_pixels_classes_and_split_of_its_folder(tmp_path):
    rows = []
    for i in range(20):
        side, kind = ("train", "test")[i % 4 == 3], ("cats", "dogs")[i % 2]
        save(path := tmp_path / "set" / side / kind / f"{i:02}.png", i)
        rows.append((side, {"bytes": path.read_bytes(), "path": path.name}, i % 2))
    features = {"label": {"_type": "ClassLabel", "names": ["cats", "dogs"]}}
    (tmp_path / "tables").mkdir()
    for side in ("train", "test"):
        mine = {
            "image": [row[1] for row in rows if row[0] == side],
            "label": [row[2] for row in rows if row[0] == side],
        }
        made = pa.table(mine).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(made, tmp_path / "tables" / f"{side}-00000-of-00001.parquet", row_group_size=3)
    one, other = load(tmp_path / "set", SMALL), load(tmp_path / "tables", SMALL)
    assert other.train.classes == ("cats", "dogs")
    for mine, theirs in ((one.train, other.train), (one.held_out, other.held_out)):
        own, its = ({pixels(part, i): int(part.labels[i]) for i in range(len(part))} for part in (mine, theirs))
        assert own == its
        assert len(own) == len(mine) == len(theirs)


def pixels(part, index):
    return part.batch([index]).values.numpy().tobytes()


def test_adding_pictures_moves_none_to_the_other_side(folder):
    before = load(folder, SMALL)
    for i in range(20, 30):
        save(folder / f"{i}.png", i)
    after = load(folder, SMALL)
    assert set(before.held_out.names) <= set(after.held_out.names)
    assert set(before.train.names) <= set(after.train.names)


def widths(split):
    return [level.shape[-1] for level in split.train.batch([0]).levels()]


def test_levels_are_those_that_every_picture_reaches_and_one_warning_names_the_others(folder, caplog):
    authors = evolve(SMALL, multiples=(1, 1.5, 2), shares=(0.3, 0.3, 0.4))
    with caplog.at_level(logging.WARNING):
        assert widths(load(folder, SMALL)) == [16, 32, 64]
        assert widths(load(folder, authors)) == [16, 24, 32]
    assert not caplog.messages
    save(folder / "small.png", 90, (30, 70))
    with caplog.at_level(logging.WARNING):
        assert widths(load(folder, authors)) == [16, 24]
    (message,) = caplog.messages
    assert "[1, 1.5] of domain.size = 16, not [1, 1.5, 2]" in message
    assert "signals have a size below 32: small.png (30). Fix: " in message
    save(folder / "tiny.png", 91, (9, 9))
    assert widths(load(folder, SMALL)) == [16]


def test_levels_of_any_ratio_are_means_over_areas():
    pixels = np.zeros((6, 6, 3), dtype=np.uint8)
    pixels[:, :3] = 240  # half of the picture, also at widths that cut a pixel
    levels = pack(Image.fromarray(pixels), [(side, side) for side in (3, 4, 5, 6)])
    starts = np.cumsum([0, *(3 * side * side for side in (3, 4, 5, 6))])
    rows = [
        levels[start : start + 3 * side * side].reshape(3, side, side)
        for start, side in zip(starts, (3, 4, 5, 6), strict=False)
    ]
    for row, expected in zip(rows, ([240, 120, 0], [240] * 2 + [0] * 2, [240] * 2 + [120] + [0] * 2), strict=False):
        assert (row == np.array(expected)).all()
    assert (rows[3] == pixels.transpose(2, 0, 1)).all()
    assert len(levels) == starts[-1] == row_bytes([(side, side) for side in (3, 4, 5, 6)])


@pytest.mark.parametrize("side", [5, 7, 10, 13])
def test_means_over_areas_keep_the_mean_and_equal_those_of_repeated_pixels(side):
    picture = np.random.default_rng(0).random((13, 13, 3))
    means = area_means(picture, side, side)
    repeated = picture.repeat(side, axis=0).repeat(side, axis=1).reshape(side, 13, side, 13, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(means, repeated, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"multiples": (1, 2), "shares": (0.3, 0.3, 0.4)}, ("shares = [0.3, 0.3, 0.4]", "multiples = [1, 2]")),
        ({"size": 48, "multiples": (1, 1.001)}, ("size = 48", "multiples = [1, 1.001]")),
        ({"multiples": (1, 2), "shares": (1, 0)}, ("shares = [1, 0]", "positive")),
        ({"multiples": (2, 4)}, ("multiples = [2, 4]", "from 1")),
        ({"multiples": (1, 3, 2)}, ("multiples = [1, 3, 2]", "increasing")),
        ({"multiples": ()}, ("multiples = []", "from 1")),
        ({"multiples": (1, 9)}, ("multiples = [1, 9]", "to 8")),
    ],
)
def test_impossible_levels_name_the_keys(settings, words):
    with pytest.raises(ConfigError) as caught:
        ImageSettings(**settings)
    assert all(word in str(caught.value) for word in words)


def test_sub_folders_are_classes(tmp_path):
    for kind in ("cats", "dogs"):
        for i in range(5):
            save(tmp_path / kind / f"{i}.png", i)
    split = load(tmp_path, SMALL)
    assert split.train.classes == ("cats", "dogs")
    for name, label in zip(split.train.names, split.train.labels.tolist(), strict=True):
        assert name.startswith(split.train.classes[label])
    assert load(tmp_path, ImageSettings(size=16, classes=False)).train.classes == ()


def test_limit_is_kept(folder):
    split = load(folder, ImageSettings(size=16, limit=7))
    assert len(split.train) + len(split.held_out) == 7


def test_bad_files_are_listed_or_left_out(folder, caplog):
    for i in range(7):
        (folder / f"bad{i}.png").write_bytes(b"nothing")
    whole = (folder / "03.png").read_bytes()
    with pytest.raises(DataError, match="7 files cannot be used") as caught:
        load(folder, SMALL)
    assert str(caught.value).count("not a picture") == 5
    assert "and 2 more" in str(caught.value)
    for i in range(7):
        (folder / f"bad{i}.png").unlink()
    (folder / "cut.png").write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"1 file cannot be used\n  cut\.png: not a picture .*, or damaged: "):
        load(folder, SMALL)
    with caplog.at_level(logging.WARNING):
        split = load(folder, ImageSettings(size=16, strict=False))
    assert len(split.train) + len(split.held_out) == 20
    assert "cut.png" in caplog.text


def test_missing_empty_and_foreign_places_are_told(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "none", SMALL)
    with pytest.raises(DataError, match="no pictures"):
        load(tmp_path, SMALL)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="no pictures"):
        load(tmp_path, SMALL)
    with pytest.raises(DataError, match="neither a folder nor an archive"):
        load(tmp_path / "notes.txt", SMALL)
    with pytest.raises(DataError, match="--data PATH"):
        load(None, SMALL)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"none of its pictures \(1\) can"):
        load(tmp_path, ImageSettings(strict=False))


def test_damaged_archive_is_told(folder, tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for picture in folder.iterdir():
            archive.write(picture, picture.name)
    content = bytearray(path.read_bytes())
    content[60:90] = b"x" * 30
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be used"):
        load(path, SMALL)


def test_two_pictures_are_one_a_side(tmp_path):
    save(tmp_path / "a.png", 1)
    save(tmp_path / "b.png", 2)
    split = load(tmp_path, SMALL)
    assert (len(split.train), len(split.held_out)) == (1, 1)


def test_large_sets_are_memory_mapped_and_equal_those_in_memory(folder, tmp_path, monkeypatch):
    plain = load(folder, SMALL)
    monkeypatch.setattr(decoded, "IN_MEMORY", 1000)
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "cache")
    mapped = load(folder, SMALL)
    assert all(isinstance(level, np.memmap) for level in mapped.train.grids)
    assert mapped.train.fingerprint() == plain.train.fingerprint()
    for one, other in zip(mapped.train.batch([0, 3]).levels(), plain.train.batch([0, 3]).levels(), strict=True):
        assert torch.equal(one, other)


def test_sets_beyond_memory_and_disk_are_read_from_their_files_and_are_the_same_data(folder, tmp_path, monkeypatch):
    plain = load(folder, SMALL)
    monkeypatch.setattr(decoded, "IN_MEMORY", 1000)
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    for _ in range(2):  # the fingerprint is computed once, and is known then
        lazy = load(folder, SMALL)
        assert all(isinstance(level, LazyRows) for level in lazy.train.grids)
        assert lazy.fingerprint() == plain.fingerprint()
    for given in (None, 5):
        drawn = [
            split.train.batch([0, 3], torch.Generator().manual_seed(given) if given else None).levels()
            for split in (plain, lazy)
        ]
        for one, other in zip(*drawn, strict=True):
            assert torch.equal(one, other)
    monkeypatch.setattr("ddmi_image.folder.read_picture", lambda *given: pytest.fail("decoded again"))
    assert lazy.fingerprint() == plain.fingerprint()


def test_afhq_takes_its_test_folder_as_held_out(tmp_path):
    for part, count in (("train", 4), ("test", 2)):
        for i in range(count):
            save(tmp_path / part / "cat" / f"{part}_{i}.png", i)
    split = afhqv2_cat(tmp_path, SMALL)
    assert (len(split.train), len(split.held_out)) == (4, 2)
    with pytest.raises(DataError, match=r"stargan-v2.*--data afhqv2-dog:PATH"):
        afhqv2_dog(tmp_path, SMALL)


def test_celeba_is_found_in_its_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "user_data_path", lambda name: tmp_path / "home")
    with pytest.raises(DataError, match="progressive_growing_of_gans"):
        celeba_hq(None, SMALL)
    for i in range(12):
        save(tmp_path / "CelebA-HQ-256" / f"{i:05}.jpg", i)
    below, direct = celeba_hq(tmp_path, SMALL), celeba_hq(tmp_path / "CelebA-HQ-256", SMALL)
    assert below.train.fingerprint() == direct.train.fingerprint()
    assert len(below.held_out) > 0
    with pytest.raises(DataError, match="CelebA-HQ is not there"):
        celeba_hq(tmp_path / "none", SMALL)


def test_of_several_folders_of_celeba_the_largest_pictures_are_read(tmp_path):
    for name, side in (("CelebA-HQ-256", 16), ("data512x512", 32)):
        for i in range(10):
            save(tmp_path / name / f"{i:05}.jpg", i, (side, side))
    assert widths(celeba_hq(tmp_path, SMALL)) == [16, 32]


@pytest.mark.parametrize("background", ["white", "alpha"])
def test_transparent_pictures_come_back_from_a_png(tmp_path, background):
    """What is read, written and read again is the same, with and without alpha."""
    values = np.zeros((16, 24, 4), dtype=np.uint8)
    values[:, :12] = (200, 120, 40, 255)
    values[:, 12:18] = (40, 80, 160, 128)
    Image.fromarray(values).save(tmp_path / "a.png")
    parts = build_parts(IMAGE, ImageSettings(size=(16, 24), multiples=(1,), background=background))
    signal = parts.read(tmp_path / "a.png")
    assert signal.values.shape == (1, len(parts.channels()), 16, 24)
    parts.exporters()[".png"](parts.ground_truth(signal, 0), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert written.mode == ("RGBA" if background == "alpha" else "RGB")
        found = np.asarray(written.convert("RGBA")).astype(int)
    if background == "white":
        values = np.asarray(Image.alpha_composite(Image.new("RGBA", (24, 16), "white"), Image.fromarray(values)))
    np.testing.assert_allclose(found, values, atol=2)
    assert torch.equal(parts.read(tmp_path / "b.png").values, signal.values)
    white = parts.signal_pictures(signal)
    assert white.shape == (1, 3, 16, 24)
    assert white[0, :, 0, -1].tolist() == [1, 1, 1]
    parts.exporters()[".jpg"](parts.ground_truth(signal, 0), tmp_path / "c.jpg")


def test_models_of_transparent_pictures_that_are_not_square_train_and_draw(tmp_path):
    picture = np.zeros((20, 30, 4), dtype=np.uint8)
    for number in range(6):
        picture[4:12, number : 8 + number] = (220, 40 * number, 0, 255)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    sets = ("domain.size=[16,24]", "domain.background=alpha", "domain.multiples=[1]", "sampling.count=1")
    model = ddmi_core.run(
        "image",
        tmp_path / "run",
        config=Path(__file__).parents[3] / "docs" / "tiny.toml",
        overrides=sets,
        data=str(tmp_path),
    )
    (sample,) = (tmp_path / "run" / "samples").iterdir()
    with Image.open(sample) as drawn:
        assert (drawn.mode, drawn.size) == ("RGBA", (24, 16))
    assert model.sample(1)(torch.zeros(1, 1, 2)).shape == (1, 1, 4)

"""Scenes: the same on every call, known at all times and sizes, and truly described."""

import hashlib
import math
import re

import numpy as np
import pytest
import torch

from ddmi_core.errors import DataError
from ddmi_core.sources import array_cache as kept
from ddmi_video.scenes import glyphs as glyph_module
from ddmi_video.scenes import source
from ddmi_video.scenes.balls import GRAVITY, INKS, RISES, Balls
from ddmi_video.scenes.balls import MARGIN as BORDER
from ddmi_video.scenes.balls import SPEEDS as ROLLS
from ddmi_video.scenes.catalogue import DIGITS, SCENES, scene
from ddmi_video.scenes.digits import MARGIN, SHEET, SPEEDS, Digits
from ddmi_video.scenes.glyphs import CENTRES, LEAST_HOLE, glyphs, handwritten, readable, splines
from ddmi_video.scenes.procedural_clip import PIXEL_A_FRAME, centres, folded, mean
from ddmi_video.scenes.skies import HIGH, PALETTE, Disc, Sky, colours
from ddmi_video.scenes.skies import SPEEDS as WINDS
from ddmi_video.scenes.source import digits as load_digits_source
from ddmi_video.scenes.source import load
from ddmi_video.settings import VideoSettings

COUNT = 240
WRITTEN = [scene(number, DIGITS) for number in range(80)]
MADE = [scene(number) for number in range(COUNT)]
SKIES = [made for made in MADE if isinstance(made, Sky)]
BALLS = [made for made in MADE if isinstance(made, Balls)]
SAMPLE = [next(made for made in (*MADE, *WRITTEN) if made.kind == kind) for kind in (*SCENES, *DIGITS)]
SMALL = VideoSettings(frames=4, size=24, count=60, held_out=0.3)
WRONG = f"{next(kind for kind in SCENES if kind != MADE[0].kind)}-0000"
each = pytest.mark.parametrize("made", SAMPLE, ids=lambda made: made.kind)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "user_cache_path", lambda name: folder / name)
        yield load(None, SMALL)


@each
def test_names_and_numbers_lead_to_the_same_scene(made):
    family = DIGITS if made.kind in DIGITS else SCENES
    assert scene(made.number, family) == scene(made.name) == made
    clips = [again.draw([-0.3, 0.8], 48) for again in (made, scene(made.name))]
    assert np.array_equal(*clips)
    assert clips[0].shape == (2, 3, 48, 48)
    assert clips[0].dtype == np.uint8


@pytest.mark.parametrize("which", ["day", "day-1", "dawn-0001", "day--001", WRONG, "-5", -1])
def test_unknown_scenes_are_refused_by_name(which):
    with pytest.raises(DataError, match=re.escape(str(which))):
        scene(which)


@pytest.mark.parametrize(("times", "size"), [([0.0], 0), ([1.01], 48), ([float("nan")], 48)])
def test_impossible_pictures_are_refused(times, size):
    with pytest.raises(ValueError, match=r"size=0|times from"):
        MADE[0].draw(times, size)


def test_every_kind_is_common_and_all_scenes_differ():
    for family, scenes in ((SCENES, MADE), (DIGITS, WRITTEN)):
        assert {made.kind for made in scenes} == set(family)
        assert min(sum(made.kind == kind for made in scenes) for kind in family) > len(scenes) / 15
    pictures = {made.draw([0.0], 24).tobytes() for made in MADE[:60]}
    assert len(pictures) == 60


@each
def test_larger_pictures_average_down_to_smaller_ones(made):
    times = [-0.71, 0.16, 0.93]
    native = made.draw(times, 48).astype(np.float32)
    for factor in (2, 3):
        difference = np.abs(mean(made.draw(times, 48 * factor).astype(np.float32), factor) - native)
        assert difference.mean() < 0.6
        assert np.quantile(difference, 0.98) < 8
        assert difference.max() < 32
    assert np.abs(made.draw(times, 24) - mean(native, 2)).max() <= 1


@each
def test_a_picture_depends_on_its_own_time_alone(made):
    clip = made.draw(centres(16), 48)
    for frame in (0, 5, 15):
        alone = made.draw([(2 * frame + 1) / 16 - 1], 48)[0]
        assert np.abs(alone.astype(int) - clip[frame]).max() <= 1
    assert np.array_equal(made.draw(centres(16)[::-1], 48)[::-1], clip)


@each
def test_times_between_frames_lie_between_the_frames(made):
    # Motion has no jumps: halving the step halves what changes, about.
    start = -0.4
    near, far = made.draw([start, start + 0.01, start + 0.02], 96).astype(np.float32)[[1, 2]] - made.draw([start], 96)
    assert 0 < np.abs(near).mean() < 0.8 * np.abs(far).mean()


@pytest.mark.parametrize("wind", ["left", "right"])
@pytest.mark.parametrize("speed", WINDS)
def test_clouds_drift_where_and_as_fast_as_is_said(wind, speed):
    made = next(made for made in SKIES if (made.wind, made.speed) == (wind, speed))
    size, row = 192, round((HIGH + 1) / 2 * 192)
    step = 0.125
    shifts = []
    for start in (-0.8, -0.3, 0.2, 0.7):
        first, second = made.layers[-1].density(np.array([start, start + step]), size)[0][:, row - 2 : row + 2]
        errors = {}
        for shift in range(-16, 17):
            kept = slice(max(0, shift), size + min(0, shift))
            source = slice(max(0, -shift), size + min(0, -shift))
            errors[shift] = float(np.square(second[:, kept] - first[:, source]).mean())
        shifts.append(min(errors, key=errors.__getitem__) / size * 48)
    sign = 1 if wind == "right" else -1
    low, high = WINDS[speed]
    assert low - 0.4 <= sign * np.median(shifts) <= high + 0.4
    words = " ".join(made.captions)
    assert f"to the {wind}" in words
    assert ("slowly" in words, "quickly" in words) == (speed == "slow", speed == "fast")


def test_clouds_come_nearer_from_the_horizon_and_go_away_to_it():
    for wind, sign in (("nearer", -1), ("away", 1)):
        made = next(made for made in SKIES if made.wind == wind)
        layer = made.layers[-1]
        assert np.sign(layer.wind[1]) == sign
        assert abs(layer.wind[0]) < 0.5 * abs(layer.wind[1])
        rows = layer.on_plane(np.zeros((1, 1)), centres(48)[:, None])[1][:, 0]
        assert (np.diff(rows) > 0).all()  # farther along the cloud plane is lower in the picture
        assert {"nearer": "towards us", "away": "away from us"}[wind] in " ".join(made.captions)


def test_covers_of_clouds_are_in_order():
    mean_cover = {
        cover: np.mean([m.layers[-1].density(np.zeros(1), 24)[0].mean() for m in SKIES if m.cover == cover])
        for cover in ("few", "some", "thick")
    }
    assert mean_cover["few"] + 0.1 < mean_cover["some"] < mean_cover["thick"] - 0.1
    assert mean_cover["few"] > 0.08


def test_the_sun_sets_and_rises_behind_the_hills():
    for made in SKIES[:50]:
        if made.kind in ("sunset", "sunrise"):
            _, y = made.disc.path(np.array([-1.0, 1.0]))
            start, end = y if made.kind == "sunset" else y[::-1]
            assert start < made.ridges[0].top
            assert end - start > 0.5
            clip = made.draw([-1, 1], 48).mean(axis=(1, 2, 3))
            assert (clip[0] > clip[1]) == (made.kind == "sunset")
        if made.kind == "night":
            assert made.disc is not None or made.stars
            assert ("moon" in made.captions[1]) == (made.disc is not None)
            assert ("stars" in made.captions[1]) == bool(made.stars)


def test_colours_go_through_the_table_and_skies_darken_with_the_sun():
    table = colours(PALETTE[:, 0], "")
    assert np.concatenate(list(table.values()), axis=1) == pytest.approx(PALETTE[:, 1:])
    brightness = [made.draw([0.0], 24).mean() for kind in ("day", "night") for made in SKIES[:60] if made.kind == kind]
    days = sum(made.kind == "day" for made in SKIES[:60])
    assert min(brightness[:days]) > max(brightness[days:])


@pytest.mark.parametrize("bite", [(0.0, 0.0), (0.75, -0.25)])
def test_discs_have_their_area(bite):
    disc = Disc(0.4, (0.1, -0.2), (0.3, 0.0), bite=bite)
    area = math.pi * 0.16
    if bite != (0.0, 0.0):
        d = math.hypot(*bite)
        area -= 0.16 * (2 * math.acos(d / 2) - d / 2 * math.sqrt(4 - d * d))
    found = disc.cover(np.array([-1.0, 0.0, 0.7]), 64).mean(axis=(1, 2)) * 4
    assert found == pytest.approx([area] * 3, rel=0.02)


def test_the_handwritten_digits_are_those_of_the_data_set():
    images, labels = handwritten()
    assert (images.shape, labels.shape) == ((1797, 8, 8), (1797,))
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # of scikit-learn's `load_digits`: its images and targets as bytes, one after the other
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"images": np.zeros((1797, 8, 8), np.uint8)},
        {"images": np.zeros((1797, 64), np.uint8), "labels": np.zeros(1797, np.uint8)},
        {"images": np.zeros((1797, 8, 8), float), "labels": np.zeros(1797, np.uint8)},
        {"images": np.full((1797, 8, 8), 17, np.uint8), "labels": np.zeros(1797, np.uint8)},
        {"images": np.zeros((1797, 8, 8), np.uint8), "labels": np.full(1797, 10, np.uint8)},
        {"images": np.array([{}]), "labels": np.zeros(1797, np.uint8)},
    ],
)
def test_a_damaged_file_of_digits_is_refused(arrays, tmp_path, monkeypatch):
    monkeypatch.setattr(glyph_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"handwritten_digits\.npz: missing or damaged .* Fix: pip install"):
        handwritten()
    np.savez_compressed(tmp_path / "handwritten_digits.npz", **arrays)
    with pytest.raises(DataError, match=r"handwritten_digits\.npz: missing or damaged"):
        handwritten()
    (tmp_path / "handwritten_digits.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"handwritten_digits\.npz: missing or damaged"):
        handwritten()


def test_splines_go_through_the_originals_and_slopes_are_derivatives():
    values, _ = splines(CENTRES)
    originals = handwritten()[0].astype(float) / 16
    for glyph in glyphs()[::200]:
        grey = values @ glyph.weights @ values.T
        assert grey[2:-2, 2:-2] == pytest.approx(originals[glyph.original], abs=1e-9)
    places = np.linspace(-0.9, 8.9, 57)
    step = 1e-6
    slope = (splines(places + step)[0] - splines(places - step)[0]) / (2 * step)
    assert splines(places)[1] == pytest.approx(slope, abs=1e-6)


def test_readable_digits_have_their_holes():
    ring = np.zeros((40, 40), dtype=bool)
    ring[5:35, 10:30] = True
    assert readable(ring, 1)
    ring[12:26, 15:25] = False
    assert readable(ring, 0)
    assert not readable(ring, 1)
    ring[0:2, 0:2] = True
    assert not readable(ring, 0)
    assert LEAST_HOLE < 140
    known = glyphs()
    assert len(known) > 1500
    assert all(sum(glyph.digit == digit for glyph in known) > 90 for digit in range(10))


def test_folded_ways_turn_back_at_both_ends():
    way = np.linspace(-7, 9, 400)
    place = folded(way, 0.6)
    assert np.abs(place).max() <= 0.6
    assert np.abs(np.diff(place)).max() <= np.diff(way).max() + 1e-9
    assert folded(np.array([0.0, 0.5, 1.2, 1.7, 2.4]), 0.6) == pytest.approx([-0.6, -0.1, 0.6, 0.1, -0.6])


def test_digits_stay_in_the_picture_and_bounce_at_their_speed():
    times = np.linspace(-1, 1, 801)
    for made in WRITTEN:
        for digit in made.moving:
            path = np.stack(digit.path(times))
            limits = 1 - np.array(digit.half)[:, None]
            assert (np.abs(path) <= limits - MARGIN + 1e-9).all()
            turns = np.abs(np.diff(np.sign(np.round(np.diff(path), 9)))) > 1
            assert turns.any()
            speed = np.hypot(*np.diff(path)[:, 0]) / np.diff(times)[0] / PIXEL_A_FRAME
            low, high = SPEEDS[made.pace]
            assert low - 1e-6 <= np.median(np.hypot(*np.diff(path)) / np.diff(times)[0]) / PIXEL_A_FRAME <= high + 1e-6
            assert 0 < speed <= high + 1e-6
            assert 0.75 <= digit.height <= 1.1


def test_balls_fall_freely_and_bounce_where_the_floor_is():
    times = np.linspace(-1, 1, 2001)
    step = times[1] - times[0]
    for made in BALLS:
        low, high = RISES[made.height]
        for ball in made.balls:
            x, y = ball.path(times)
            lowest = y + ball.radius
            assert lowest.max() == pytest.approx(ball.ground, abs=1e-2)
            assert lowest.max() <= ball.ground + 1e-9
            assert low - 1e-9 <= ball.rise <= high
            assert ball.ground - lowest.min() == pytest.approx(ball.rise, abs=1e-2)
            falls = np.diff(y, 2) / step**2
            assert np.median(falls) == pytest.approx(GRAVITY, rel=1e-3)
            assert np.abs(x).max() <= 1 - BORDER - ball.radius + 1e-9
            pace = np.median(np.abs(np.diff(x))) / step / PIXEL_A_FRAME
            assert ROLLS[made.pace][0] - 1e-6 <= pace <= ROLLS[made.pace][1] + 1e-6


def test_balls_are_discs_of_their_colour_where_their_path_says():
    made = next(made for made in BALLS if len(made.balls) == 1)
    ball = made.balls[0]
    times = np.array([-0.5, 0.3])
    size = 96
    clip = made.draw(times, size).astype(int)
    for frame, x, y in zip(clip, *ball.path(times), strict=True):
        rows, columns = np.meshgrid(centres(size), centres(size), indexing="ij")
        inside = (columns - x) ** 2 + (rows - y) ** 2 < (ball.radius - 0.03) ** 2
        from_ink = np.abs(frame - np.array(INKS[ball.ink])[:, None, None]).mean(axis=0)
        assert from_ink[inside].max() < 30
        assert from_ink[:12].min() > 30  # the wall above it


def test_shadows_are_darker_the_nearer_the_ball_is():
    made = next(made for made in BALLS if len(made.balls) == 1 and made.height == "high")
    ball = made.balls[0]
    touching = -ball.phase[1] * ball.period
    times = np.array([touching, touching + ball.period / 2])
    picture = np.full((2, 3, 96, 96), 200, dtype=np.float32)
    ball.shade(picture, times)
    darkest = picture.min(axis=(1, 2, 3))
    assert darkest[0] < darkest[1] - 20 < 200


def test_the_border_of_a_picture_with_digits_is_back_alone():
    for made in WRITTEN[:40]:
        clip = made.draw(np.linspace(-1, 1, 9), 64).astype(int)
        # Each row of the back has one colour: its left border's, where no digit comes.
        border = np.concatenate([clip[..., :1], clip[..., -1:]], axis=-1)
        assert (border == clip[:1, :, :, :1]).all()
        assert (clip != clip[:1, :, :, :1]).any(axis=(1, 2, 3)).all()


def test_captions_name_what_is_seen():
    numbers = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    for made in (*MADE, *WRITTEN):
        assert 2 <= len(set(made.captions)) == len(made.captions) <= 4
        assert all(text == text.strip() and "  " not in text for text in made.captions)
    for made in WRITTEN:
        for text in made.captions[1::2]:
            named = [word for word in re.findall(r"\w+", text) if word in numbers]
            assert named == [numbers[digit.glyph.digit] for digit in reversed(made.moving)]
            assert all(f"{digit.ink} {numbers[digit.glyph.digit]}" in text for digit in made.moving)
            assert text.endswith(f"on {made.back}")
        inks = {digit.ink for digit in made.moving}
        assert len(inks) == len(made.moving)
        assert made.back not in inks


def test_the_one_in_front_is_named_first():
    made = next(made for made in WRITTEN if len(made.moving) == 2)
    assert made.captions[1].index(made.moving[1].ink) < made.captions[1].index(made.moving[0].ink)


def test_the_set_holds_the_frames_of_its_scenes(split):
    for part in (split.train, split.held_out):
        for index in (0, len(part) - 1):
            made = scene(part.names[index])
            values = part.batch([index]).values[0]
            clip = made.draw(centres(SMALL.frames), SMALL.size).swapaxes(0, 1)
            assert np.abs((values.numpy() + 1) * 127.5 - clip).max() <= 1.01
            assert part.captions[index] == made.captions
            assert part.classes[part.labels[index]] == made.kind


@pytest.mark.usefixtures("split")
def test_no_original_is_on_both_sides_of_a_split():
    split = load_digits_source(None, SMALL)

    def originals(part):
        scenes = [scene(name) for name in part.names]
        return {digit.glyph.original for made in scenes if isinstance(made, Digits) for digit in made.moving}

    train, held = originals(split.train), originals(split.held_out)
    assert train
    assert held
    assert not train & held
    keys = {}
    for made in WRITTEN:
        for digit in made.moving:
            assert keys.setdefault(digit.glyph.original, made.key) == made.key
            assert len({digit.glyph.original // SHEET for digit in made.moving}) == 1
    assert len(split.train) + len(split.held_out) == SMALL.count


def test_only_scenes_that_may_be_mirrored_are(split):
    part = split.train
    generator = torch.Generator().manual_seed(0)
    plain = part.batch(range(len(part))).values
    turned = torch.zeros(len(part), dtype=torch.bool)
    for _ in range(12):
        now = part.batch(range(len(part)), generator).values
        for index, (a, b) in enumerate(zip(now, plain, strict=True)):
            if not torch.equal(a, b):
                assert torch.equal(a, b.flip(-1))
                turned[index] = True
    allowed = torch.tensor([scene(name).mirrored for name in part.names])
    assert torch.equal(turned, allowed)
    assert allowed.any()
    for name in part.names:
        words = " ".join(scene(name).captions)
        assert not (scene(name).mirrored and re.search(r"\b(left|right)\b", words))


def test_drawn_clips_are_kept_and_read_again(split, monkeypatch):
    monkeypatch.setattr(source, "draw_all", None)
    again = load(None, SMALL)
    assert again.train.fingerprint() == split.train.fingerprint()
    assert again.held_out.fingerprint() == split.held_out.fingerprint()


@pytest.mark.usefixtures("split")
def test_a_limit_chooses_among_the_scenes():
    settings = VideoSettings(frames=2, size=12, count=24, limit=10)
    split = load(None, settings)
    names = [*split.train.names, *split.held_out.names]
    assert len(names) == 10
    assert set(names) <= {scene(number).name for number in range(24)}

"""Pictures of reports: embedded whole, shown in proportion, and beside players of what browsers play."""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ddmi_core
import formula_domains
from ddmi_core.parts.media import data_url, playable
from ddmi_core.registry.registry import unregister
from ddmi_core.report import report
from ddmi_core.report.pictures import Media, Picture, embedded
from variants import returning, variant


def write_sound(artefact, path: Path) -> None:
    """A wave as a sound of 8000 samples a second."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((artefact.array() * 32767).astype("<i2").tobytes())


def decoded(url: str, kind: str) -> bytes:
    head, _, content = url.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(content)


@pytest.fixture
def sounding() -> Iterator[None]:
    """The domain with one axis as one whose files are sounds."""
    exporters = {".wav": write_sound, ".npy": formula_domains.write}
    unregister("wave")
    ddmi_core.register(variant(formula_domains.WAVE, exporters=returning(exporters)))
    yield
    unregister("wave")
    ddmi_core.register(formula_domains.WAVE)


def page_of(run: Path) -> str:
    report.build_report(run)
    return (run / "report.html").read_text()


@pytest.mark.parametrize("formula_domain", ["wave"], indirect=True)
def test_every_artefact_of_a_domain_of_sounds_can_be_heard(copied_run, sounding):
    page = page_of(copied_run)
    figures, players = page.count("<img"), re.findall(r"<audio controls[^>]* src=\"([^\"]*)\"", page)
    # Basis fields are pictures alone; every other picture is of a signal or a field.
    silent = len(re.findall(r"<span class=\"label\">\(t\), \d+", page))
    assert silent
    assert len(players) == figures - silent
    sounds = set()
    for player in players:
        with wave.open(io.BytesIO(decoded(player, "audio/wav"))) as file:
            sounds.add((file.getframerate(), file.getnframes()))
    assert sounds == {(8000, 16), (8000, 32), (8000, 64), (8000, 128)}  # the native size, and the larger views
    assert "<video" not in page


def test_a_domain_of_other_files_has_no_players(finished_run):
    page = (finished_run / "report.html").read_text()
    assert "<audio" not in page
    assert "<video" not in page


def test_wide_pictures_get_more_width_on_the_page(finished_runs):
    def widths(name):
        page = (finished_runs[name] / "report.html").read_text()
        return set(map(int, re.findall(r"style=\"width: (\d+)px\"", page)))

    assert widths("block") == {96, 168}  # squares, of two kinds of rows
    assert max(widths("wave")) == 3 * 168


@pytest.mark.parametrize(
    ("size", "player", "side", "width"),
    [
        ((64, 64), "", 96, 96),
        ((64, 128), "", 96, 96),
        ((128, 64), "", 96, 192),
        ((9000, 10), "", 96, 288),
        ((64, 64), "sound", 96, 180),
        ((64, 64), "clip", 96, 180),
        ((128, 64), "sound", 168, 336),
    ],
)
def test_the_width_is_in_proportion_with_room_for_a_player(size, player, side, width):
    assert Picture("data:", *size, **({player: "data:"} if player else {})).shown(side) == width


def test_an_embedded_picture_is_that_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = embedded(Image.fromarray(pixels), "a caption")
    with Image.open(io.BytesIO(decoded(picture.source, "image/png"))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert (picture.width, picture.height, picture.caption) == (7, 5, "a caption")
    assert picture.sound == picture.clip == ""


def frames(count, size=(24, 16)):
    """Frames of one colour each, that become lighter."""
    return [Image.new("RGB", size, (20 * number, 0, 255 - 20 * number)) for number in range(count)]


@pytest.mark.parametrize("kind", [list, tuple])
def test_frames_are_embedded_as_an_animation_that_repeats(kind):
    picture = embedded(kind(frames(6)), "a caption", Media("video/mp4", b"content"))
    with Image.open(io.BytesIO(decoded(picture.source, "image/webp"))) as image:
        assert image.n_frames == 6
        assert image.info["loop"] == 0
        for number, frame in enumerate(frames(6)):
            image.seek(number)
            image.load()
            shown = np.asarray(image.convert("RGB")).astype(int)
            assert np.abs(shown - np.asarray(frame)).max() < 12
            assert image.info["duration"] == round(1000 / 12)
    assert (picture.width, picture.height, picture.caption) == (24, 16, "a caption")
    assert decoded(picture.clip, "video/mp4") == b"content"


def test_a_single_frame_is_a_picture():
    assert embedded(frames(1)).source == embedded(frames(1)[0]).source
    assert decoded(embedded(frames(1)).source, "image/png")


def animated(artefact) -> list[Image.Image]:
    """A field in three states."""
    still = formula_domains.picture(artefact)
    return [still.point(lambda value, add=add: (value + add) % 256) for add in (0, 60, 120)]


@pytest.mark.parametrize("formula_domain", ["wave"], indirect=True)
def test_signals_and_fields_of_a_domain_that_moves_are_animated_in_the_report(copied_run):
    unregister("wave")
    ddmi_core.register(variant(formula_domains.WAVE, picture=lambda self, artefact: animated(artefact)))
    try:
        page = page_of(copied_run)
    finally:
        unregister("wave")
        ddmi_core.register(formula_domains.WAVE)
    still = len(re.findall(r"<span class=\"label\">\(t\), \d+", page))  # basis fields
    assert page.count("data:image/png") == still
    assert page.count("data:image/webp") == page.count("<img") - still > 0


@pytest.mark.parametrize(("kind", "field", "other"), [("audio/wav", "sound", "clip"), ("video/mp4", "clip", "sound")])
def test_media_go_to_the_player_of_their_kind(kind, field, other):
    picture = embedded(Image.new("RGB", (4, 4)), media=Media(kind, b"content"))
    assert decoded(getattr(picture, field), kind) == b"content"
    assert getattr(picture, other) == ""


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".wav", "audio/wav"),
        (".WAV", "audio/wav"),
        (".flac", "audio/flac"),
        (".mp4", "video/mp4"),
        (".webm", "video/webm"),
        (".png", ""),
        (".gif", ""),
        (".npy", ""),
        (".glb", ""),
        (".avi", ""),
        (".mid", ""),
        ("", ""),
    ],
)
def test_what_browsers_play_is_known_by_its_suffix(suffix, kind):
    assert playable(suffix) == kind


def test_a_data_url_holds_any_bytes():
    assert decoded(data_url("audio/wav", bytes(range(256))), "audio/wav") == bytes(range(256))

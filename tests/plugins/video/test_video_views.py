"""Views of clips: what texts ask for, and sentences for those that ask for nothing that can be drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmi_core.errors import RequestError
from ddmi_video.settings import VideoSettings
from ddmi_video.views import ClipView, parse_view

NATIVE = VideoSettings(frames=16, size=48, rate=8.0)  # 2 s


@pytest.mark.parametrize(
    ("text", "frames", "size", "seconds", "part"),
    [
        ("1080x1920@30,10s", 300, (1080, 1920), 10, (-1, 1)),
        ("96x96@24,0.5-1.5s", 24, (96, 96), 1, (-0.5, 0.5)),
        ("96x96@24,0.5s-1.5s,4s", 96, (96, 96), 4, (-0.5, 0.5)),
        ("16x48x64", 16, (48, 64), 2, (-1, 1)),
        ("5x8x8,0-1s", 5, (8, 8), 1, (-1, 0)),
        ("5x8x8,10s", 5, (8, 8), 10, (-1, 1)),
        ("96", 16, (96, 96), 2, (-1, 1)),
        ("96x64", 16, (96, 64), 2, (-1, 1)),
        ("@12", 24, (48, 48), 2, (-1, 1)),
        (",1-2s", 8, (48, 48), 1, (0, 1)),
        (" 96X96 @ 12 , 0 - 1S ", 12, (96, 96), 1, (-1, 0)),
    ],
)
def test_texts_say_size_rate_part_and_length(text, frames, size, seconds, part):
    view = parse_view(text, NATIVE)
    assert (view.frames, (view.rows, view.columns)) == (frames, size)
    assert view.seconds == pytest.approx(seconds)
    assert (view.start, view.end) == pytest.approx(part)


def test_what_is_left_out_is_native():
    view = parse_view("@8", NATIVE)
    assert (view.frames, view.rows, view.columns, view.seconds) == (16, 48, 48, 2.0)
    assert (view.start, view.end) == (-1, 1)


@given(
    rate=st.floats(0.5, 240).map(lambda rate: round(rate, 3)),
    start=st.integers(0, 19),
    tenths=st.integers(1, 20),
    length=st.sampled_from([None, 0.7, 3, 10]),
)
def test_rate_and_speed_are_just_those_asked_for(rate, start, tenths, length):
    end = min(20, start + tenths)
    view = parse_view(f"@{rate},{start / 10}-{end / 10}s" + (f",{length}s" if length else ""), NATIVE)
    assert view.rate == pytest.approx(rate)
    lasts = length or (end - start) / 10
    assert view.seconds <= lasts + 1e-3 or view.frames == 1
    assert view.seconds > lasts - 1 / rate - 1e-3
    assert view.start == pytest.approx(start / 10 - 1)
    assert view.end <= end / 10 - 1 + 1e-9
    if view.frames > 1:
        speed = (end - start) / 10 / lasts
        assert view.end - view.start == pytest.approx(view.seconds * speed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a view"),
        ("  ", "is not a view"),
        ("large", "is not a view"),
        ("48x", "is not a view"),
        ("1x2x3x4", "is not a view"),
        ("-48", "is not a view"),
        ("@", "is not a view"),
        ("48,1s,0-1s", "is not a view"),
        ("٤٨", "is not a view"),
        ("9" * 5000, "is not a view"),
        ("@" + "9" * 400, "is not a view"),
        ("0", "0 rows is out of range: 1 to 16384"),
        ("48x99999", "99999 columns"),
        ("70000x8x8", "70000 frames"),
        ("@0", "0 frames a second is out of range"),
        ("@1001", "1001 frames a second is out of range: 0.01 to 1000"),
        ("@1000,100s", "100000 frames"),
        ("16x48x48@8", "both a number of frames and a rate"),
        ("@8,0s", "invalid duration 0 s"),
        ("4x8x8,0s", "invalid duration 0 s"),
        ("400x8x8,0.1s", "4000 a second, is out of range"),
        ("4x8x8,9000s", "out of range: 0.01 to 1000"),
        ("@8,1-1s", "from 1 to 1 s is outside the clip of 2 s"),
        ("@8,1.5-0.5s", "from 1.5 to 0.5 s"),
        ("@8,1-2.5s", "from 1 to 2.5 s is outside the clip of 2 s"),
    ],
)
def test_other_texts_are_refused_in_a_sentence(text, words):
    with pytest.raises(RequestError, match=words):
        parse_view(text, NATIVE)


def test_the_sentence_shows_the_form():
    with pytest.raises(RequestError, match=r"1080x1920@30,10s or 96x96@24,0\.5-1\.5s"):
        parse_view("full hd", NATIVE)


@pytest.mark.parametrize("part", [(-1.1, 1), (0.5, 0.5), (0, 1.1), (1, -1)])
def test_parts_outside_the_time_axis_are_refused(part):
    with pytest.raises(RequestError, match="invalid part of the time axis"):
        ClipView(4, 8, 8, 1.0, *part)

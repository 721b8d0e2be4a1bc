"""Rendering: frames of clips do not depend on which others are drawn, and lengths follow views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddmi_core.api import Field, Planes
from ddmi_core.errors import RequestError
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig
from ddmi_video.parts import VideoParts
from ddmi_video.plugin import VIDEO
from ddmi_video.rendering import Slice, report_views
from ddmi_video.settings import VideoSettings
from ddmi_video.views import ClipView, parse_view

SETTINGS = VideoSettings(frames=8, size=12, rate=4.0)  # 2 s


@pytest.fixture(scope="module")
def field():
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    basis = tuple(Planes(torch.randn(1, 8, n, n, generator=generator) for _ in range(3)) for n in (6, 12))
    return Field(basis, CoarseToFineReadout((8, 8), 0, 3, ReadoutConfig(width=16)), VIDEO.layout)


@pytest.fixture(scope="module")
def clips():
    return VideoParts(VIDEO, SETTINGS).renderer


def drawn(clips, field, text):
    return clips.render(field, parse_view(text, SETTINGS)).array()


def plain(clips, field, times, rows, columns):
    """Values where frames are to be, from the field itself."""
    y, x = ((2 * torch.arange(n) + 1) / n - 1 for n in (rows, columns))
    t, y, x = torch.meshgrid(torch.as_tensor(times, dtype=torch.float32), y, x, indexing="ij")
    coords = torch.stack([x, y, t], dim=-1).view(1, -1, 3)
    with torch.no_grad():
        return field(coords).clamp(-1, 1).view(len(times), rows, columns, 3).numpy()


def test_a_clip_shows_the_field_at_the_middle_of_each_frame(clips, field):
    times = np.arange(24) / 12 + 1 / 24 - 1  # of 2 s, in [-1, 1]
    np.testing.assert_allclose(drawn(clips, field, "10x14@12"), plain(clips, field, times, 10, 14), atol=1e-5)


def test_frames_of_a_part_are_those_of_the_whole(clips, field):
    whole, part = drawn(clips, field, "20x16@12"), drawn(clips, field, "20x16@12,0.5-1.5s")
    np.testing.assert_allclose(part, whole[6:18], atol=1e-5)
    assert np.abs(part - whole[:12]).max() > 0.1


def test_a_part_of_odd_length_shows_whole_frames_at_their_times(clips, field):
    part = drawn(clips, field, "20x16@12,0.5-0.7s")  # 2.4 frames
    np.testing.assert_allclose(part, drawn(clips, field, "20x16@12")[6:8], atol=1e-5)


def test_slow_motion_has_more_frames_of_the_same_time(clips, field):
    slow, fast = drawn(clips, field, "8x8@12,4s"), drawn(clips, field, "8x8@24")
    np.testing.assert_allclose(slow, fast, atol=1e-6)


def test_frames_do_not_depend_on_the_size_of_the_others(clips, field):
    fine = drawn(clips, field, "4x60x60")
    np.testing.assert_allclose(fine[:, 2::5, 2::5], drawn(clips, field, "4x12x12"), atol=1e-5)


@pytest.mark.parametrize(
    ("view", "size", "seconds"),
    [
        (None, (8, 12, 12), 2.0),
        ((4, 6, 6), (4, 6, 6), 2.0),
        (ClipView(300, 108, 192, 10.0), (300, 108, 192), 10.0),
        (ClipView(5, 8, 8, 0.5, -0.5, 0.0), (5, 8, 8), 0.5),
    ],
)
def test_a_clip_knows_its_size_and_how_long_it_plays(clips, field, view, size, seconds):
    clip = clips.render(field, view)
    assert clip.size == size
    assert clip.extent[0] == seconds


def test_a_slice_is_the_middle_row_at_all_times(clips, field):
    found = clips.render(field, Slice(6, 10)).array()
    times = (2 * np.arange(6) + 1) / 6 - 1
    np.testing.assert_allclose(found, plain(clips, field, times, 1, 10), atol=1e-5)


def test_frames_are_computed_when_they_are_read(clips, field):
    first = next(clips.render(field, ClipView(2000, 480, 640, 80.0)).slabs())
    assert first.shape[0] < 10


@pytest.mark.parametrize("view", ["10s", (1, 2), 0, (8, 12, 70000)])
def test_other_views_are_refused(clips, field, view):
    with pytest.raises(RequestError, match="size"):
        clips.render(field, view)


@pytest.mark.parametrize("size", [8, 48, 96, 256])
def test_views_of_a_report_go_from_a_slice_to_a_larger_clip(clips, field, size):
    settings = VideoSettings(frames=4, size=size)
    (_, row), *found = report_views(settings)
    assert isinstance(row, Slice)
    assert [view[0] for _, view in found] == [4, 8, 16]
    assert found[0][1] == settings.native
    assert found[-1][1][1:] == (max(size, min(2 * size, 96)),) * 2
    assert all(VideoParts(VIDEO, settings).renderer.render(field, view) for _, view in found)

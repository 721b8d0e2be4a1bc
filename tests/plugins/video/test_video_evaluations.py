"""Figures of frames between the native ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ddmi_core.api import Split
from ddmi_core.parts import GridSet, GridSignal, native_grid
from ddmi_video.evaluations import between_frames, blend
from ddmi_video.plugin import VIDEO
from ddmi_video.rendering import ClipRenderer
from ddmi_video.settings import VideoSettings

SETTINGS = VideoSettings(frames=4, size=12)


def clips(count, seed=0, frames=4, still=False):
    """Bytes `(M, 3, T, 12, 12)`: waves that go at speeds and in directions of their own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:12, :12]
    made = np.empty((count, 3, frames, 12, 12))
    for clip in made:
        (a, b), phase, speed = rng.normal(0, 0.4, 2), rng.uniform(0, 6.3), rng.choice([-1, 1]) * rng.uniform(2, 6)
        for number in range(frames):
            time = 0 if still else (number + 0.5) / frames
            clip[:, number] = 127.5 + 120 * np.sin(a * x + b * y + phase + speed * time)
    return made.astype(np.uint8)


def set_of(*levels):
    return GridSet(levels, [f"clip-{number}" for number in range(len(levels[0]))])


class Known:
    """In place of a field: a clip that is known on one grid, and between its frames as their blend."""

    def __init__(self, values):
        self.values = values  # (B, V, T, H, W)

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index):
        return Known(self.values[index] if isinstance(index, slice) else self.values[index : index + 1])


class Shown(SimpleNamespace):
    """In place of a raster."""

    def array(self):
        return self.values


class KnownRenderer(ClipRenderer):
    """Shows what is known."""

    def render(self, field, view=None):
        values = blend(field.values, (view or self.native)[0])
        return Shown(values=values[0].movedim(0, -1).numpy())


class Model:
    """In place of a trained model: encoding keeps the signal, or gives another."""

    condition = None

    def __init__(self, settings=SETTINGS, known=lambda signal: signal.values):
        self.settings, self.known = settings, known
        self.renderer = KnownRenderer(VIDEO.layout, settings.native)

    def reconstruct(self, signal):
        return Known(self.known(signal))


@pytest.fixture(scope="module")
def split():
    return Split(train=set_of(clips(40, seed=1)), held_out=set_of(clips(20, seed=2)))


@pytest.mark.parametrize("frames", [4, 7, 8, 20])
def test_blends_of_a_steady_change_are_that_change_between_the_outer_frames(frames):
    clip = ((torch.arange(4) + 0.5) / 4).view(1, 1, 4, 1, 1)
    expected = ((torch.arange(frames) + 0.5) / frames).clamp(0.125, 0.875)
    torch.testing.assert_close(blend(clip, frames).flatten(), expected)


def test_blends_at_native_times_are_the_clip():
    clip = torch.rand(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blend(clip, 5), clip)
    torch.testing.assert_close(blend(clip, 15)[:, :, 1::3], clip)


def test_between_two_frames_each_has_a_share_by_its_distance():
    clip = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1, 1)
    assert blend(clip, 4).flatten().tolist() == [0, 0.25, 0.75, 1]


def between(model, *levels):
    return {figure.name: figure for figure in between_frames(model, Split(set_of(*levels), set_of(*levels)), 9, 0)}


@pytest.mark.parametrize("between_settings", [2, 3])
def test_frames_between_are_compared_with_those_of_the_data(between_settings):
    native, finer = clips(3), clips(3, frames=4 * between_settings)
    found = between(Model(), native, finer)
    assert list(found) == ["between_frames_db", "between_frames_blended_db", "between_frames_true_blended_db"]
    # This field is nothing but a blend.
    assert found["between_frames_db"].value == pytest.approx(found["between_frames_blended_db"].value, abs=1e-4)
    assert 15 < found["between_frames_db"].value < 45
    protocol = found["between_frames_db"].protocol
    assert (protocol["n"], protocol["frames"], protocol["native frames"]) == (3, 4 * between_settings, 4)


def test_a_field_that_knows_what_is_between_beats_the_blend():
    native, finer = clips(3), clips(3, frames=12)
    found = between(Model(known=lambda signal: native_grid(GridSignal(signal.finer[0]))), native, finer)
    assert found["between_frames_db"].value == pytest.approx(100 + 20 * np.log10(2), abs=1)  # of equal clips
    assert found["between_frames_blended_db"].value < 50


def test_blends_of_the_clip_itself_do_not_depend_on_the_field():
    native, finer = clips(3), clips(3, frames=12)
    exact, grey = (between(Model(known=known), native, finer) for known in (lambda s: s.values, lambda s: 0 * s.values))
    name = "between_frames_true_blended_db"
    assert grey[name].value == exact[name].value == pytest.approx(exact["between_frames_blended_db"].value, abs=1e-4)
    assert grey["between_frames_blended_db"].value < exact[name].value - 3


def test_two_native_frames_have_frames_between():
    settings = VideoSettings(frames=2, size=12)
    found = between(Model(settings=settings), clips(2, frames=2), clips(2, frames=4))
    assert all(np.isfinite(figure.value) for figure in found.values())


def test_data_without_frames_between_have_no_such_figure(split):
    assert between_frames(Model(), split, 8, 0) == []

"""Features of clips: what changes them, and what does not."""

from __future__ import annotations

import math

import pytest
import torch

from ddmi_video.features import DIRECTIONS, MOTION_GRID, colour_and_motion
from ddmi_video.parts import VideoParts
from ddmi_video.plugin import VIDEO
from ddmi_video.settings import VideoSettings

COLOURS = 96  # features of colours: means and changes


def moving(angle, frames=8, size=32, speed=1.5, colour=(1.0, 1.0, 1.0)):
    """A bright blot that moves through the middle, at an angle from x (to the right) towards y (down)."""
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    clip = torch.empty(1, 3, frames, size, size)
    for number in range(frames):
        along = speed * (number - (frames - 1) / 2) * size / 32
        shift = (x - size / 2 - along * math.cos(angle)) ** 2 + (y - size / 2 - along * math.sin(angle)) ** 2
        clip[0, :, number] = (2 * torch.exp(-shift / (size / 6) ** 2) - 1) * torch.tensor(colour).view(3, 1, 1)
    return clip


def parts(clip):
    """Features of one clip: colours, changes of colours, frequencies, and directions `(8,)` summed over cells."""
    row = colour_and_motion(clip)[0]
    directions = row[COLOURS + 36 :].view(DIRECTIONS, MOTION_GRID**2).sum(dim=1)
    return row[:48], row[48:COLOURS], row[COLOURS : COLOURS + 36], directions


def test_a_row_of_features_for_each_clip_whatever_its_size():
    for shape in ((2, 3, 2, 8, 8), (2, 3, 5, 48, 48), (2, 3, 16, 33, 20)):
        found = colour_and_motion(torch.rand(shape, generator=torch.Generator().manual_seed(0)))
        assert found.shape == (2, 204)
        assert found.isfinite().all()


def test_clips_are_seen_one_by_one():
    clips = torch.cat([moving(0.3), moving(2.0), moving(4.0)])
    alone = torch.cat([colour_and_motion(clip[None]) for clip in clips])
    torch.testing.assert_close(colour_and_motion(clips), alone, atol=1e-5, rtol=0)


def test_still_clips_have_colours_and_no_motion():
    still = moving(0.0)[:, :, :1].expand(-1, -1, 8, -1, -1)
    found = colour_and_motion(still)
    assert found[:, :48].std() > 0.1
    assert found[:, 48:].abs().max() < 1e-5


def test_one_colour_is_its_mean_in_each_cell():
    clip = torch.tensor([0.5, -0.25, 1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 4, 16, 16)
    means = parts(clip)[0].view(3, 16)
    torch.testing.assert_close(means, torch.tensor([[0.5], [-0.25], [1.0]]).expand(3, 16))


@pytest.mark.parametrize("eighth", range(8))
def test_most_motion_is_in_the_direction_in_which_things_go(eighth):
    directions = parts(moving(eighth * math.pi / 4))[3]
    assert directions.argmax() == eighth
    # Edges move across themselves, so some of it is in the directions beside, none in the opposite one.
    assert directions[(eighth + 4) % 8] < 0.1 * directions[eighth]


def test_backwards_and_mirrored_motion_differ_from_the_motion():
    clip = moving(0.0)
    *_, forth = parts(clip)
    for other in (clip.flip(2), clip.flip(4)):
        *_, back = parts(other)
        torch.testing.assert_close(back.roll(4), forth, atol=0.05 * forth.max().item(), rtol=0)
        assert (back - forth).norm() > forth.norm()


def test_a_mirror_image_of_motion_up_and_down_moves_alike():
    clip = moving(math.pi / 2)
    torch.testing.assert_close(parts(clip.flip(4))[3], parts(clip)[3].flip(0).roll(5), atol=1e-4, rtol=1e-3)


def test_faster_motion_has_more_of_it():
    slow, fast = (parts(moving(0.0, speed=speed))[3].sum() for speed in (0.5, 1.0))
    assert fast == pytest.approx(2 * slow.item(), rel=0.2)


def test_frequencies_tell_slow_from_fast_flicker():
    times = torch.arange(16) * 2 * math.pi / 16
    for number in (1, 2, 3, 4):
        clip = 0.5 * (number * times).cos().view(1, 1, -1, 1, 1).expand(1, 3, -1, 12, 12)
        found = parts(clip)[2].view(4, 9)
        expected = torch.zeros(4, 9)
        expected[number - 1] = 0.25  # half of the amplitude
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_little_noise_differs_little_and_other_motion_much():
    clip, generator = moving(0.0), torch.Generator().manual_seed(0)
    noisy = clip + 0.01 * torch.randn(clip.shape, generator=generator)
    near = (colour_and_motion(noisy) - colour_and_motion(clip)).norm()
    far = (colour_and_motion(moving(math.pi)) - colour_and_motion(clip)).norm()
    assert near < 0.15 * far


def test_the_size_of_frames_hardly_matters():
    small, large = colour_and_motion(moving(0.7, size=48)), colour_and_motion(moving(0.7, size=96))
    assert (small - large).norm() < 0.1 * small.norm()


def test_signals_are_described_by_the_same_features():
    class Signal:
        def levels(self):
            return (moving(1.0),)

    assert torch.equal(VideoParts(VIDEO, VideoSettings()).signal_features(Signal()), colour_and_motion(moving(1.0)))

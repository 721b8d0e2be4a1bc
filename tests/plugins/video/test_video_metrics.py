"""Agreement of changes on clips whose motion is known."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.api import Field, Planes
from ddmi_core.parts import CoarseToFineReadout, GridSignal, ReadoutConfig
from ddmi_video.evaluations import agreement_of_changes, temporal_consistency
from ddmi_video.parts import VideoParts
from ddmi_video.plugin import VIDEO
from ddmi_video.settings import VideoSettings


def noise(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def ramp(speed, frames=5):
    """`(1, 3, T, 4, 4)` that becomes lighter at a steady rate."""
    return (speed * torch.arange(frames)).view(1, 1, -1, 1, 1).expand(1, 3, -1, 4, 4)


def agreement(first, second):
    return agreement_of_changes(first, second).item()


def test_equal_changes_agree_whatever_is_shown():
    clip = noise(0, 2, 3, 6, 8, 8)
    assert agreement_of_changes(clip, clip).tolist() == [1, 1]
    assert agreement_of_changes(clip, clip + noise(1, 2, 3, 1, 8, 8)).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_changes_the_other_way_or_none_do_not_agree():
    clip = noise(0, 1, 3, 6, 8, 8)
    assert agreement(clip, -clip) == 0
    still = clip[:, :, :1].expand_as(clip)
    assert agreement(clip, still) == agreement(still, clip) == 0


def test_clips_that_stand_still_agree():
    assert agreement(ramp(0), 1 + ramp(0)) == 1


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.2), (0.1, 0.4), (0.3, 0.1), (1e-9, 3e-9)])
def test_half_the_speed_agrees_by_two_thirds(first, second):
    low, high = sorted((first, second))
    assert agreement(ramp(first), ramp(second)) == pytest.approx(2 * low / (low + high), rel=1e-5)


def test_each_clip_of_a_batch_counts_alone():
    first, second = torch.cat([ramp(0.1), ramp(0.1), ramp(0.1)]), torch.cat([ramp(0.1), ramp(0.0), ramp(0.2)])
    assert agreement_of_changes(first, second).tolist() == pytest.approx([1, 0, 2 / 3], abs=1e-5)


def test_flicker_lowers_agreement_more_the_stronger_it_is():
    values = [agreement(ramp(0.1), ramp(0.1) + size * noise(2, 1, 3, 5, 4, 4)) for size in (0.0, 0.02, 0.1, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(1)
    assert values[-1] < 0.3


def test_fields_are_compared_on_the_native_grid():
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    basis = (Planes(torch.randn(2, 8, 6, 6, generator=generator) for _ in range(3)),)
    field = Field(basis, CoarseToFineReadout((8,), 0, 3, ReadoutConfig(width=16)), VIDEO.layout)
    clips = VideoParts(VIDEO, VideoSettings(frames=4, size=8)).renderer
    own = clips.native_values(field)
    assert temporal_consistency(field, GridSignal(own), clips).tolist() == [1, 1]
    assert temporal_consistency(field, GridSignal(torch.stack([own[0], -own[1]])), clips).tolist() == [1, 0]

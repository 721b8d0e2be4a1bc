"""What feature networks see, and the check before a run."""

from __future__ import annotations

import pytest
import torch
from nerf_scenes import Medium, nothing, solids

from ddmi_core.errors import ConfigError
from ddmi_nerf.evaluation.preflight import preflight
from ddmi_nerf.parts import NerfParts
from ddmi_nerf.plugin import NERF
from ddmi_nerf.settings import NerfSettings
from ddmi_nerf.signal import ViewSignal


def noise(*shape, seed=0):
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def test_the_check_tells_what_is_missing_and_passes_the_defaults(monkeypatch):
    preflight(NerfSettings())
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    with pytest.raises(ConfigError, match=r"domain.lpips=vgg requires an extra: pip install 'ddmi\[lpips\]'; or leave"):
        preflight(NerfSettings(lpips="vgg"))
    with pytest.raises(ConfigError, match="views of 32 x 32 pixels, these have 24"):
        preflight(NerfSettings(lpips="vgg", size=24))


def test_networks_see_sixteen_views_around_a_sample_and_the_views_of_the_data():
    parts = NerfParts(NERF, NerfSettings(size=12, samples=8))
    seen = parts.pictures([Medium(solids), Medium(nothing)])
    assert seen.shape == (32, 3, 12, 12)
    assert (seen[:16] < 0.9).flatten(1).any(dim=1).all()
    assert seen[16:].min() > 0.99  # empty space over white
    signal = ViewSignal(*[noise(2, 3, 3, 12, 12)] * 7)
    pictures = parts.signal_pictures(signal)
    assert torch.equal(pictures.reshape(2, 3, 3, 12, 12), signal.images)

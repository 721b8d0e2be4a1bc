"""Features of pictures, and the check before a run."""

from __future__ import annotations

import pytest
import torch
from nerf_scenes import Medium, nothing, solids

from ddmi_core.errors import ConfigError
from ddmi_nerf.evaluation.features import colour_and_edges
from ddmi_nerf.evaluation.preflight import preflight
from ddmi_nerf.parts import NerfParts
from ddmi_nerf.plugin import NERF
from ddmi_nerf.settings import NerfSettings
from ddmi_nerf.signal import ViewSignal


def noise(*shape, seed=0):
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def test_one_colour_is_its_mean_in_each_cell_and_has_no_edges():
    picture = torch.tensor([0.5, -0.25, 1.0]).view(1, 3, 1, 1).expand(1, 3, 40, 40)
    found = colour_and_edges(picture)
    assert found.shape == (1, 80)
    torch.testing.assert_close(found[0, :48].view(3, 16), torch.tensor([[0.5], [-0.25], [1.0]]).expand(3, 16))
    assert found[0, 48:].abs().max() < 1e-5


def test_edges_are_told_by_their_direction():
    upright = torch.where((torch.arange(32) // 4) % 2 == 0, 1.0, -1.0).expand(1, 3, 32, 32)
    along, across = colour_and_edges(upright)[0, 48:].view(2, 16)
    assert along.min() > 0.5
    assert across.abs().max() < 1e-5
    turned = colour_and_edges(upright.transpose(2, 3))[0, 48:].view(2, 16)
    assert turned[1].min() > 0.5
    assert turned[0].abs().max() < 1e-5


def test_pictures_are_seen_one_by_one_and_at_any_size():
    pictures = noise(3, 3, 20, 24)
    alone = torch.cat([colour_and_edges(one[None]) for one in pictures])
    torch.testing.assert_close(colour_and_edges(pictures), alone)
    assert colour_and_edges(noise(2, 3, 128, 64)).shape == (2, 80)


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

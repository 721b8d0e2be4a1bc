"""Features of pictures: what they say, and networks from files."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddmi_core.errors import ConfigError, DataError
from ddmi_nerf.evaluation.features import colour_and_edges, view_features
from ddmi_nerf.evaluation.preflight import preflight
from ddmi_nerf.settings import PLAIN, NerfSettings


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


class Means(nn.Module):
    """Means, and the rows and columns that it was given."""

    def forward(self, pictures: Tensor) -> Tensor:
        """`(N, 5)`."""
        sizes = torch.tensor([pictures.shape[2], pictures.shape[3]]).expand(len(pictures), -1)
        return torch.cat([pictures.mean(dim=[2, 3]), sizes.float()], dim=1)


def test_a_network_from_a_file_sees_pictures_at_its_size(tmp_path):
    path = str(tmp_path / "my net.pt")
    torch.jit.script(Means()).save(path)
    found = view_features(path)
    assert found.name == "my net"
    assert "299" in found.preprocessing
    features = found.compute(noise(3, 3, 20, 24))
    assert features[:, 3:].tolist() == [[299, 299]] * 3
    torch.testing.assert_close(features[:, :3], noise(3, 3, 20, 24).mean(dim=(2, 3)), atol=0.02, rtol=0)
    preflight(NerfSettings(features=path))


def test_the_check_tells_what_is_missing_and_passes_the_defaults(tmp_path, monkeypatch):
    preflight(NerfSettings())
    assert NerfSettings().features == PLAIN
    with pytest.raises(DataError, match=r"inception.pt: no such file; domain.features takes 'colour-and-edges'"):
        preflight(NerfSettings(features=str(tmp_path / "inception.pt")))
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    with pytest.raises(ConfigError, match=r"domain.lpips=vgg requires an extra: pip install 'ddmi\[lpips\]'; or leave"):
        preflight(NerfSettings(lpips="vgg"))
    with pytest.raises(ConfigError, match="views of 32 x 32 pixels, these have 24"):
        preflight(NerfSettings(lpips="vgg", size=24))

"""The LPIPS term, with a stand-in for the package that has the same interface."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ddmi_core.errors import ConfigError
from ddmi_core.parts import LpipsTerm, PerceptualConfig
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_image.settings import ImageSettings


class StandIn(nn.Module):
    """Squared difference of one weighted channel sum."""

    def __init__(self, net: str, pretrained: bool, pnet_rand: bool, verbose: bool) -> None:
        super().__init__()
        if pretrained:
            raise OSError("no network")
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, first, second):
        return ((first - second) * self.weight[:, None, None]).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=StandIn))


def options(path="") -> PerceptualConfig:
    return PerceptualConfig(kind="lpips", weights_file=str(path))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_local_weights_are_used(package, tmp_path, suffix):
    path = tmp_path / f"network{suffix}"
    state = {"weight": torch.tensor([1.0, 0.0, 2.0])}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    difference = torch.ones(2, 3, 32, 32)
    assert float(LpipsTerm(options(path))(difference, 0 * difference)) == pytest.approx((1 + 4) / 3)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ConfigError, match=r"ddmi\[lpips\].*multiscale"):
        LpipsTerm(options())


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_unusable_weights_name_the_setting(package, tmp_path, content):
    path = tmp_path / "network.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="weights_file"):
        LpipsTerm(options(path))


def test_without_weights_or_network_the_setting_is_named(package):
    with pytest.raises(ConfigError, match=r"no network.*weights_file"):
        LpipsTerm(options())


def test_transparent_pictures_are_compared_over_white(package, tmp_path):
    path = tmp_path / "network.pth"
    torch.save({"weight": torch.ones(3)}, path)
    settings = ImageSettings(size=32, multiples=(1,), background="alpha")
    parts = build_parts(domain_named("image"), settings)
    term = parts.perceptual()["lpips"](options(path))
    assert (term.axes, term.smallest) == (2, 32)
    clear = -torch.ones(1, 4, 32, 32)  # all of colour and alpha are 0
    white = torch.ones(1, 4, 32, 32)
    assert float(term(clear, white)) == 0
    black = torch.cat([clear[:, :3], white[:, 3:]], dim=1)
    assert float(term(clear, black)) == float(LpipsTerm(options(path))(white[:, :3], black[:, :3])) == 4

"""A stand-in of the package `lpips`, whose networks are not reachable in tests."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn


class Distance(nn.Module):
    """In place of LPIPS: the mean absolute difference, times a weight that its file brings."""

    def __init__(self, net: str, pretrained: bool, pnet_rand: bool, verbose: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.weight * (first - second).abs().mean(dim=(1, 2, 3), keepdim=True)


def install(monkeypatch: pytest.MonkeyPatch, path: Path, weight: float) -> Path:
    """Put the stand-in in the place of the package, and write the file of its weight."""
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Distance))
    torch.save({"weight": torch.tensor([weight])}, path)
    return path

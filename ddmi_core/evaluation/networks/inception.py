"""The Inception network that FID is defined by, for the weights of torch-fidelity and pytorch-fid.

Inception v3 (arXiv 1512.00567) as in the graph `inception-2015-12-05` of TensorFlow: average pools leave out the
padding, and the last block pools by maxima. Names of parameters are those of torchvision, as in the published files.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 1008


class Inception(nn.Module):
    """Pictures `(B, 3, 299, 299)` in [-1, 127/128] to the 2048 features of the last average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (_A(channels, pool) for channels, pool in _FIRST)
        self.Mixed_6a = _B(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_C(768, inner) for inner in (128, 160, 160, 192))
        self.Mixed_7a = _D(768)
        self.Mixed_7b, self.Mixed_7c = _E(1280, "average"), _E(2048, "maximum")
        self.fc = nn.Linear(2048, CLASSES)  # in the files; features are taken before it

    def forward(self, pictures: Tensor) -> Tensor:
        """Features `(B, 2048)`."""
        features: Tensor = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pictures)))
        features = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(features, 3, 2)))
        features = F.max_pool2d(features, 3, 2)
        for block in self.children():
            if isinstance(block, _Block):
                features = block(features)
        return features.mean(dim=(2, 3))


_FIRST = ((192, 32), (256, 64), (288, 64))


class _Convolution(nn.Module):
    def __init__(self, given: int, made: int, size: int | tuple[int, int], stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        sides = (size, size) if isinstance(size, int) else size
        # Convolutions along one axis keep its length.
        around = padding if isinstance(size, int) else (size[0] // 2, size[1] // 2)
        self.conv = nn.Conv2d(given, made, sides, stride, around, bias=False)
        self.bn = nn.BatchNorm2d(made, eps=0.001)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, given, H, W)` to `(B, made, H', W')`."""
        return F.relu(self.bn(self.conv(features)))


class _Block(nn.Module):
    """Branches whose outputs are joined; a branch is a chain of convolutions by name."""

    chains: Sequence[Sequence[str]] = ()
    pool = "average"  # "average" or "maximum" before `branch_pool`, or "shrink", maxima alone
    branch_pool: nn.Module

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the joined branches."""
        found = []
        for chain in self.chains:
            branch = features
            for name in chain:
                # Names joined by + are alternatives on the same input.
                parts = [getattr(self, part)(branch) for part in name.split("+")]
                branch = torch.cat(parts, dim=1)
            found.append(branch)
        if self.pool == "shrink":
            return torch.cat([*found, F.max_pool2d(features, 3, 2)], dim=1)
        if self.pool == "average":
            pooled = F.avg_pool2d(features, 3, 1, 1, count_include_pad=False)
        else:
            pooled = F.max_pool2d(features, 3, 1, 1)
        return torch.cat([*found, self.branch_pool(pooled)], dim=1)


class _A(_Block):
    chains = (
        ("branch1x1",),
        ("branch5x5_1", "branch5x5_2"),
        ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
    )

    def __init__(self, given: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Convolution(given, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = _Convolution(given, 48, 1), _Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Convolution(given, 64, 1)
        self.branch3x3dbl_2 = _Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Convolution(96, 96, 3, padding=1)
        self.branch_pool = _Convolution(given, pooled, 1)


class _B(_Block):
    chains = (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))
    pool = "shrink"

    def __init__(self, given: int) -> None:
        super().__init__()
        self.branch3x3 = _Convolution(given, 384, 3, stride=2)
        self.branch3x3dbl_1 = _Convolution(given, 64, 1)
        self.branch3x3dbl_2 = _Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Convolution(96, 96, 3, stride=2)


class _C(_Block):
    chains = (
        ("branch1x1",),
        ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
        tuple(f"branch7x7dbl_{number}" for number in range(1, 6)),
    )

    def __init__(self, given: int, inner: int) -> None:
        super().__init__()
        wide, tall = (1, 7), (7, 1)
        self.branch1x1 = _Convolution(given, 192, 1)
        self.branch7x7_1 = _Convolution(given, inner, 1)
        self.branch7x7_2, self.branch7x7_3 = _Convolution(inner, inner, wide), _Convolution(inner, 192, tall)
        self.branch7x7dbl_1 = _Convolution(given, inner, 1)
        self.branch7x7dbl_2, self.branch7x7dbl_3 = _Convolution(inner, inner, tall), _Convolution(inner, inner, wide)
        self.branch7x7dbl_4, self.branch7x7dbl_5 = _Convolution(inner, inner, tall), _Convolution(inner, 192, wide)
        self.branch_pool = _Convolution(given, 192, 1)


class _D(_Block):
    chains = (("branch3x3_1", "branch3x3_2"), tuple(f"branch7x7x3_{number}" for number in range(1, 5)))
    pool = "shrink"

    def __init__(self, given: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Convolution(given, 192, 1), _Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Convolution(given, 192, 1)
        self.branch7x7x3_2, self.branch7x7x3_3 = _Convolution(192, 192, (1, 7)), _Convolution(192, 192, (7, 1))
        self.branch7x7x3_4 = _Convolution(192, 192, 3, stride=2)


class _E(_Block):
    chains = (
        ("branch1x1",),
        ("branch3x3_1", "branch3x3_2a+branch3x3_2b"),
        ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a+branch3x3dbl_3b"),
    )

    def __init__(self, given: int, pool: str) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = _Convolution(given, 320, 1)
        self.branch3x3_1 = _Convolution(given, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = _Convolution(384, 384, (1, 3)), _Convolution(384, 384, (3, 1))
        self.branch3x3dbl_1 = _Convolution(given, 448, 1)
        self.branch3x3dbl_2 = _Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = _Convolution(384, 384, (1, 3)), _Convolution(384, 384, (3, 1))
        self.branch_pool = _Convolution(given, 192, 1)

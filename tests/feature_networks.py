"""Stand-ins for the feature networks that papers use: their signatures and layouts, with random weights."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def scripted(network: nn.Module, path: Path) -> Path:
    """A network as a TorchScript file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.script`", category=DeprecationWarning)
        torch.jit.script(network).save(str(path))
    return path


def random_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights that keep the size of features: the same for the same names and shapes."""
    generator, found = torch.Generator().manual_seed(0), {}
    for name in sorted(shapes):
        shape = shapes[name]
        if name.endswith("num_batches_tracked"):
            continue  # the published files have them or not
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            values = 1 + 0.2 * values.abs()
        elif len(shape) > 1:
            values *= (2 / values[0].numel()) ** 0.5
        elif name.endswith("weight") or name.endswith("gamma"):
            values = 1 + 0.2 * values
        else:
            values *= 0.1
        found[name] = values
    return found


def layout(state: Mapping[str, Tensor]) -> str:
    """Digest of names and shapes, without counters of batches."""
    lines = [f"{key} {tuple(state[key].shape)}" for key in sorted(state) if not key.endswith("num_batches_tracked")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class NvidiaInception(nn.Module):
    """The call of `inception-2015-12-05.pt`: 8-bit pictures of any size, class probabilities unless told otherwise."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.output = nn.Conv2d(3, 8, 5, 4), nn.Linear(8, 6)

    def forward(
        self, img: Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        x = F.interpolate(img.to(torch.float32), (61, 61), mode="bilinear", align_corners=False)
        features = F.relu(self.layer((x - 128) / 128)).mean(dim=[2, 3])
        if return_features:
            return features
        logits = F.linear(features, self.output.weight) if no_output_bias else self.output(features)
        return F.softmax(logits, dim=1)


class StyleganVI3d(nn.Module):
    """The call of `i3d_torchscript.pt`: scaling, resizing and logits each only if asked for."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.output = nn.Conv3d(3, 8, (2, 5, 5), (1, 4, 4)), nn.Linear(8, 5)

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        x = x.to(torch.float32)
        if resize:
            x = F.interpolate(x, (x.shape[2], 40, 40), mode="trilinear", align_corners=False)
        if rescale:
            x = 2 * x / 255 - 1
        logits = self.output(F.relu(self.layer(x)).mean(dim=[2, 3, 4]))
        return logits if return_features else F.softmax(logits, dim=1)


class Returning(nn.Module):
    """What `kind` says, of pictures: `features`, `probabilities`, `logarithms`, `constants`, `nothing`, `one`."""

    def __init__(self, kind: str = "features"):
        super().__init__()
        torch.manual_seed(2)
        self.kind = kind
        self.layer = nn.Conv2d(3, 6, 3, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.layer(pictures).mean(dim=[2, 3])
        if self.kind == "probabilities":
            return F.softmax(features, dim=1)
        if self.kind == "logarithms":
            return F.log_softmax(features, dim=1)
        if self.kind == "constants":
            return torch.ones_like(features)
        if self.kind == "nan":
            return features / torch.zeros_like(features)
        if self.kind == "one":
            return features.mean()
        return features

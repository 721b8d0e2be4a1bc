"""Adversarial loss: patch discriminators, hinge loss, feature matching, and the adaptive weight of VQGAN."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from ddmi_core.autoencoder.config import AdversarialConfig
from ddmi_core.draws import per_row
from ddmi_core.errors import ConfigError
from ddmi_core.networks import convolution


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of grids with any number of axes."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class PatchDiscriminator(nn.Module):
    """Classifies overlapping parts of patches as real or rendered (PatchGAN, arXiv 1611.07004, section 3.2).

    The kind `small` has two layers of stride 2 with kernels of 3 cells, a receptive field of 17 cells, and normalises
    over whole patches. `patchgan` is that of pix2pix, with kernels of 4 cells, three layers of stride 2, and a
    receptive field of 70 cells; it normalises over the batch of its process, and also gets the extra columns of the
    layout, such as the footprint, as channels.

    Args:
        axes: number of grid axes of the patches.
        values: value channels.
        width: channels of the first layer.
        kind: `small` or `patchgan`.
        extra: channels that the kind `patchgan` gets in addition to the values.
    """

    def __init__(self, axes: int, values: int, width: int, kind: str = "small", extra: int = 0) -> None:
        super().__init__()
        small = kind == "small"
        self.extra = 0 if small else extra
        kernel = (3 if small else 4,) * axes
        # Outputs and stride of each layer; the first has no normalisation, the last gives the logits.
        hidden = [(width, 1), (2 * width, 2), (4 * width, 2)]
        if not small:
            hidden = [(width, 2), (2 * width, 2), (4 * width, 2), (8 * width, 1)]
        layers: list[nn.Module] = []
        before = values + self.extra
        for number, (outputs, stride) in enumerate(hidden):
            layers.append(convolution(axes, before, outputs, kernel, stride))
            if number:
                layers.append(nn.GroupNorm(1, outputs) if small else _BatchNorm(outputs))
            layers.append(nn.LeakyReLU(0.2))
            before = outputs
        layers.append(convolution(axes, before, 1, kernel))
        self.layers = nn.Sequential(*layers)
        if not small:
            self.apply(_as_pix2pix)

    def forward(self, patch: Tensor, extra: Tensor) -> list[Tensor]:
        """Features after each activation, and last the logits, of patches `(B, V, *patch)`.

        Args:
            patch: values.
            extra: extra columns, `(B, X, *patch)`.
        """
        found = torch.cat([patch, extra], dim=1) if self.extra else patch
        outputs = []
        for layer in self.layers:
            found = layer(found)
            if isinstance(layer, nn.LeakyReLU):
                outputs.append(found)
        return [*outputs, found]


def _as_pix2pix(module: nn.Module) -> None:
    """The initial weights of pix2pix."""
    if isinstance(module, _ConvNd):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, _BatchNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)


class Discriminators(nn.ModuleList):
    """Discriminators of patches with different numbers of axes, slowest axis first.

    Args:
        config: kind, width and numbers of axes.
        axes: number of grid axes of the patches.
        values: value channels.
        extra: extra columns of the layout.

    Raises:
        ConfigError: if a discriminator has more axes than the patches.
    """

    def __init__(self, config: AdversarialConfig, axes: int, values: int, extra: int) -> None:
        self.axes = config.axes or (axes,)
        if max(self.axes) > axes:
            raise ConfigError(
                f"autoencoder.adversarial.axes={list(self.axes)}: patches of this domain have {axes} axes. Fix: give "
                f"numbers up to {axes}"
            )
        super().__init__(PatchDiscriminator(n, values, config.width, config.kind, extra) for n in self.axes)

    def forward(self, patches: Sequence[tuple[Tensor, Tensor]]) -> list[list[Tensor]]:
        """Outputs of each discriminator for its own patches: values, and extra columns."""
        return [network(*patch) for network, patch in zip(self, patches, strict=True)]


def sliced(patches: Sequence[Tensor], axes: int, generator: torch.Generator) -> list[Tensor]:
    """The last `axes` axes of patches `(B, C, *patch)`, at a random position along the others.

    The position is another one for each signal, and the same for all patches.
    """
    found = list(patches)
    for length in patches[0].shape[2 : patches[0].ndim - axes]:
        rows = torch.arange(len(patches[0]), device=patches[0].device)
        drawn = per_row(generator, len(rows), partial(_positions, length)).to(rows.device)
        found = [patch[rows, :, drawn] for patch in found]
    return found


def _positions(length: int, rows: int, generator: torch.Generator) -> Tensor:
    return torch.randint(length, (rows,), generator=generator, device=generator.device)


def hinge_loss(real: Tensor, rendered: Tensor) -> Tensor:
    """Discriminator's hinge loss (arXiv 1705.02894)."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + rendered).mean())


def feature_matching(real: Sequence[Tensor], rendered: Sequence[Tensor]) -> Tensor:
    """Sum over layers of the mean absolute difference of features (pix2pixHD, arXiv 1711.11585, equation 4).

    Args:
        real: outputs of a discriminator, the logits last; they get no gradient.
        rendered: the same of rendered patches.
    """
    pairs = zip(real[:-1], rendered[:-1], strict=True)
    return torch.stack([F.l1_loss(ours, theirs.detach()) for theirs, ours in pairs]).sum()


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """Ratio of the gradient norms of both losses at the last layer (VQGAN, arXiv 2012.09841, equation 7)."""
    (own,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (other,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    weight: Tensor = own.norm() / (other.norm() + 1e-4)
    return weight.clamp(0, 1e4).detach()

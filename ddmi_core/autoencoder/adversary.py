"""Adversarial loss (VQGAN): patch discriminator, hinge loss and adaptive weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.networks import convolution


class PatchDiscriminator(nn.Module):
    """Classifies overlapping parts of patches as real or rendered (PatchGAN, arXiv 1611.07004, section 3.2).

    Args:
        axes: number of grid axes of the patches.
        values: value channels.
        width: channels of the first layer.
    """

    def __init__(self, axes: int, values: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(axes, values, width), nn.LeakyReLU(0.2)]
        for number in range(2):
            layers += [
                convolution(axes, width << number, width << (number + 1), stride=2),
                nn.GroupNorm(1, width << (number + 1)),
                nn.LeakyReLU(0.2),
            ]
        layers.append(convolution(axes, width << 2, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, patch: Tensor) -> Tensor:
        """Logits of patches `(B, V, *patch)`."""
        logits: Tensor = self.layers(patch)
        return logits


def hinge_loss(real: Tensor, rendered: Tensor) -> Tensor:
    """Discriminator's hinge loss (arXiv 1705.02894)."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + rendered).mean())


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """Ratio of the gradient norms of both losses at the last layer (VQGAN, arXiv 2012.09841, equation 7)."""
    (own,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (other,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    weight: Tensor = own.norm() / (other.norm() + 1e-4)
    return weight.clamp(0, 1e4).detach()

"""Spectral regularisation: a penalty on the largest singular values of convolutions (NVAE, arXiv 2007.03898)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

_SQUARINGS = 10  # 2^10 power iterations: the result is within 0.2 % for matrices of up to 4,096 rows or columns


def largest_singular_value(matrix: Tensor) -> Tensor:
    """Largest singular value of a matrix `(R, C)`, from below, as a scalar with a gradient.

    The Gram matrix of the shorter side is squared repeatedly, which is a power iteration whose number of steps doubles,
    and its column of largest norm is the singular vector. So the value depends on the matrix alone: there is no vector
    to keep between steps, as a power iteration of a few steps needs, and a resumed training takes the same values.
    """
    with torch.autocast(matrix.device.type, enabled=False):
        matrix = matrix.float()
        flat = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.t()
        with torch.no_grad():
            power = flat @ flat.t()
            for _ in range(_SQUARINGS):
                power = power / power.norm().clamp_min(1e-30)
                power = power @ power
            # The diagonal of a power of a Gram matrix holds the squared norms of the columns of its root.
            left = F.normalize(power.index_select(1, power.diagonal().argmax().unsqueeze(0)).squeeze(1), dim=0)
            right = F.normalize(flat.t() @ left, dim=0)
        value: Tensor = left @ (flat @ right)
    return value


def spectral_penalty(*networks: nn.Module) -> Tensor:
    """Sum over all convolutions of the largest singular value, and over group normalisations of the largest scale.

    A convolution is the matrix `(outputs, inputs * kernel)` (NVAE, section 3.2; its official code adds the scales of
    normalisations, which could otherwise undo the penalty).
    """
    terms = []
    for module in (module for network in networks for module in network.modules()):
        if isinstance(module, _ConvNd):
            terms.append(largest_singular_value(module.weight.flatten(1)))
        elif isinstance(module, nn.GroupNorm) and module.affine:
            terms.append(module.weight.abs().max())
    return torch.stack(terms).sum()

"""Distances between sets of fields, on a domain's own features."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet(first: Tensor, second: Tensor) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` (Dowson and Landau 1982; arXiv 1706.08500, equation 6).

    Args:
        first, second: `(n, F)` and `(m, F)`, n and m at least 2.
    """
    shift = first.double().mean(0) - second.double().mean(0)
    # With S = R^T R for both sets, the eigenvalues of S1 S2 are the squared singular values of R1 R2^T.
    own, other = _factor(first.double()), _factor(second.double())
    cross = torch.linalg.svdvals(own @ other.T).sum()
    return float(shift.square().sum() + own.square().sum() + other.square().sum() - 2 * cross)


def nearest(queries: Tensor, items: Tensor) -> list[int]:
    """Index of the item nearest to each query, in features `(n, F)` and `(m, F)`."""
    return torch.cdist(queries.double(), items.double()).argmin(dim=1).tolist()


def _factor(rows: Tensor) -> Tensor:
    """A matrix R whose `R^T R` is the covariance of rows `(n, F)`."""
    _, factor = torch.linalg.qr(rows - rows.mean(0), mode="r")
    scaled: Tensor = factor / (len(rows) - 1) ** 0.5
    return scaled

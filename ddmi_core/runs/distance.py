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
    first, second = first.double(), second.double()
    own, other = (torch.cov(rows.T, correction=1).reshape(rows.shape[1], -1) for rows in (first, second))
    root = _root(own)
    # The eigenvalues of S1 S2 are those of the symmetric S1^(1/2) S2 S1^(1/2).
    cross = torch.linalg.eigvalsh(root @ other @ root).clamp_min(0).sqrt().sum()
    spread = own.trace() + other.trace() - 2 * cross
    return float((first.mean(0) - second.mean(0)).square().sum() + spread)


def nearest(queries: Tensor, items: Tensor) -> list[int]:
    """Index of the item nearest to each query, in features `(n, F)` and `(m, F)`."""
    return torch.cdist(queries.double(), items.double()).argmin(dim=1).tolist()


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return root

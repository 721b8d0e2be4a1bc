"""Set metrics from pairwise distances: MMD, coverage and 1-NN accuracy."""

from __future__ import annotations

import torch
from torch import Tensor


def minimum_matching_distance(between: Tensor) -> float:
    """Mean over the references of the distance to the nearest sample (arXiv 1707.02392, section 5); lower is better.

    Args:
        between: `(samples, references)`, distances.
    """
    return float(between.min(dim=0).values.mean())


def coverage(between: Tensor) -> float:
    """Share of the references that are nearest to at least one sample (arXiv 1707.02392, section 5).

    Args:
        between: `(samples, references)`, distances.
    """
    return len(set(between.argmin(dim=1).tolist())) / between.shape[1]


def one_nearest_neighbour_accuracy(samples: Tensor, between: Tensor, references: Tensor) -> float:
    """Leave-one-out accuracy of a 1-nearest-neighbour classifier of the two sets (arXiv 1906.12320, section 5.2).

    0.5 for indistinguishable sets, 1 for separate sets, below 0.5 if samples copy references.

    Args:
        samples: `(n, n)`, distances among the samples; the diagonal is ignored.
        between: `(n, m)`, from samples to references.
        references: `(m, m)`, among the references.
    """
    n, m = between.shape
    whole = torch.cat([torch.cat([samples, between], dim=1), torch.cat([between.T, references], dim=1)])
    whole = whole.clone().fill_diagonal_(float("inf"))
    own = torch.arange(n + m) < n
    return float((own[whole.argmin(dim=1)] == own).double().mean())

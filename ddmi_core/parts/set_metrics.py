"""Set metrics from pairwise distances: MMD, coverage and 1-NN accuracy.

A sample that failed, and so has no distance to anything, has infinite distances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api.evaluation import Estimate

DRAWS = 20  # of the larger set


def minimum_matching_distance(between: Tensor) -> Estimate:
    """Mean over the references of the distance to the nearest sample (arXiv 1707.02392, section 5); lower is better.

    Args:
        between: `(samples, references)`, distances; infinite for samples that failed, but not for all.
    """
    return Estimate.mean(between.min(dim=0).values)


def coverage(between: Tensor) -> Estimate:
    """Share of the references that are nearest to at least one sample (arXiv 1707.02392, section 5).

    Args:
        between: `(samples, references)`, distances; infinite for samples that failed.
    """
    nearest = between.min(dim=1)
    found = set(nearest.indices[nearest.values.isfinite()].tolist())
    return Estimate.share(len(found) / between.shape[1], between.shape[1])


def one_nearest_neighbour_accuracy(samples: Tensor, between: Tensor, references: Tensor, seed: int = 0) -> Estimate:
    """Leave-one-out accuracy of a 1-nearest-neighbour classifier of the two sets (arXiv 1906.12320, section 5.2).

    0.5 for indistinguishable sets (exactly `(n - 1) / (2 n - 1)` of n each), 1 for separate sets, below 0.5 if samples
    copy references. This holds for sets of equal size alone: samples that failed are left out, and the figure is the
    mean over random subsets of the larger set, as large as the smaller one.

    The interval counts two points that are each other's nearest as one, because they are right or wrong together
    (Schilling 1986, the variance of nearest-neighbour tests).

    Args:
        samples: `(n, n)`, distances among the samples; the diagonal is ignored.
        between: `(n, m)`, from samples to references; infinite for samples that failed.
        references: `(m, m)`, among the references.
        seed: of the subsets.

    Raises:
        ValueError: if no sample or no reference is left.
    """
    kept, n = ~between.isinf().all(dim=1), len(between)
    first, second = kept.nonzero()[:, 0], n + torch.arange(between.shape[1])
    size = min(len(first), len(second))
    if not size:
        raise ValueError(f"1-NN accuracy needs samples and references; got {len(first)} and {len(second)}")
    whole = torch.cat([torch.cat([samples, between], dim=1), torch.cat([between.T, references], dim=1)])
    generator = torch.Generator().manual_seed(seed)
    right, mutual = [], []
    for _ in range(1 if len(first) == len(second) else DRAWS):
        drawn = [rows[torch.randperm(len(rows), generator=generator)[:size].sort().values] for rows in (first, second)]
        rows = torch.cat(drawn)
        nearest = whole[rows][:, rows].fill_diagonal_(float("inf")).argmin(dim=1)
        own, numbers = rows < n, torch.arange(2 * size)
        right.append((own[nearest] == own).double().mean())
        mutual.append((nearest[nearest] == numbers).double().mean())
    return Estimate.share(float(torch.stack(right).mean()), 2 * size / (1 + float(torch.stack(mutual).mean())))

"""Distances between sets of features `(n, F)`: Fréchet, KID, precision and recall, density and coverage, copying."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api.evaluation import Estimate as Estimate

SUBSET = 1000  # rows of each set in one subset of KID (arXiv 1801.01401, section 4)
LARGER = 4  # the larger set has at most this many times as many
ENTRIES = 2**19  # of a block of distances: 4 MB
RESAMPLES = 1000  # of a bootstrap


class Moments:
    """Number, mean and covariance of rows that come in parts: memory O(F^2) for any number of rows.

    Updates in float64 by Chan, Golub and LeVeque (1979), equation 2.1, which do not cancel as sums of squares do.

    Attributes:
        n: number of rows.
        mean: `(F,)`.
        scatter: `(F, F)`, sum of outer products of the deviations from the mean.

    Example:
        >>> moments = Moments()
        >>> for rows in parts:
        ...     moments.add(rows)
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = self.scatter = torch.zeros(0, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        """Add rows `(k, F)`."""
        if not len(rows):
            return
        part = Moments()
        part.n, part.mean = len(rows), rows.double().mean(0)
        centred = rows.double() - part.mean
        part.scatter = centred.T @ centred
        self.merge(part)

    def merge(self, other: Moments) -> None:
        """Add the rows of other moments, e.g. those of another process."""
        if not other.n:
            return
        if not self.n:
            self.n, self.mean, self.scatter = other.n, other.mean.clone(), other.scatter.clone()
            return
        total = self.n + other.n
        shift = other.mean - self.mean
        self.scatter += other.scatter
        self.scatter.addr_(shift, shift, alpha=self.n * other.n / total)
        self.mean = self.mean + shift * (other.n / total)
        self.n = total

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance `(F, F)`; n is at least 2."""
        return self.scatter / (self.n - 1)

    def factor(self) -> Tensor:
        """A matrix R `(r, F)` of full rank r whose `R^T R` is the covariance."""
        values, vectors = torch.linalg.eigh(self.covariance)
        # Rounding leaves eigenvalues near zero where the rank is less than F; their roots would add up.
        kept = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
        root: Tensor = values[kept].sqrt()[:, None] * vectors.T[kept]
        return root


def frechet(samples: Tensor | Moments, reference: Tensor | Moments) -> float:
    """Fréchet distance of two sets, given as rows `(n, F)` or as moments; n is at least 2.

    `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` (arXiv 1706.08500, equation 6); the FID if the features are those of
    its Inception network. It falls with n, so only distances of equal n are comparable (arXiv 1911.07023).

    Rows cost O(n^2 F) for n < F, and are exact to rounding there.
    """
    (first, own), (second, other) = _gaussian(samples), _gaussian(reference)
    # The eigenvalues of S1 S2 are the squared singular values of R1 R2^T.
    cross = torch.linalg.svdvals(own @ other.T).sum()
    return float((first - second).square().sum() + own.square().sum() + other.square().sum() - 2 * cross)


def kid(samples: Tensor, reference: Tensor, seed: int = 0) -> Estimate:
    """Kernel Inception distance (arXiv 1801.01401, section 4) of rows `(n, F)` and `(m, F)`, n and m at least 4.

    Unbiased estimate of the squared maximum mean discrepancy with the kernel `(x.y / F + 1)^3`: it can be negative,
    and its expectation is zero for equal distributions at any n. Sets of up to about 1,000 rows are compared whole;
    larger ones are split at random into disjoint subsets of about 1,000 rows, whose mean is the estimate.

    The standard error is that of a two-sample U-statistic: the linear and the degenerate term of its Hoeffding
    decomposition (as in arXiv 1906.02104). The interval covers 0 in 95 % of the draws if the distributions are equal.

    Args:
        samples: `(n, F)`.
        reference: `(m, F)`.
        seed: of the split.
    """
    pieces = max(1, min(len(samples), len(reference)) // SUBSET)
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.tensor_split(rows[torch.randperm(len(rows), generator=generator).to(rows.device)], pieces)
        for rows in (samples, reference)
    ]
    most = LARGER * SUBSET
    found = [_discrepancy(a[:most].double(), b[:most].double()) for a, b in zip(*parts, strict=True)]
    variance = sum(own for _, own in found) / pieces**2
    return Estimate.normal(sum(value for value, _ in found) / pieces, variance**0.5)


def kid_difference(first: Tensor, second: Tensor, reference: Tensor, each: int = 1) -> Estimate:
    """Difference of the kernel distances of two sets to a reference, `kid(first) - kid(second)`, for paired rows.

    Row i of both sets is a sample from the same initial noise. The difference is a sum of one contribution a pair, and
    exchanging the samples of a pair changes the sign of its contribution alone. The standard error is that of the sum,
    for the reference as it is; it is zero for equal sets.

    Args:
        first: `(n, F)`, n at least 2 samples.
        second: `(n, F)`.
        reference: `(m, F)`; up to a few thousand rows, which are compared whole.
        each: rows of each sample, which follow each other.
    """
    n, (a, b, real) = len(first), (rows.double() for rows in (first, second, reference))

    def means(rows: Tensor, others: Tensor) -> Tensor:
        return _kernel_means(rows, others)[2]

    # Kernels between both sets cancel in the sum, but not in a contribution whose sign an exchange changes.
    across = (means(a, b) - means(b, a)) * n / (n - 1)
    rows = (means(a, a) - means(b, b) + across - 2 * (means(a, real) - means(b, real))) / n
    parts = rows.view(-1, each).sum(dim=1)
    return Estimate.normal(float(parts.sum()), float(parts.std() * len(parts) ** 0.5))


def precision_recall(samples: Tensor, reference: Tensor, k: int = 3) -> tuple[Estimate, Estimate]:
    """Improved precision and recall (arXiv 1904.06991, equations 1 and 2), both in [0, 1]; higher is better.

    Precision is the share of the samples that lie in a ball around some reference row which reaches to its `k`-th
    neighbour; recall exchanges the two sets. The intervals take the balls as given.

    Args:
        samples: `(n, F)`, n more than `k`.
        reference: `(m, F)`, m more than `k`; both figures are comparable at equal n and m alone.
        k: the neighbour that is the radius.
    """
    precision = torch.cat([inside.any(dim=1) for inside in _inside(samples, reference, k)])
    recall = torch.cat([inside.any(dim=1) for inside in _inside(reference, samples, k)])
    return _share(precision), _share(recall)


def density_coverage(samples: Tensor, reference: Tensor, k: int = 5) -> tuple[Estimate, Estimate]:
    """Density and coverage (arXiv 2002.09797, equations 3 and 4); higher is better.

    Density is the mean number of reference balls in which a sample lies, over `k`: about 1 for equal distributions,
    and not bounded by 1. Coverage is the share of the reference balls that contain a sample, in [0, 1].

    Args:
        samples: `(n, F)`.
        reference: `(m, F)`, m more than `k`.
        k: the neighbour that is the radius of a ball.
    """
    counts, covered = [], torch.zeros(len(reference), dtype=torch.bool, device=reference.device)
    for inside in _inside(samples, reference, k):
        counts.append(inside.sum(dim=1))
        covered |= inside.any(dim=0)
    return Estimate.mean(torch.cat(counts).double() / k), _share(covered)


def copying(samples: Tensor, training: Tensor, held_out: Tensor, seed: int = 0) -> Estimate:
    """Median distance of samples to the nearest training signal, over that of held-out signals.

    About 1 if samples are as far from the training signals as new signals are; 0 if they are copies. More than 1 means
    that they are farther than new signals, which poor samples are as well. The interval is a percentile bootstrap over
    samples and held-out signals.

    Args:
        samples: `(n, F)`.
        training: `(k, F)`.
        held_out: `(m, F)`.
        seed: of the bootstrap.

    Returns:
        The ratio; NaN if half of the held-out signals or more are equal to training signals.
    """
    own, real = (_nearest(rows, training).cpu() for rows in (samples, held_out))
    if not float(real.median()):
        return Estimate(*(float("nan"),) * 4)
    generator = np.random.default_rng(seed)
    ratios = _resampled_medians(own, generator) / _resampled_medians(real, generator)
    ratios = ratios[ratios.isfinite()]
    value = float(own.quantile(0.5) / real.quantile(0.5))
    low, high = ratios.quantile(ratios.new_tensor([0.025, 0.975])).tolist()
    return Estimate(value, min(low, value), max(high, value), float(ratios.std()))


def nearest(queries: Tensor, items: Tensor) -> list[int]:
    """Index of the item nearest to each query, in features `(n, F)` and `(m, F)`."""
    return torch.cdist(queries.double(), items.double()).argmin(dim=1).tolist()


def _gaussian(rows: Tensor | Moments) -> tuple[Tensor, Tensor]:
    """Mean, and a matrix R whose `R^T R` is the covariance."""
    if isinstance(rows, Moments):
        return rows.mean, rows.factor()
    mean = rows.double().mean(0)
    _, root = torch.linalg.qr(rows.double() - mean, mode="r")
    return mean, root / (len(rows) - 1) ** 0.5


def _discrepancy(first: Tensor, second: Tensor) -> tuple[float, float]:
    """Unbiased squared discrepancy of rows `(n, F)` and `(m, F)`, and its variance."""
    n, m = len(first), len(second)
    own, own_degenerate, near_own = _kernel_means(first, first)
    other, other_degenerate, near_other = _kernel_means(second, second)
    cross, cross_degenerate, from_first = _kernel_means(first, second)
    _, _, from_second = _kernel_means(second, first)
    linear = ((near_own - from_first).var() - own_degenerate / n - cross_degenerate / m).clamp(min=0) / n + (
        (near_other - from_second).var() - other_degenerate / m - cross_degenerate / n
    ).clamp(min=0) / m
    degenerate = own_degenerate / n**2 + other_degenerate / m**2 + 2 * cross_degenerate / (n * m)
    return float(own + other - 2 * cross), float(4 * linear + 2 * degenerate)


def _kernel_means(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means of the kernel over pairs of different rows.

    Returns:
        The mean over all pairs, the variance of what is left of the kernel without the means of its rows and columns,
        and the means `(n,)` over the second set.
    """
    same = second is first
    sums, squares, columns = [], first.new_zeros(()), first.new_zeros(len(second))
    for start, part in _blocks(first, len(second)):
        kernel = (part @ second.T / first.shape[1] + 1) ** 3
        if same:
            kernel[torch.arange(len(part)), torch.arange(start, start + len(part))] = 0
        sums.append(kernel.sum(dim=1))
        columns += kernel.sum(dim=0)
        squares += kernel.square().sum()
    rows = torch.cat(sums) / (len(second) - same)
    columns /= len(first) - same
    pairs = len(first) * (len(second) - same)
    mean = rows.mean()
    left = squares / pairs - rows.square().mean() - columns.square().mean() + mean**2
    return mean, left.clamp(min=0), rows


def _inside(points: Tensor, centres: Tensor, k: int) -> Iterator[Tensor]:
    """Yield in blocks whether points `(n, F)` lie in the balls `(m, F)` that reach to their `k`-th neighbour."""
    radii = torch.cat([block.kthvalue(k).values for block in _squared(centres, centres)])
    for block in _squared(points, centres):
        yield block <= radii


def _nearest(points: Tensor, items: Tensor) -> Tensor:
    """Distance of each point `(n, F)` to the nearest item `(m, F)`."""
    return torch.cat([block.amin(dim=1) for block in _squared(points, items)]).sqrt()


def _squared(points: Tensor, items: Tensor) -> Iterator[Tensor]:
    """Yield blocks of the squared distances `(n, m)`; infinite from each row to itself if both are the same tensor."""
    centre = items.double().mean(0)  # smaller norms lose fewer digits
    others = items.double() - centre
    norms = others.square().sum(dim=1)
    for start, part in _blocks(points, len(items)):
        own = part.double() - centre
        squared = (own.square().sum(dim=1, keepdim=True) + norms - 2 * own @ others.T).clamp_(min=0)
        if items is points:
            squared[torch.arange(len(part)), torch.arange(start, start + len(part))] = float("inf")
        yield squared


def _blocks(rows: Tensor, width: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the first number and the rows of blocks, of which a matrix of this width has a few megabytes."""
    step = max(1, ENTRIES // width)
    for start in range(0, len(rows), step):
        yield start, rows[start : start + step]


def _share(hits: Tensor) -> Estimate:
    return Estimate.share(float(hits.double().mean()), len(hits))


def _resampled_medians(values: Tensor, generator: np.random.Generator) -> Tensor:
    """Medians of resamples with replacement: the middle of n sorted uniform numbers has a beta distribution."""
    half = (len(values) + 1) / 2
    ranks = torch.from_numpy(generator.beta(half, half, RESAMPLES))
    return values.sort().values[(ranks * len(values)).long()]

"""Distances between sets of fields, in a domain's feature space."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.evaluation import Figure


@frozen(eq=False)
class Features:
    """A feature extractor, with the name and preprocessing that figures record.

    Args:
        name: short; it becomes part of the figure's name.
        preprocessing: description of what is applied to the values first.
        compute: function `(B, V, *grid) -> (B, F)` of values in [-1, 1].
    """

    name: str
    preprocessing: str
    compute: Callable[[Tensor], Tensor]


def frechet(first: Tensor, second: Tensor) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` (Dowson and Landau 1982; arXiv 1706.08500, equation 6).

    Args:
        first, second: `(n, F)` and `(m, F)`, n and m at least 2.
    """
    shift = first.double().mean(0) - second.double().mean(0)
    return frechet_of_factors(shift, factor(first.double()), factor(second.double()))


def frechet_of_factors(shift: Tensor, first: Tensor, second: Tensor) -> float:
    """Frechet distance between Gaussians.

    Args:
        shift: difference of the means, `(F,)`.
        first, second: matrices R `(r, F)` whose `R^T R` are the covariances.
    """
    # The eigenvalues of S1 S2 are the squared singular values of R1 R2^T.
    cross = torch.linalg.svdvals(first @ second.T).sum()
    return float(shift.square().sum() + first.square().sum() + second.square().sum() - 2 * cross)


def frechet_figures(
    name: str,
    features: Features,
    samples: Tensor,
    held_out: Tensor,
    training: Tensor,
    signals: str,
    protocol: Mapping[str, Any],
) -> list[Figure]:
    """Fréchet distance of samples to held-out signals, and that of training signals as the reference for real data.

    The figures' names contain the features' name, because distances in different feature spaces are not comparable.

    Args:
        name: of the distance.
        features: the feature extractor.
        samples: features of samples, `(n, F)`, n at least 2.
        held_out: features of held-out signals, `(m, F)`.
        training: features of training signals, `(k, F)`.
        signals: noun for signals, in the plural.
        protocol: of the figures; its entry `samples` is the number of samples.
    """
    slug = re.sub("[^0-9a-zA-Z]+", "_", features.name)
    whole = {**protocol, "features": features.name, "preprocessing": features.preprocessing}
    trained = {**whole, "samples": f"{protocol['samples']} training {signals}"}
    return [
        Figure(f"{name}_{slug}", frechet(samples, held_out), whole, f"samples to held-out {signals}; lower is better"),
        Figure(
            f"{name}_{slug}_of_training",
            frechet(training, held_out),
            trained,
            f"training to held-out {signals}: reference for real data",
        ),
    ]


def nearest(queries: Tensor, items: Tensor) -> list[int]:
    """Index of the item nearest to each query, in features `(n, F)` and `(m, F)`."""
    return torch.cdist(queries.double(), items.double()).argmin(dim=1).tolist()


def factor(rows: Tensor) -> Tensor:
    """A matrix R whose `R^T R` is the covariance of rows `(n, F)`."""
    _, factor = torch.linalg.qr(rows - rows.mean(0), mode="r")
    scaled: Tensor = factor / (len(rows) - 1) ** 0.5
    return scaled

"""Distances between clouds of points on surfaces: chamfer, F-score, normal consistency and earth mover's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

Points = npt.NDArray[np.floating[Any]]
Matrix = npt.NDArray[np.float64]


@frozen
class CloudDistances:
    """What two clouds differ in.

    Args:
        chamfer: mean of the two mean distances from each point to the nearest one of the other cloud (the
            chamfer-L1 of arXiv 1812.03828, appendix B), in the units of the points.
        f_score: harmonic mean of the shares of points nearer than the threshold, both ways (arXiv 1905.03678).
        normal_consistency: mean absolute cosine between the normals of nearest points, both ways
            (arXiv 1812.03828, appendix B).
    """

    chamfer: float
    f_score: float
    normal_consistency: float


def cloud_distances(
    first: Points, first_normals: Points, second: Points, second_normals: Points, threshold: float
) -> CloudDistances:
    """Distances of two clouds `(n, 3)` and `(m, 3)` with unit normals."""
    from scipy.spatial import cKDTree

    there, index_there = cKDTree(second).query(first)
    back, index_back = cKDTree(first).query(second)
    precision, recall = float((there < threshold).mean()), float((back < threshold).mean())
    cosines = [
        np.abs((first_normals * second_normals[index_there]).sum(axis=1)).mean(),
        np.abs((second_normals * first_normals[index_back]).sum(axis=1)).mean(),
    ]
    return CloudDistances(
        chamfer=float(there.mean() + back.mean()) / 2,
        f_score=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        normal_consistency=float(np.mean(cosines)),
    )


def earth_movers(first: Points, second: Points) -> float:
    """Mean distance of the best one-to-one assignment of two clouds of equally many points (exact; small clouds)."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    costs = cdist(first, second)
    rows, columns = linear_sum_assignment(costs)
    return float(costs[rows, columns].mean())


def chamfer_matrix(first: Sequence[Points], second: Sequence[Points]) -> Matrix:
    """Chamfer distance of each cloud of one list to each of another: `(len(first), len(second))`."""
    from scipy.spatial import cKDTree

    trees, others = [cKDTree(cloud) for cloud in first], [cKDTree(cloud) for cloud in second]
    matrix = np.empty((len(first), len(second)))
    for i, tree in enumerate(trees):
        for j, other in enumerate(others):
            there, _ = other.query(first[i])
            back, _ = tree.query(second[j])
            matrix[i, j] = (there.mean() + back.mean()) / 2
    return matrix

"""Distances between point clouds: chamfer, F-score, normal consistency and earth mover's distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

Points = npt.NDArray[np.floating[Any]]
Matrix = npt.NDArray[np.float64]
REACH = 4.0  # radius in which a surface is taken as flat, in median distances between neighbours


@frozen
class CloudDistances:
    """Distances between two clouds.

    Args:
        chamfer: mean of the two mean distances from each point to the nearest one of the other cloud (the
            chamfer-L1 of arXiv 1812.03828, appendix B), in the units of the points.
        f_score: harmonic mean of precision and recall: the shares of points closer to the other surface than the
            threshold (arXiv 1905.03678). The surface is taken as flat around the points of its cloud, so that the
            score does not depend on their number.
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

    first_tree, second_tree = cKDTree(first), cKDTree(second)
    there, index_there = second_tree.query(first)
    back, index_back = first_tree.query(second)
    above_there = _heights(first, second_tree, second_normals, there, index_there)
    above_back = _heights(second, first_tree, first_normals, back, index_back)
    precision, recall = float((above_there < threshold).mean()), float((above_back < threshold).mean())
    cosines = [
        np.abs((first_normals * second_normals[index_there]).sum(axis=1)).mean(),
        np.abs((second_normals * first_normals[index_back]).sum(axis=1)).mean(),
    ]
    return CloudDistances(
        chamfer=float(there.mean() + back.mean()) / 2,
        f_score=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        normal_consistency=float(np.mean(cosines)),
    )


def _heights(points: Points, tree: Any, normals: Points, distance: Points, nearest: Any) -> Points:
    """Distances to the tangent planes at the nearest points of a cloud; to the points themselves if they are far aside.

    Args:
        points: `(n, 3)`.
        tree: k-d tree of the cloud.
        normals: of the cloud.
        distance: of each point to its nearest one.
        nearest: numbers of the nearest points.
    """
    cloud = tree.data
    spacing = np.median(tree.query(cloud, k=2)[0][:, 1])
    height = np.abs(((points - cloud[nearest]) * normals[nearest]).sum(axis=1))
    aside = np.sqrt(np.maximum(distance**2 - height**2, 0))
    chosen: Points = np.where(aside <= REACH * spacing, height, distance)
    return chosen


def earth_movers(first: Points, second: Points) -> float:
    """Mean distance of the optimal one-to-one assignment of two clouds of equal size; exact, so for small clouds."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    costs = cdist(first, second)
    rows, columns = linear_sum_assignment(costs)
    return float(costs[rows, columns].mean())


def chamfer_matrix(first: Sequence[Points], second: Sequence[Points]) -> Matrix:
    """Chamfer distance of each cloud of one list to each of another: `(len(first), len(second))`."""
    from scipy.spatial import cKDTree

    trees = [cKDTree(cloud) for cloud in first]
    return _matrix(_chamfer, trees, trees if second is first else [cKDTree(cloud) for cloud in second])


def earth_movers_matrix(first: Sequence[Points], second: Sequence[Points]) -> Matrix:
    """Earth mover's distance of each cloud of one list to each of another: `(len(first), len(second))`."""
    return _matrix(earth_movers, first, second)


def _chamfer(first: Any, second: Any) -> float:
    """Chamfer distance of two clouds, given as trees."""
    return float(second.query(first.data)[0].mean() + first.query(second.data)[0].mean()) / 2


def _matrix(distance: Callable[[Any, Any], float], first: Sequence[Any], second: Sequence[Any]) -> Matrix:
    """Distances between all members of two lists; symmetric pairs are computed once if both are the same list."""
    matrix = np.zeros((len(first), len(second)))
    same = second is first
    for i, a in enumerate(first):
        for j in range(i + 1 if same else 0, len(second)):
            matrix[i, j] = distance(a, second[j])
    return matrix + matrix.T if same else matrix

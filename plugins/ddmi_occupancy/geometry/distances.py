"""Distances between point clouds: chamfer, F-score, normal consistency and earth mover's distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

Points = npt.NDArray[np.floating[Any]]
PAIRS = 2**26  # of points, compared at once: 256 MB
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


def in_unit_sphere(cloud: Points) -> Points:
    """A cloud `(n, 3)` with the centre of its bounding box at the origin and largest radius 1, as float32."""
    moved = cloud - (cloud.max(axis=0) + cloud.min(axis=0)) / 2
    placed: Points = (moved / max(float(np.linalg.norm(moved, axis=1).max()), 1e-12)).astype(np.float32)
    return placed


def earth_movers(first: Points, second: Points) -> float:
    """Mean distance of the optimal one-to-one assignment of two clouds of equal size.

    Exact, by scipy's `linear_sum_assignment`; time grows with the cube of the number of points.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    costs = cdist(first, second)
    rows, columns = linear_sum_assignment(costs)
    return float(costs[rows, columns].mean())


def chamfer_matrix(first: Sequence[Points], second: Sequence[Points], device: torch.device | str = "cpu") -> Tensor:
    """Squared chamfer distance of each cloud of one list to each of another: `(len(first), len(second))`, float64.

    The mean over the points of a cloud of the squared distance to the nearest point of the other one, added for both
    directions (arXiv 1612.00603, equation 1, with means in place of sums, as in arXiv 1906.12320).

    Args:
        first, second: clouds; all of a list have the same number of points.
        device: on CPUs, k-d trees search in as many threads as torch uses; other devices compare all pairs of points.
    """
    if torch.device(device).type != "cpu":
        return compared_chamfer_matrix(first, second, device)
    from scipy.spatial import cKDTree

    trees = [cKDTree(cloud) for cloud in first]
    return _matrix(_chamfer, trees, trees if second is first else [cKDTree(cloud) for cloud in second])


def compared_chamfer_matrix(first: Sequence[Points], second: Sequence[Points], device: torch.device | str) -> Tensor:
    """As `chamfer_matrix`, by comparing all pairs of points, in blocks."""
    ones, others = (torch.from_numpy(np.stack(clouds)).to(device, torch.float32) for clouds in (first, second))
    step = max(1, PAIRS // (ones.shape[1] * others.shape[1]))
    matrix = torch.zeros(len(ones), len(others), dtype=torch.float64)
    for i, cloud in enumerate(ones):
        # Of a matrix of one list, only the part above the diagonal.
        for start in range(i + 1 if second is first else 0, len(others), step):
            part = others[start : start + step]
            # Products of matrices would lose the digits of near points.
            apart = torch.cdist(cloud[None], part, compute_mode="donot_use_mm_for_euclid_dist")
            there, back = (apart.amin(dim=dim).double().square().mean(dim=1) for dim in (2, 1))
            matrix[i, start : start + step] = (there + back).cpu()
    return matrix + matrix.T if second is first else matrix


def earth_movers_matrix(first: Sequence[Points], second: Sequence[Points]) -> Tensor:
    """Earth mover's distance of each cloud of one list to each of another: `(len(first), len(second))`, float64."""
    return _matrix(earth_movers, first, second)


def _chamfer(first: Any, second: Any) -> float:
    """Squared chamfer distance of two clouds, given as trees."""
    return float(np.square(second.query(first.data)[0]).mean() + np.square(first.query(second.data)[0]).mean())


def _matrix(distance: Callable[[Any, Any], float], first: Sequence[Any], second: Sequence[Any]) -> Tensor:
    """Distances between all members of two lists; symmetric pairs are computed once if both are the same list."""
    same = second is first

    def row(i: int) -> list[float]:
        start = i + 1 if same else 0
        return [0.0] * start + [distance(first[i], other) for other in second[start:]]

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        matrix = torch.tensor(list(threads.map(row, range(len(first)))), dtype=torch.float64)
    return matrix + matrix.T if same else matrix

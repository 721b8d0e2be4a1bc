"""Simplification of meshes to a number of triangles, by the optional package `fast-simplification`."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from ddmi_core.errors import RequestError
from ddmi_core.surfaces.mesh import Mesh, PointCloud

LEAST = 4  # triangles of a closed mesh

log = logging.getLogger(__name__)


def mesh_simplifier(faces: int) -> Callable[[Mesh | PointCloud], Mesh | PointCloud]:
    """A function that reduces a mesh to at most so many triangles, for `DomainParts.simplifier`.

    It collapses edges in the order of their quadric error (Garland and Heckbert, Surface simplification using quadric
    error metrics, 1997). A closed mesh stays closed: each edge of a triangle is one of another triangle, the other way
    round. With few triangles, parts may touch each other, so that an edge belongs to four. Meshes with fewer triangles
    and point clouds are unchanged. Normals are those of the new triangles.

    Args:
        faces: number of triangles, at least 4.

    Raises:
        RequestError: if it is smaller, or the package is missing.
    """
    if faces < LEAST:
        raise RequestError(f"{faces} triangles are too few for a closed mesh. Fix: ask for {LEAST} or more")
    try:
        from fast_simplification import simplify
    except ImportError as error:
        raise RequestError(
            "simplification of meshes requires the package fast-simplification. Fix: pip install 'ddmi[simplify]'"
        ) from error

    def simplified(mesh: Mesh | PointCloud) -> Mesh | PointCloud:
        if isinstance(mesh, PointCloud) or len(mesh.faces) <= faces:
            return mesh
        vertices, triangles = simplify(mesh.vertices, mesh.faces, target_count=faces)
        if len(triangles) > faces:
            log.warning("a mesh is simplified to %d triangles, as no more can be removed", len(triangles))
        return Mesh(vertices.astype(np.float32), triangles.astype(np.int32))

    return simplified

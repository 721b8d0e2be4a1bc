"""Geometry of triangle meshes and point clouds."""

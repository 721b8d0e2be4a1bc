"""Pinhole cameras: model, axes, orbits, file formats and checks."""

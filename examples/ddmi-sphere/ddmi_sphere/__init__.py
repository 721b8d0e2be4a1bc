"""Domains of temperatures on the sphere: one embedded in space, one on a periodic map."""

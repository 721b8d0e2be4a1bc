"""Procedural clips: skies, bouncing balls and handwritten digits."""

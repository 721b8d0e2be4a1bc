"""Turntable previews, rendered on the CPU."""

"""Data sources of solid shapes, and how their points are stored."""

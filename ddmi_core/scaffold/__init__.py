"""The scaffold of new plugins: a distribution with procedural data, from templates."""

"""The video domain: clips as functions of x, y and t."""

"""The benchmark of a machine, and of one model on it."""

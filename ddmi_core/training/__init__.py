"""Training: the training loop, objectives, checkpoints, logging and data-parallel processes."""

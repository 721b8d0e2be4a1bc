"""Posterior sampling from measurements (SITCOM, arXiv 2410.04479): solver, likelihoods, regions and metrics."""

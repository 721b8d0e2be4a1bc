"""Completion of partly known signals: observed regions, likelihoods, the SITCOM sampler, and metrics."""

"""A sampler, a denoiser and a tracker for ddmi."""

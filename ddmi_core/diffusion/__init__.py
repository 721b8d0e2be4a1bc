"""Latent diffusion: paths, samplers, guidance and denoisers."""

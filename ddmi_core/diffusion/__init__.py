"""Latent diffusion: paths, parameterization, samplers, guidance and denoisers."""

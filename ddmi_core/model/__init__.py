"""Trained models: construction, loading, data, latents and run folders."""

"""Denoising networks: a plane-aware U-Net, a transformer, and embeddings of times and conditions."""

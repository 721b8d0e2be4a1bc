"""The denoising networks: a plane-aware U-Net and a transformer, and what they are conditioned on."""

"""The D2C-VAE: from discrete signals to latents to continuous fields."""

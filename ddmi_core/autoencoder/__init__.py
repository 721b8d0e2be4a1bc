"""The D2C-VAE: encoders of discrete signals, decoder to continuous fields, and losses."""

"""Runs: configuration, folders, the pipeline, and loaded models."""

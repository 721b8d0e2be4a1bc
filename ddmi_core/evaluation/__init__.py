"""Evaluation of trained models, and its results."""

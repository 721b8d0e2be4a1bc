"""Metrics and evaluations of reconstructed and generated shapes."""

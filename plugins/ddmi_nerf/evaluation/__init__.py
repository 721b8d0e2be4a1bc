"""Metrics, evaluations, features and contact sheets."""

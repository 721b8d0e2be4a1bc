"""Presets of the formula domains."""

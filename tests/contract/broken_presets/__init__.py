"""Presets and weights that do not fit."""

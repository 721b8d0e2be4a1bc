"""Tests of the audio plugin; as a package, so that the folder above it is importable where nothing is installed."""

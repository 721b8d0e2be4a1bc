"""Continuous functions: layouts, basis fields, their interpolation, the readout, and fields."""

"""Continuous fields: layout, basis fields, interpolation and readout."""

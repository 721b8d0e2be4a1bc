"""Trials of the soak: kinds of faults, each with the oracle that judges what a program made of them."""

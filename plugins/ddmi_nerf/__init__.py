"""Radiance-field domain: objects as volume density and colour, trained from posed images."""

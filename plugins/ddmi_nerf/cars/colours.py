"""Names of colours, and the colours that have them."""

from __future__ import annotations

from ddmi_nerf.cars.tracing import Colour

COLOURS: dict[str, Colour] = {
    "red": (0.82, 0.12, 0.12),
    "orange": (0.95, 0.5, 0.1),
    "yellow": (0.97, 0.82, 0.15),
    "green": (0.15, 0.55, 0.24),
    "turquoise": (0.2, 0.7, 0.7),
    "blue": (0.15, 0.3, 0.8),
    "purple": (0.5, 0.22, 0.62),
    "pink": (0.95, 0.55, 0.7),
    "brown": (0.42, 0.26, 0.15),
    "white": (0.93, 0.93, 0.92),
    "grey": (0.55, 0.57, 0.6),
    "black": (0.13, 0.13, 0.15),
}
SHARES = (0.14, 0.08, 0.1, 0.1, 0.07, 0.14, 0.06, 0.05, 0.05, 0.08, 0.07, 0.06)

GLASS: Colour = (0.2, 0.27, 0.34)
TYRE: Colour = (0.09, 0.09, 0.1)
ARCH: Colour = (0.05, 0.05, 0.06)
RIM: Colour = (0.75, 0.76, 0.78)
TRIM: Colour = (0.22, 0.22, 0.24)
LAMP: Colour = (0.98, 0.96, 0.8)
TAIL_LAMP: Colour = (0.85, 0.05, 0.08)
PLATE: Colour = (0.96, 0.96, 0.9)

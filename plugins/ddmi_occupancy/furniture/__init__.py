"""The default data: furniture made of simple solids."""

from ddmi_occupancy.furniture.source import load as load

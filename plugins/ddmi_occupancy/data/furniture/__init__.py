"""The default data: procedural furniture with captions."""

from ddmi_occupancy.data.furniture.source import load as load

"""The default data: cars by formula, made of solids that rays meet exactly."""

from ddmi_nerf.cars.catalogue import Car as Car
from ddmi_nerf.cars.catalogue import car as car
from ddmi_nerf.cars.source import load as load

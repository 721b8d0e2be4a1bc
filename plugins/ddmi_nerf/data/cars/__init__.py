"""Procedural toy cars, the default data: convex solids with exact ray intersections."""

from ddmi_nerf.data.cars.car_model import Car as Car
from ddmi_nerf.data.cars.car_model import car as car
from ddmi_nerf.data.cars.source import load as load

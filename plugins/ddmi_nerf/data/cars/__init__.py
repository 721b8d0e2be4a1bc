"""The default data: cars by formula, made of solids that rays meet exactly."""

from ddmi_nerf.data.cars.car_model import Car as Car
from ddmi_nerf.data.cars.car_model import car as car
from ddmi_nerf.data.cars.source import load as load

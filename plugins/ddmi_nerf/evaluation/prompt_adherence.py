"""Prompt adherence: whether sampled cars have the kind and colour that their prompts name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from attrs import frozen

from ddmi_core.api import Field, Figure, Split, Trained
from ddmi_core.parts import measurable_captions, prompt_adherence_figures
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.cars.car_model import car
from ddmi_nerf.data.cars.parameters import ARCH, COLOURS, GLASS, KINDS, LAMP, PLATE, RIM, TAIL_LAMP, TRIM, TYRE
from ddmi_nerf.data.cars.solids import Array
from ddmi_nerf.data.cars.source import DISTANCE
from ddmi_nerf.data.cars.tracing import light
from ddmi_nerf.rendering.radiance import densities
from ddmi_nerf.rendering.renderer import renderer_of
from ddmi_nerf.rendering.scene import Scene

PROMPTS = 60
MEASURED_RIGHT = "kind 200 of 200, colour 196 of 200"  # examples/measured_cars.py

_KIND = "|".join(KINDS)
_NAMED = re.compile(rf"\b(?:({'|'.join(COLOURS)}) )?({_KIND})\b")
FIRST, EXAMPLES = 1_000_000, 160  # number of the first reference car, and their count; every kind is among them
ALONG, ACROSS, UP = (torch.linspace(-end, end, n) for end, n in ((0.88, 24), (0.2, 5), (0.6, 121)))
LEVEL = 10.0  # density of a surface
NOTHING = -0.5  # height where there is no car
PIXELS = 48
VIEWS = ((25.0, 20.0), (65.0, 40.0), (115.0, 20.0), (155.0, 40.0))  # of the front: azimuths and elevations
SOLID = 0.9  # least opacity of measured pixels
FRONT = 0.3  # their least x
BODY = (0.25, 0.65)  # range of their heights, as fractions of the car's height
SHADES = (0.9, 0.95, 1.0)  # brightness of the paints to compare with
FAINTEST = 0.1  # least share of pixels with the body's paint; below it, the car is black
_OTHERS = (GLASS, TYRE, ARCH, RIM, TRIM, LAMP, TAIL_LAMP, PLATE)


def prompt_adherence(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Share of the kinds and colours named in captions of held-out cars that samples have.

    Without a text condition, or for other data than the procedural cars, nothing is measured: the measurement relies on
    the outlines, paints and lighting of these cars.
    """
    if split.held_out.classes != KINDS:
        return []
    renderer = renderer_of(model)

    def holds(text: str, field: Field) -> dict[str, bool]:
        return matches(text, measure(renderer.scene(field)))

    asked = measurable_captions(split, lambda text: bool(named_attributes(text)), PROMPTS)
    return prompt_adherence_figures(
        model,
        asked,
        holds,
        seed,
        {"measured": "outline, and paint of the body without light", "right on true cars": MEASURED_RIGHT},
    )


def named_attributes(text: str) -> dict[str, str]:
    """The kind that a sentence names, and the colour of the body if it is named.

    Example:
        >>> named_attributes("a red van with a white cabin"), named_attributes("a pick-up")
        ({'kind': 'van', 'colour': 'red'}, {'kind': 'pick-up'})
    """
    found = _NAMED.search(text.lower())
    if not found:
        return {}
    colour, kind = found.groups()
    return {"kind": kind, "colour": colour} if colour else {"kind": kind}


def matches(text: str, found: Attributes) -> dict[str, bool]:
    """For each attribute that a sentence names, whether a car has it."""
    return {name: getattr(found, name) == value for name, value in named_attributes(text).items()}


@frozen
class Attributes:
    """Measured attributes of a car; empty strings if there is no car."""

    kind: str
    colour: str


@torch.no_grad()
def measure(scene: Scene) -> Attributes:
    """Measure the kind and colour of a car in the cube, with its front at +x.

    The kind is that of the nearest outline among 160 cars outside of all data sets. The colour is that of most of the
    body's paint, in the front half between wheels and windows, after removal of the lighting. Of 200 cars filled
    with their exact colours (numbers 200 to 399), 200 kinds and 197 colours are correct; the others have a stripe or a
    second colour.
    """
    heights = outline(scene)
    if (heights == NOTHING).all():
        return Attributes("", "")
    kinds, examples = _examples()
    return Attributes(kinds[int(np.square(examples - heights).sum(axis=1).argmin())], body_colour(scene))


def outline(scene: Scene) -> Array:
    """Greatest heights `(24,)` of a car along its length, near its middle."""
    full = densities(scene.radiance, (ALONG, ACROSS, UP)) > LEVEL
    heights: Array = torch.where(full, UP[:, None, None], NOTHING).amax(dim=(0, 1)).double().numpy()
    return heights


def body_colour(scene: Scene) -> str:
    """Name of the colour of a car's body; empty if nothing is visible."""
    rows = np.concatenate([_seen(scene, Camera.orbit(*view, DISTANCE, width=PIXELS, height=PIXELS)) for view in VIEWS])
    if not len(rows):
        return ""
    points, colours, normals = rows[:, :3], rows[:, 3:6], rows[:, 6:]
    low, high = np.quantile(points[:, 2], (0.01, 0.99))
    height = (points[:, 2] - low) / max(high - low, 1e-6)
    body = (points[:, 0] > FRONT) & (height > BODY[0]) & (height < BODY[1])
    if not body.any():
        return ""
    votes = np.bincount(_nearest(colours[body] / light(normals[body].T)[:, None]), minlength=len(COLOURS))
    names = list(COLOURS)
    # Windows, tyres and trim are dark too, so a car is black only if it has no other paint.
    votes[names.index("black")] = 0
    most = int(votes[: len(names)].argmax())
    return names[most] if votes[most] >= FAINTEST * body.sum() else "black"


def _seen(scene: Scene, camera: Camera) -> Array:
    """Positions, colours in [0, 1] and normals of the opaque pixels of a view, `(N, 9)`."""
    view = scene.view(camera)
    solid = (view.opacity > SOLID).flatten().cpu()
    depth, colours, normals = (part.flatten(0, 1).cpu()[solid] for part in (view.depth, view.colour, view.normals))
    origins, directions = (part[solid] for part in camera.rays())
    found: Array = torch.cat([origins + depth[:, None] * directions, colours / 2 + 0.5, normals], dim=1).numpy()
    return found


def _nearest(colours: Array) -> Array:
    """Index of the nearest paint of each colour `(N, 3)`; indices beyond those of `COLOURS` are other parts."""
    paints = np.array(list(COLOURS.values()))
    known = np.concatenate([*(shade * paints for shade in SHADES), np.array(_OTHERS)])
    found = np.square(colours[:, None] - known).sum(axis=2).argmin(axis=1)
    numbers: Array = np.where(found < len(SHADES) * len(paints), found % len(paints), found)
    return numbers


@cache
def _examples() -> tuple[list[str], Array]:
    """Kinds and outlines `(160, 24)` of cars, traced on their exact models."""
    cars = [car(FIRST + number) for number in range(EXAMPLES)]
    along, across = (axis.double().numpy() for axis in (ALONG, ACROSS))
    x, y = (part.ravel() for part in np.meshgrid(along, across))
    above = np.stack([x, y, np.ones_like(x)], axis=1)
    down = np.tile([0.0, 0.0, -1.0], (len(above), 1))
    depths = np.stack([one.trace(above, down).depth for one in cars]).reshape(EXAMPLES, len(across), len(along))
    heights = np.where(np.isfinite(depths), 1 - depths, NOTHING).max(axis=1)

    return [one.kind for one in cars], heights

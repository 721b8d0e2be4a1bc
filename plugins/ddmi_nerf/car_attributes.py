"""Kind and colour of a car that is given as a medium, measured as a person would see them.

The kind is that of the most similar outline, among those of cars that are in no data set. The colour is that of most
of the body's paint: of what can be seen of its front half, between the wheels and the windows, without the light that
lies on it.

Of 200 cars filled with their own colours (numbers 200 to 399), 200 kinds and 197 colours are found; the others have a
stripe, or a second colour. `tests/plugins/nerf/test_nerf_agreement.py` does the same with some.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from attrs import frozen

from ddmi_nerf.cameras import Camera
from ddmi_nerf.cars.catalogue import car
from ddmi_nerf.cars.colours import ARCH, COLOURS, GLASS, LAMP, PLATE, RIM, TAIL_LAMP, TRIM, TYRE
from ddmi_nerf.cars.parameters import KINDS
from ddmi_nerf.cars.solids import Array
from ddmi_nerf.cars.tracing import light
from ddmi_nerf.cars.views import DISTANCE
from ddmi_nerf.radiance import densities
from ddmi_nerf.scene import Scene

FIRST, EXAMPLES = 1_000_000, 160  # cars whose outlines are compared with
ALONG, ACROSS, UP = (torch.linspace(-end, end, n) for end, n in ((0.88, 24), (0.2, 5), (0.6, 121)))
LEVEL = 10.0  # density of a surface
NOTHING = -0.5  # height where there is no car
PIXELS = 48
VIEWS = ((25.0, 20.0), (65.0, 40.0), (115.0, 20.0), (155.0, 40.0))  # of the front: azimuths and elevations
SOLID = 0.9  # opacity of a pixel that is looked at
FRONT = 0.3  # x from which pixels count
BODY = (0.25, 0.65)  # shares of the height between which they count
SHADES = (0.9, 0.95, 1.0)
FAINTEST = 0.1  # share of the pixels with a paint that is not taken for a stripe; with less, a car is black

_OTHERS = (GLASS, TYRE, ARCH, RIM, TRIM, LAMP, TAIL_LAMP, PLATE)


@frozen
class Attributes:
    """What a car is; empty words where there is none."""

    kind: str
    colour: str


@torch.no_grad()
def measure(scene: Scene) -> Attributes:
    """Kind and colour of a car in the cube, its front at +x."""
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
    """Name of the colour of a car's body; empty where there is nothing."""
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
    # Windows, tyres and trim are dark, too: black is what is left where there is no other paint.
    votes[names.index("black")] = 0
    most = int(votes[: len(names)].argmax())
    return names[most] if votes[most] >= FAINTEST * body.sum() else "black"


def _seen(scene: Scene, camera: Camera) -> Array:
    """Places, colours in [0, 1] and normals of the solid pixels of a view, `(N, 9)`."""
    view = scene.view(camera)
    solid = (view.opacity > SOLID).flatten().cpu()
    depth, colours, normals = (part.flatten(0, 1).cpu()[solid] for part in (view.depth, view.colour, view.normals))
    origins, directions = (part[solid] for part in camera.rays())
    found: Array = torch.cat([origins + depth[:, None] * directions, colours / 2 + 0.5, normals], dim=1).numpy()
    return found


def _nearest(colours: Array) -> Array:
    """Number of the nearest paint of each colour `(N, 3)`; numbers beyond those of `COLOURS` are other things."""
    paints = np.array(list(COLOURS.values()))
    known = np.concatenate([*(shade * paints for shade in SHADES), np.array(_OTHERS)])
    found = np.square(colours[:, None] - known).sum(axis=2).argmin(axis=1)
    numbers: Array = np.where(found < len(SHADES) * len(paints), found % len(paints), found)
    return numbers


@cache
def _examples() -> tuple[list[str], Array]:
    """Kinds and outlines `(160, 24)` of cars, from rays that fall on their exact models."""
    cars = [car(FIRST + number) for number in range(EXAMPLES)]
    along, across = (axis.double().numpy() for axis in (ALONG, ACROSS))
    x, y = (part.ravel() for part in np.meshgrid(along, across))
    above = np.stack([x, y, np.ones_like(x)], axis=1)
    down = np.tile([0.0, 0.0, -1.0], (len(above), 1))
    depths = np.stack([one.trace(above, down).depth for one in cars]).reshape(EXAMPLES, len(across), len(along))
    heights = np.where(np.isfinite(depths), 1 - depths, NOTHING).max(axis=1)
    assert {one.kind for one in cars} == set(KINDS)
    return [one.kind for one in cars], heights

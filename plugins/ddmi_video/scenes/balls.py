"""Scenes of one or two balls that bounce on a floor in front of a wall, with shadows."""

from __future__ import annotations

import math

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import between, pick
from ddmi_video.scenes.captions import ball_captions
from ddmi_video.scenes.procedural_clip import (
    PIXEL_A_FRAME,
    Doubles,
    Floats,
    Scene,
    centres,
    draws,
    folded,
    mean,
    rgb,
    smooth,
    still,
    supersampling,
)

KINDS = ("ball", "two-balls")
FINE = 96  # least number of samples along each side of a picture
FLOOR = 0.35  # y where wall and floor meet
MARGIN = 0.05  # between the border and a ball that turns back
DEPTHS = (0.86, 0.66)  # y where each ball touches the floor, nearest ball first
WALLS = {
    "white": (232, 230, 224),
    "blue": (150, 186, 214),
    "green": (164, 196, 160),
    "yellow": (232, 214, 150),
    "grey": (150, 154, 162),
}
FLOORS = {"wooden": (176, 128, 84), "grey": (122, 124, 128), "sandy": (212, 190, 148)}
INKS = {
    "red": (206, 44, 48),
    "orange": (240, 128, 32),
    "purple": (124, 58, 150),
    "black": (40, 42, 48),
    "dark green": (20, 104, 62),
    "dark blue": (32, 60, 150),
}
SPEEDS = {"slow": (0.5, 0.8), "fast": (1.3, 1.7)}  # horizontal, in pixels per frame
GRAVITY = 4.4  # in coordinates: half a picture per (half a clip) squared
RISES = {"low": (0.3, 0.42), "high": (0.62, 0.8)}  # of the lowest point of a ball


@frozen
class Ball:
    """A ball with constant horizontal speed between both borders and perfectly elastic bounces."""

    ink: str = field(validator=validators.in_(tuple(INKS)))
    radius: float
    ground: float  # y of its lowest point on the floor
    rise: float
    speed: float  # along x
    phase: tuple[float, float]  # at time 0: distance from the left border as in `folded`, fraction of a bounce

    @property
    def period(self) -> float:
        """Time between bounces: up and down, each a free fall from `rise`."""
        return 2 * math.sqrt(2 * self.rise / GRAVITY)

    def path(self, times: Doubles) -> tuple[Doubles, Doubles]:
        """Its centre at each time, x and y."""
        share = np.mod(times / self.period + self.phase[1], 1.0)
        height = self.rise * (1 - (2 * share - 1) ** 2)
        x = folded(self.speed * times + self.phase[0], 1 - MARGIN - self.radius)
        return x, self.ground - self.radius - height

    def shade(self, picture: Floats, times: Doubles) -> None:
        """Draw its shadow into a clip `(T, 3, size, size)`; a ball near the floor has a darker shadow."""
        size = picture.shape[-1]
        x, y = self.path(times)
        nearness = 1 - (self.ground - self.radius - y) / RISES["high"][1]
        across = (centres(size)[None, :] - x[:, None]) / (self.radius * 1.2)
        down = (centres(size) - self.ground) / (self.radius * 0.4)
        far = np.sqrt(across[:, None, :] ** 2 + down[None, :, None] ** 2).astype(np.float32)
        depth = (0.15 + 0.4 * nearness).astype(np.float32)[:, None, None]
        picture *= 1 - (depth * smooth(1.4 - far))[:, None]

    def stamp(self, picture: Floats, times: Doubles) -> None:
        """Draw it into a clip `(T, 3, size, size)`."""
        size = picture.shape[-1]
        factor = supersampling(size, FINE)
        places = centres(size * factor)
        x, y = self.path(times)
        across = ((places[None, :] - x[:, None]) / self.radius).astype(np.float32)
        down = ((places[None, :] - y[:, None]) / self.radius).astype(np.float32)
        edge = np.float32(self.radius * size * factor / 2)
        colour = rgb(INKS[self.ink])
        for right, low, part in zip(across, down, picture, strict=True):
            far = np.sqrt(right[None, :] ** 2 + low[:, None] ** 2)
            share = mean(np.clip((1 - far) * edge + 0.5, 0, 1), factor)
            # Light comes from above, so the lower side is darker.
            light = mean(np.broadcast_to(1.12 - 0.28 * np.clip(low, -1, 1)[:, None], far.shape), factor)
            part += share * (np.minimum(colour * light, 255) - part)


@frozen
class Balls(Scene):
    """One or two balls; the farther one is drawn first."""

    balls: tuple[Ball, ...]  # nearest first
    wall: str = field(validator=validators.in_(tuple(WALLS)))
    floor: str = field(validator=validators.in_(tuple(FLOORS)))
    pace: str = field(validator=validators.in_(tuple(SPEEDS)))
    height: str = field(validator=validators.in_(tuple(RISES)))

    @property
    def kind(self) -> str:
        """`ball` or `two-balls`."""
        return KINDS[len(self.balls) - 1]

    @property
    def captions(self) -> tuple[str, ...]:
        """See `Scene.captions`."""
        return ball_captions([ball.ink for ball in self.balls], self.wall, self.floor, self.pace, self.height)

    @property
    def key(self) -> str:
        """The name, as no two scenes share a trajectory."""
        return self.name

    @property
    def mirrored(self) -> bool:
        """Always true: no caption mentions left or right."""
        return True

    def paint(self, times: Doubles, size: int) -> Floats:
        """See `Scene.paint`."""
        top = np.linspace(-1, 1, size + 1)[:-1, None]
        below = np.clip((top + 2 / size - FLOOR) * size / 2, 0, 1)
        lighter = 1.04 - 0.08 * centres(size)[:, None]
        wall, floor = rgb(WALLS[self.wall]), rgb(FLOORS[self.floor])
        picture = still((wall + (floor - wall) * below) * lighter, times, size)
        for ball in self.balls:
            ball.shade(picture, times)
        for ball in reversed(self.balls):
            ball.stamp(picture, times)
        return picture


def balls(number: int, count: int) -> Balls:
    """Generate the scene of a number.

    Args:
        number: of the scene.
        count: number of balls, 1 or 2.
    """
    draw = draws(number)
    wall, floor = pick(draw, tuple(WALLS)), pick(draw, tuple(FLOORS))
    pace, height = pick(draw, tuple(SPEEDS)), pick(draw, tuple(RISES))
    made: list[Ball] = []
    for place in range(count):
        ink = pick(draw, [ink for ink in INKS if ink not in [other.ink for other in made]])
        radius = (between(draw, 0.27, 0.33) if count == 1 else between(draw, 0.22, 0.27)) * (1 - 0.1 * place)
        speed = PIXEL_A_FRAME * between(draw, *SPEEDS[pace])
        phase = (4 * (1 - MARGIN - radius) * between(draw, 0, 1), between(draw, 0, 1))
        made.append(Ball(ink, radius, DEPTHS[place], between(draw, *RISES[height]), speed, phase))
    return Balls(number, tuple(made), wall, floor, pace, height)

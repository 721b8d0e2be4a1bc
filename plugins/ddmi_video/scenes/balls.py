"""Balls that bounce on a floor in front of a wall, with their shadows."""

from __future__ import annotations

import math

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import between, pick
from ddmi_video.scenes.captions import ball_captions
from ddmi_video.scenes.draws import draws
from ddmi_video.scenes.scene import PIXEL_A_FRAME, Doubles, Floats, Scene, centres, folded, mean, smooth

KINDS = ("ball", "two-balls")
FINE = 96  # samples along each side of a picture, at least
FLOOR = 0.35  # y at which wall and floor meet
MARGIN = 0.05  # between a ball and the border that it turns back at
DEPTHS = (0.86, 0.66)  # y at which balls touch the floor, the nearest first
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
SPEEDS = {"slow": (0.5, 0.8), "fast": (1.3, 1.7)}  # pixels a frame from side to side
GRAVITY = 4.4  # half pictures a squared half clip
RISES = {"low": (0.3, 0.42), "high": (0.62, 0.8)}  # how far the lowest point of a ball rises


@frozen
class Ball:
    """A ball. It keeps its speed along x between both borders, and rises to the same height after each bounce."""

    ink: str = field(validator=validators.in_(tuple(INKS)))
    radius: float
    ground: float  # y of its lowest point where it touches the floor
    rise: float
    speed: float  # along x
    phase: tuple[float, float]  # way from the left border, folded, and share of a bounce, at time 0

    @property
    def period(self) -> float:
        """Time from one bounce to the next: up and down again, each a free fall from `rise`."""
        return 2 * math.sqrt(2 * self.rise / GRAVITY)

    def path(self, times: Doubles) -> tuple[Doubles, Doubles]:
        """Where its middle is, x and y."""
        share = np.mod(times / self.period + self.phase[1], 1.0)
        height = self.rise * (1 - (2 * share - 1) ** 2)
        x = folded(self.speed * times + self.phase[0], 1 - MARGIN - self.radius)
        return x, self.ground - self.radius - height

    def shade(self, picture: Floats, times: Doubles) -> None:
        """Darken the floor below it in a picture `(T, 3, size, size)`, the more so the nearer it is."""
        size = picture.shape[-1]
        x, y = self.path(times)
        nearness = 1 - (self.ground - self.radius - y) / RISES["high"][1]
        across = (centres(size)[None, :] - x[:, None]) / (self.radius * 1.2)
        down = (centres(size) - self.ground) / (self.radius * 0.4)
        far = np.sqrt(across[:, None, :] ** 2 + down[None, :, None] ** 2).astype(np.float32)
        depth = (0.15 + 0.4 * nearness).astype(np.float32)[:, None, None]
        picture *= 1 - (depth * smooth(1.4 - far))[:, None]

    def stamp(self, picture: Floats, times: Doubles) -> None:
        """Paint it onto a picture `(T, 3, size, size)`."""
        size = picture.shape[-1]
        factor = max(1, -(-FINE // size))
        places = centres(size * factor)
        x, y = self.path(times)
        across = ((places[None, :] - x[:, None]) / self.radius).astype(np.float32)
        down = ((places[None, :] - y[:, None]) / self.radius).astype(np.float32)
        edge = np.float32(self.radius * size * factor / 2)
        colour = np.array(INKS[self.ink], dtype=np.float32)[:, None, None]
        for right, low, part in zip(across, down, picture, strict=True):
            far = np.sqrt(right[None, :] ** 2 + low[:, None] ** 2)
            share = mean(np.clip((1 - far) * edge + 0.5, 0, 1), factor)
            # Lit from above: the lower side is darker.
            light = mean(np.broadcast_to(1.12 - 0.28 * np.clip(low, -1, 1)[:, None], far.shape), factor)
            part += share * (np.minimum(colour * light, 255) - part)


@frozen
class Balls(Scene):
    """One ball, or two of which the farther one is painted first."""

    balls: tuple[Ball, ...]  # the nearest first
    wall: str = field(validator=validators.in_(tuple(WALLS)))
    floor: str = field(validator=validators.in_(tuple(FLOORS)))
    pace: str = field(validator=validators.in_(tuple(SPEEDS)))
    height: str = field(validator=validators.in_(tuple(RISES)))

    @property
    def kind(self) -> str:
        """How many there are."""
        return KINDS[len(self.balls) - 1]

    @property
    def captions(self) -> tuple[str, ...]:
        """What is seen, in words."""
        return ball_captions([ball.ink for ball in self.balls], self.wall, self.floor, self.pace, self.height)

    @property
    def key(self) -> str:
        """The name: no two scenes share a ball's way."""
        return self.name

    @property
    def mirrored(self) -> bool:
        """Always: no caption speaks of a side."""
        return True

    def paint(self, times: Doubles, size: int) -> Floats:
        """See `Scene.paint`."""
        top = np.linspace(-1, 1, size + 1)[:-1, None]
        below = np.clip((top + 2 / size - FLOOR) * size / 2, 0, 1)
        lighter = 1.04 - 0.08 * centres(size)[:, None]
        wall, floor = (np.array(rgb)[:, None, None] for rgb in (WALLS[self.wall], FLOORS[self.floor]))
        room = (wall + (floor - wall) * below) * lighter
        picture = np.empty((len(times), 3, size, size), dtype=np.float32)
        picture[:] = np.minimum(room, 255)
        for ball in self.balls:
            ball.shade(picture, times)
        for ball in reversed(self.balls):
            ball.stamp(picture, times)
        return picture


def balls(number: int, count: int) -> Balls:
    """The balls of a number.

    Args:
        number: of the scene.
        count: 1 or 2 balls.
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

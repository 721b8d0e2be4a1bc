"""Scenes of one or two handwritten digits that move and bounce off the borders."""

from __future__ import annotations

import math

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import between, pick
from ddmi_video.scenes.captions import digit_captions
from ddmi_video.scenes.glyphs import Glyph, glyphs
from ddmi_video.scenes.procedural_clip import (
    PIXEL_A_FRAME,
    Doubles,
    Floats,
    Scene,
    draws,
    folded,
    mean,
    rgb,
    still,
    supersampling,
)

KINDS = ("digit", "two-digits")
SHEET = 30  # consecutive originals, often by one writer, that stay on the same side of a split
FINE = 144  # least number of samples along each side of a picture
MARGIN = 0.03  # between the border and a digit that turns back
BACKS = {
    "black": (18, 18, 22),
    "dark blue": (24, 36, 88),
    "dark green": (22, 66, 48),
    "purple": (74, 36, 92),
    "grey": (172, 174, 178),
    "white": (240, 240, 236),
    "light blue": (172, 208, 236),
    "beige": (236, 220, 188),
}
BRIGHT = {"white": (244, 242, 236), "yellow": (246, 212, 72), "orange": (244, 142, 52), "pink": (244, 150, 186)}
DEEP = {"red": (204, 44, 44), "blue": (36, 82, 200), "green": (28, 130, 70), "black": (28, 28, 32)}
INKS = {**BRIGHT, **DEEP}
ALSO = {"black": ("red", "green"), "dark blue": ("red",)}  # deep inks with enough contrast on dark backgrounds
SPEEDS = {"slow": (1.0, 1.3), "medium": (1.5, 1.8), "fast": (2.1, 2.4)}  # pixels per frame
TRIES = 10  # candidate trajectories of a second digit; the one with the least overlap is used
WAYS = ("across", "up and down", "slanting")


@frozen
class Moving:
    """A moving digit; along each axis it goes back and forth between the borders at constant speed."""

    glyph: Glyph
    ink: str = field(validator=validators.in_(tuple(INKS)))
    height: float  # in coordinates, where the picture is 2 high
    speed: tuple[float, float]  # along x and y
    phase: tuple[float, float]  # at time 0: distance travelled from the left and the top border (see `folded`)

    @property
    def half(self) -> tuple[float, float]:
        """Half its width and half its height."""
        return (self.height * self.glyph.width / self.glyph.height / 2, self.height / 2)

    def path(self, times: Doubles) -> tuple[Doubles, Doubles]:
        """Its centre at each time, x and y."""
        places = (
            folded(speed * times + phase, 1 - MARGIN - half)
            for speed, phase, half in zip(self.speed, self.phase, self.half, strict=True)
        )
        x, y = places
        return x, y

    def stamp(self, picture: Floats, times: Doubles) -> None:
        """Draw it into a clip `(T, 3, size, size)`."""
        size = picture.shape[-1]
        factor = supersampling(size, FINE)
        cell = self.height / self.glyph.height
        # Only a window around the digit is drawn, of the same size at all times.
        spans = []
        for middle, half in zip(self.path(times), self.half, strict=True):
            length = min(size, math.ceil(half * size) + 2)
            start = np.clip(np.floor((middle - half + 1) * size / 2).astype(int) - 1, 0, size - length)
            places = (2 * (start[:, None] * factor + np.arange(length * factor)) + 1) / (size * factor) - 1
            spans.append((start, length, (places - middle[:, None]) / cell))
        (left, width, x), (top, height, y) = spans
        box = self.glyph.box
        shares = self.glyph.cover(x + (box[0] + box[2]) / 2, y + (box[1] + box[3]) / 2, 2 / (size * factor * cell))
        colour = rgb(INKS[self.ink])
        for moment, share in enumerate(mean(shares, factor)):
            rows, columns = slice(top[moment], top[moment] + height), slice(left[moment], left[moment] + width)
            part = picture[moment, :, rows, columns]
            part += share * (colour - part)


@frozen
class Digits(Scene):
    """One or two digits on a plain or slightly shaded background."""

    moving: tuple[Moving, ...]  # back to front
    back: str = field(validator=validators.in_(tuple(BACKS)))
    shading: float  # share of brightness added at the top border and removed at the bottom
    way: str = field(validator=validators.in_(WAYS))
    pace: str = field(validator=validators.in_(tuple(SPEEDS)))

    @property
    def kind(self) -> str:
        """`digit` or `two-digits`."""
        return KINDS[len(self.moving) - 1]

    @property
    def captions(self) -> tuple[str, ...]:
        """See `Scene.captions`."""
        shown = [(digit.ink, digit.glyph.digit) for digit in reversed(self.moving)]
        return digit_captions(shown, self.back, self.way, self.pace)

    @property
    def key(self) -> str:
        """The sheet of the originals; all digits of a scene come from the same sheet."""
        return f"sheet-{self.moving[0].glyph.original // SHEET}"

    @property
    def mirrored(self) -> bool:
        """Always false: a mirrored digit is not a digit."""
        return False

    def paint(self, times: Doubles, size: int) -> Floats:
        """See `Scene.paint`."""
        shade = 1 + self.shading * np.linspace(1, -1, 2 * size + 1)[1::2]
        picture = still(rgb(BACKS[self.back]) * shade[:, None], times, size)
        for digit in self.moving:
            digit.stamp(picture, times)
        return picture


def digits(number: int, count: int) -> Digits:
    """Generate the scene of a number.

    Args:
        number: of the scene.
        count: number of digits, 1 or 2.
    """
    draw = draws(number)
    known = glyphs()
    sheets = sorted({glyph.original // SHEET for glyph in known})
    sheet = pick(draw, sheets)
    choice = [glyph for glyph in known if glyph.original // SHEET == sheet]
    back = pick(draw, tuple(BACKS))
    dark = sum(BACKS[back]) < 3 * 110
    inks = list(BRIGHT) + list(ALSO.get(back, ())) if dark else list(DEEP)
    way, pace = pick(draw, WAYS, (0.25, 0.25, 0.5)), pick(draw, tuple(SPEEDS))
    moving: list[Moving] = []
    for _ in range(count):
        ink = pick(draw, [ink for ink in inks if ink not in [other.ink for other in moving]])
        height = between(draw, 0.95, 1.1) if count == 1 else between(draw, 0.78, 0.9)
        glyph = pick(draw, choice)
        tries = [bouncing(draw, glyph, ink, height, way, pace) for _ in range(TRIES if moving else 1)]
        moving.append(min(tries, key=lambda digit: sum(overlap(digit, other) for other in moving)))
    return Digits(number, tuple(moving), back, pick(draw, (0.0, 0.12), (0.4, 0.6)), way, pace)


def overlap(one: Moving, other: Moving) -> float:
    """Overlap of two digits, as a fraction of their size along each axis, averaged over time."""
    times = np.linspace(-1, 1, 33)
    shared = np.ones_like(times)
    for a, b, half, own in zip(one.path(times), other.path(times), one.half, other.half, strict=True):
        shared *= np.clip(1 - np.abs(a - b) / (half + own), 0, 1)
    return float(shared.mean())


def bouncing(draw: np.random.Generator, glyph: Glyph, ink: str, height: float, way: str, pace: str) -> Moving:
    """A digit on a random trajectory that reaches a border at least once in the clip."""
    speed = PIXEL_A_FRAME * between(draw, *SPEEDS[pace])
    angle = {"across": 0.0, "up and down": math.pi / 2}.get(way, between(draw, 0.55, 1.02))
    speeds = (speed * math.cos(angle), speed * math.sin(angle))
    still = Moving(glyph, ink, height, speeds, (0.0, 0.0))
    bouncing_axis = int(draw.integers(2)) if way == "slanting" else WAYS.index(way)
    phase = []
    for axis, half in enumerate(still.half):
        whole = 2 * (1 - MARGIN - half)
        if axis == bouncing_axis:
            phase.append(whole * int(draw.integers(2)) - speeds[axis] * between(draw, -0.55, 0.55))
        else:
            phase.append(2 * whole * between(draw, 0, 1))
    return Moving(glyph, ink, height, speeds, (phase[0], phase[1]))

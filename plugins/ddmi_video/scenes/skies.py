"""Skies: clouds in layers over a sky whose colours change with the hour, above hills."""

from __future__ import annotations

import math

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import between, chance, pick
from ddmi_video.scenes.captions import sky_captions
from ddmi_video.scenes.clouds import Layer, on_ceiling
from ddmi_video.scenes.draws import draws
from ddmi_video.scenes.hills import Ridge
from ddmi_video.scenes.hours import TINTS, colours
from ddmi_video.scenes.lights import Disc, stars
from ddmi_video.scenes.scene import PIXEL_A_FRAME, Doubles, Floats, Scene, centres

KINDS = ("day", "sunset", "sunrise", "night")
WINDS = ("left", "right", "nearer", "away", "opposite")
COVERS = {"few": (-0.8, -0.6), "some": (-0.2, 0.05), "thick": (0.6, 0.85)}
SPEEDS = {"slow": (1.1, 1.35), "medium": (1.5, 1.75), "fast": (2.0, 2.3)}  # pixels a frame at `HIGH`
HIGH = -0.5  # the y at which winds have their speed
MOON, SUN = np.array([246.0, 240.0, 214.0]), np.array([255.0, 246.0, 206.0])
STAR = 0.075  # radius


@frozen
class Sky(Scene):
    """A sky. `wind`, `cover` and `speed` say in words what the layers are made by."""

    hour: str = field(validator=validators.in_(KINDS))
    wind: str = field(validator=validators.in_(WINDS))
    cover: str = field(validator=validators.in_(tuple(COVERS)))
    speed: str = field(validator=validators.in_(tuple(SPEEDS)))
    tint: str = field(validator=validators.in_(tuple(TINTS)))
    height: tuple[float, float]  # of the sun in degrees, at time 0 and its change a unit of time
    layers: tuple[Layer, ...]  # the farthest first
    ridges: tuple[Ridge, ...]  # the farthest first
    disc: Disc | None  # sun or moon
    stars: tuple[tuple[float, float, float], ...]  # x, y, brightness
    turning: float  # speed of the stars to the right

    @property
    def kind(self) -> str:
        """The hour."""
        return self.hour

    @property
    def captions(self) -> tuple[str, ...]:
        """What is seen, in words."""
        phase = "" if self.disc is None else "full" if self.disc.bite == (0.0, 0.0) else "crescent"
        moon = phase if self.hour == "night" else ""
        return sky_captions(self.hour, self.wind, self.cover, self.speed, self.tint, moon, bool(self.stars))

    @property
    def key(self) -> str:
        """The name: no two skies share a cloud."""
        return self.name

    @property
    def mirrored(self) -> bool:
        """Whether the clouds move to neither side, or to both."""
        return self.wind not in ("left", "right")

    def paint(self, times: Doubles, size: int) -> Floats:
        """See `Scene.paint`."""
        hues = {
            part: rgb.astype(np.float32)[:, :, None, None]
            for part, rgb in colours(self.height[0] + self.height[1] * times, self.tint).items()
        }
        low = self.ridges[0].base
        share = np.clip((centres(size) + 1) / (low + 1), 0, 1) ** 1.4
        picture = np.empty((len(times), 3, size, size), dtype=np.float32)
        picture[:] = hues["above"] + (hues["horizon"] - hues["above"]) * share.astype(np.float32)[:, None]
        if self.stars:
            shift = (self.turning * times, 0 * times)
            picture += 200 * stars(self.stars, shift, STAR, size)[:, None]
        through = self._light(picture, times, size)
        # Clouds fade into the haze above the horizon.
        haze = np.float32(0.75) * np.clip((centres(size) - low + 0.75) / 0.75, 0, 1).astype(np.float32)[:, None]
        for layer in self.layers:
            hidden, lit = layer.density(times, size)
            hidden = (hidden * (1 - haze) * (1 - through))[:, None]
            picture += hidden * (hues["shade"] + (hues["lit"] - hues["shade"]) * lit[:, None] - picture)
        for order, ridge in enumerate(self.ridges):
            far = np.float32(0.4 * (len(self.ridges) - 1 - order))
            colour = hues["hills"] + far * (hues["horizon"] - hues["hills"])
            picture += ridge.cover(size) * (colour - picture)
        return picture

    def _light(self, picture: Floats, times: Doubles, size: int) -> Floats:
        """Paint sun or moon; returns how much of the clouds its light outshines, `(T, size, size)` or less."""
        if self.disc is None:
            return np.zeros((1, 1, 1), dtype=np.float32)
        hue, width, strength = (MOON, 0.16, 60.0) if self.hour == "night" else (SUN, 0.34, 90.0)
        colour = hue.astype(np.float32)[:, None, None]
        glow = self.disc.glow(times, size, width)[:, None]
        picture += np.float32(strength / 255) * glow * colour * np.array([1, 0.8, 0.55], np.float32)[:, None, None]
        np.minimum(picture, 255, out=picture)
        picture += self.disc.cover(times, size)[:, None] * (colour - picture)
        return np.float32(0.85) * self.disc.glow(times, size, width) ** 2


def sky(number: int, hour: str) -> Sky:
    """The sky of a number.

    Args:
        number: of the scene.
        hour: one of `KINDS`.
    """
    draw = draws(number)
    wind = pick(draw, WINDS, (0.34, 0.34, 0.12, 0.08, 0.12))
    cover = pick(draw, tuple(COVERS), (0.3, 0.5, 0.2) if hour == "day" else (0.45, 0.55, 0.0))
    speed = pick(draw, tuple(SPEEDS), (0.35, 0.35, 0.3))
    tint = pick(draw, tuple(TINTS)[1:]) if hour in ("sunset", "sunrise") else ""
    ridges = hills(draw)
    layers = clouds(number, draw, wind, cover, speed)
    sides = pick(draw, (-1.0, 1.0))
    disc: Disc | None = None
    dots: tuple[tuple[float, float, float], ...] = ()
    turning = 0.0
    if hour == "day":
        height = (between(draw, 26, 58), between(draw, -6, 6))
    elif hour == "night":
        height = (between(draw, -20, -14), 0.0)
        turning = sides * PIXEL_A_FRAME * between(draw, 0.5, 0.8)
        moon = chance(draw, 0.65)
        disc = full_or_crescent(draw, turning * 1.3) if moon else None
        dots = dotted(draw) if not moon or chance(draw, 0.5) else ()
    else:
        falling = 1.0 if hour == "sunset" else -1.0
        speed_down = PIXEL_A_FRAME * between(draw, 0.85, 1.15)
        middle = ridges[-1].base - between(draw, 0.2, 0.34)
        # The sun's height and its place agree: it touches the horizon at 0 degrees.
        a_degree = 0.055
        height = ((ridges[-1].base - middle) / a_degree - 2, -falling * speed_down / a_degree)
        place = (between(draw, -0.55, 0.55), middle)
        slant = sides * PIXEL_A_FRAME * between(draw, 0.1, 0.4)
        disc = Disc(between(draw, 0.13, 0.18), place, (slant, falling * speed_down))
    return Sky(number, hour, wind, cover, speed, tint, height, layers, ridges, disc, dots, turning)


def clouds(number: int, draw: np.random.Generator, wind: str, cover: str, speed: str) -> tuple[Layer, ...]:
    """One to three layers with winds that the words are true of."""
    count = 2 if wind == "opposite" else pick(draw, (1, 2, 3), (0.45, 0.4, 0.15))
    pace = PIXEL_A_FRAME * between(draw, *SPEEDS[speed])
    amount = between(draw, *COVERS[cover])
    side = pick(draw, (-1.0, 1.0))
    layers = []
    for order in range(count):
        front = order == count - 1
        # Far clouds are higher and seem slower; where two layers go in opposite directions both are plainly seen.
        own = pace * (1.0 if front or wind == "opposite" else between(draw, 0.6, 0.85))
        turn = {"left": -1.0, "right": 1.0, "opposite": side if front else -side}.get(wind)
        aside = pick(draw, (-1.0, 1.0)) * between(draw, 0.0, 0.12) * own
        right, down = (turn * own, aside) if turn else (aside, (-own if wind == "nearer" else own) * 0.75)
        layers.append(
            Layer(
                number,
                order,
                scale=between(draw, 0.85, 1.2),
                stretch=between(draw, 1.0, 1.4) if front else between(draw, 1.5, 2.2),
                cover=amount if front else min(amount, between(draw, -0.9, -0.4)),
                softness=between(draw, 1.1, 1.7) if front else between(draw, 1.8, 2.4),
                opacity=between(draw, 0.85, 0.95) if front else between(draw, 0.5, 0.7),
                wind=on_ceiling(right, down, HIGH),
                boiling=between(draw, 0.1, 0.35),
            )
        )
    return tuple(layers)


def hills(draw: np.random.Generator) -> tuple[Ridge, ...]:
    """One or two lines of hills, the near one last."""
    count = pick(draw, (1, 2), (0.4, 0.6))
    return tuple(
        Ridge(
            base=between(draw, 0.66, 0.78) - (0.0 if order == count - 1 else between(draw, 0.14, 0.2)),
            swings=tuple(
                (between(draw, *swing), between(draw, *wave), between(draw, 0, 2 * math.pi))
                for swing, wave in (((0.03, 0.09), (1.2, 2.4)), ((0.02, 0.05), (3.0, 5.0)), ((0.0, 0.02), (7.0, 9.0)))
            ),
        )
        for order in range(count)
    )


def full_or_crescent(draw: np.random.Generator, speed: float) -> Disc:
    """A moon on a flat arc."""
    place = (between(draw, -0.45, 0.45), between(draw, -0.62, -0.2))
    if chance(draw, 0.5):
        return Disc(between(draw, 0.16, 0.2), place, (speed, 0.0), bend=0.08)
    side = pick(draw, (-1.0, 1.0))
    return Disc(between(draw, 0.2, 0.24), place, (speed, 0.0), bend=0.08, bite=(0.75 * side, -0.25))


def dotted(draw: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """A few stars, apart from each other."""
    found: list[tuple[float, float, float]] = []
    while len(found) < 9:
        x, y = between(draw, -1.3, 1.3), between(draw, -0.95, 0.3)
        if all(math.hypot(x - a, y - b) > 0.3 for a, b, _ in found):
            found.append((x, y, between(draw, 0.5, 1.0)))
    return tuple(found)

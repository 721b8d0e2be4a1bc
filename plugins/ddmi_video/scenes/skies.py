"""Scenes of skies: drifting clouds, sun, moon and stars above hills, in colours that follow the time of day."""

from __future__ import annotations

import math

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import between, chance, pick
from ddmi_video.scenes.captions import sky_captions
from ddmi_video.scenes.procedural_clip import PIXEL_A_FRAME, Doubles, Floats, Scene, centres, draws, smooth

KINDS = ("day", "sunset", "sunrise", "night")
WINDS = ("left", "right", "nearer", "away", "opposite")
COVERS = {"few": (-0.8, -0.6), "some": (-0.2, 0.05), "thick": (0.6, 0.85)}
SPEEDS = {"slow": (1.1, 1.35), "medium": (1.5, 1.75), "fast": (2.0, 2.3)}  # pixels per frame at the height `HIGH`
HIGH = -0.5  # y at which the speed of clouds is defined
MOON, SUN = np.array([246.0, 240.0, 214.0]), np.array([255.0, 246.0, 206.0])
STAR = 0.075  # radius

# Palette: elevation of the sun in degrees, then RGB of the zenith, the horizon, lit clouds, shaded clouds and hills.
PALETTE = np.array(
    [
        [-18, 13, 18, 46, 34, 44, 84, 98, 104, 142, 36, 42, 74, 9, 11, 22],
        [-9, 34, 42, 96, 112, 82, 124, 138, 112, 154, 54, 54, 98, 15, 15, 32],
        [-3, 62, 78, 148, 228, 136, 108, 232, 142, 124, 98, 82, 124, 24, 22, 40],
        [2, 94, 124, 190, 255, 176, 100, 255, 196, 138, 140, 112, 140, 36, 30, 42],
        [9, 104, 154, 216, 252, 214, 158, 255, 232, 200, 160, 148, 168, 44, 46, 50],
        [20, 82, 144, 222, 188, 216, 240, 255, 252, 246, 166, 178, 200, 44, 62, 54],
        [60, 50, 116, 214, 160, 202, 244, 255, 255, 255, 172, 184, 206, 46, 70, 50],
    ],
    dtype=np.float64,
)
PARTS = ("above", "horizon", "lit", "shade", "hills")
LOW_SUN = 14.0  # degrees; the tint of a scene fades in below this elevation, and is complete at half of it
TINTS = {
    "": (1.0, 1.0, 1.0),
    "orange": (1.0, 0.94, 0.72),
    "pink": (1.0, 0.82, 1.12),
    "golden": (1.0, 1.06, 0.86),
}

OUTLINE_SAMPLES = 4  # of the outline of hills, per pixel

# Clouds
WAVES = 40  # plane waves per layer
LENGTHS = (0.7, 2.2)  # shortest and longest wavelength at scale 1
SLOPE = 0.9  # exponent of the wavelength in the amplitude
BLUR = 0.028  # standard deviation in the picture; prevents flicker of distant clouds
LIGHT = (0.45, -0.9)  # direction towards the light, in the picture
RELIEF = 0.2  # strength of the shading
VANISHING = 2.6  # y of the vanishing line of the cloud plane
PLANE = (2.9, 14.0)  # scale across and along the cloud plane: clouds appear one to three times as wide as high

Trajectory = tuple[Doubles, Doubles]  # x and y at each time


def colours(heights: Doubles, tint: str) -> dict[str, Doubles]:
    """RGB of each part, `(T, 3)`, from 0 to 255.

    Args:
        heights: `(T,)`, elevation of the sun in degrees.
        tint: tint of the horizon and the clouds when the sun is low.
    """
    columns = [np.interp(heights, PALETTE[:, 0], PALETTE[:, i]) for i in range(1, PALETTE.shape[1])]
    table = np.stack(columns, axis=1).reshape(len(heights), len(PARTS), 3)
    share = np.clip(2 - 2 * heights / LOW_SUN, 0, 1)[:, None, None]
    table[:, 1:3] *= 1 + share * (np.array(TINTS[tint]) - 1)
    return dict(zip(PARTS, np.minimum(table, 255).swapaxes(0, 1), strict=True))


@frozen
class Ridge:
    """The silhouette of a ridge: everything below its outline."""

    base: float  # mean y of the outline
    swings: tuple[tuple[float, float, float], ...]  # amplitude, wave number and phase of each wave

    @property
    def top(self) -> float:
        """A y above the whole outline."""
        return self.base - sum(amplitude for amplitude, _, _ in self.swings)

    def cover(self, size: int) -> Floats:
        """Coverage of each pixel by the hills: `(size, size)`."""
        x = centres(size * OUTLINE_SAMPLES)
        outline = self.base + sum(a * np.cos(k * x + phase) for a, k, phase in self.swings)
        lower = np.linspace(-1, 1, size + 1)[1:, None]
        share = np.clip((lower - outline) * (size / 2), 0, 1)
        result: Floats = share.reshape(size, size, OUTLINE_SAMPLES).mean(axis=-1).astype(np.float32)
        return result


@frozen
class Disc:
    """Sun or moon: a disc that moves along a parabola."""

    radius: float
    place: tuple[float, float]  # centre at time 0
    speed: tuple[float, float]
    bend: float = 0.0  # y added at the times -1 and 1
    bite: tuple[float, float] = (0.0, 0.0)  # offset, in radii, of a second disc that is cut out; 0 for none

    def path(self, times: Doubles) -> Trajectory:
        """Its centre at each time."""
        (x, y), (right, down) = self.place, self.speed
        return x + right * times, y + down * times + self.bend * times**2

    def cover(self, times: Doubles, size: int) -> Floats:
        """Coverage of each pixel: `(T, size, size)`."""
        x, y = self.path(times)
        whole = _inside(distance((x, y), size), self.radius, size)
        if self.bite == (0.0, 0.0):
            return whole
        hidden = (x + self.radius * self.bite[0], y + self.radius * self.bite[1])
        return whole * (1 - _inside(distance(hidden, size), self.radius, size))

    def glow(self, times: Doubles, size: int, width: float) -> Floats:
        """Glow around it, 1 at the centre and 1/2 at the distance `width`: `(T, size, size)`."""
        away = distance(self.path(times), size) * np.float32(1 / width)
        result: Floats = np.reciprocal(1 + away * away)
        return result


def stars(places: tuple[tuple[float, float, float], ...], shift: Trajectory, radius: float, size: int) -> Floats:
    """Light of soft dots.

    Args:
        places: x, y and brightness of each star at time 0.
        shift: displacement at each of T times.
        radius: distance at which the light of a star ends.
        size: rows and columns.

    Returns:
        `(T, size, size)`
    """
    light = np.zeros((len(shift[0]), size, size), dtype=np.float32)
    for x, y, brightness in places:
        away = distance((x + shift[0], y + shift[1]), size) * np.float32(1 / radius)
        fall = np.maximum(1 - away * away, 0)
        light += np.float32(brightness) * fall * fall
    return light


def distance(path: Trajectory, size: int) -> Floats:
    """Distance of each pixel's centre from a trajectory: `(T, size, size)`."""
    places = centres(size)
    across = ((places[None, :] - path[0][:, None]) ** 2).astype(np.float32)
    down = ((places[None, :] - path[1][:, None]) ** 2).astype(np.float32)
    result: Floats = np.sqrt(across[:, None, :] + down[:, :, None])
    return result


def _inside(away: Floats, radius: float, size: int) -> Floats:
    result: Floats = np.clip((np.float32(radius) - away) * np.float32(size / 2) + np.float32(0.5), 0, 1)
    return result


def on_cloud_plane(right: float, down: float, y: float) -> tuple[float, float]:
    """The wind on the cloud plane for a velocity in the picture at x = 0 and a given y."""
    depth = 1 / (VANISHING - y)
    return (right * PLANE[0] * depth, down * PLANE[1] * depth**2)


@frozen
class Layer:
    """A layer of clouds: a sum of plane waves on a horizontal plane seen in perspective, carried by the wind."""

    number: int  # of the scene, which seeds the waves
    order: int  # 0 is the farthest layer
    scale: float  # size of the clouds
    stretch: float  # horizontal stretch of the clouds
    cover: float  # threshold of the cloud cover; 0 covers one half of the sky
    softness: float  # width of their edges
    opacity: float
    wind: tuple[float, float]  # to the right and away from the viewer, on the plane, per unit of time
    boiling: float  # rate at which clouds change their shape

    def on_plane(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Coordinates on the cloud plane of points of the picture."""
        depth = 1 / (VANISHING - y)
        return PLANE[0] * x * depth, PLANE[1] * depth

    def density(self, times: Doubles, size: int) -> tuple[Floats, Floats]:
        """Opacity of the clouds at each pixel, and how brightly they are lit there.

        Args:
            times: `(T,)`.
            size: rows and columns.

        Returns:
            both `(T, size, size)`, in [0, 1].
        """
        waves, amplitude, phase, drift = self._waves()
        x, y = centres(size)[None, :], centres(size)[:, None]
        across, along = self.on_plane(x, y)
        angle = waves[:, 0, None, None] * across + waves[:, 1, None, None] * along + phase[:, None, None]
        # Wave numbers in the picture, at x = 0: perspective shortens waves towards the horizon.
        depth = 1 / (VANISHING - y)
        right = waves[:, 0, None, None] * PLANE[0] * depth
        down = waves[:, 1, None, None] * PLANE[1] * depth**2
        strength = amplitude[:, None, None] * np.exp(-(right**2 + down**2) * (BLUR**2 / 2))
        slope = strength * (LIGHT[0] * right + LIGHT[1] * down)
        cosine, sine = np.cos(angle).reshape(WAVES, -1), np.sin(angle).reshape(WAVES, -1)
        turned = drift[None, :] * times[:, None]
        # cos(a - b) = cos a cos b + sin a sin b separates time from space, so one matrix product gives all frames.
        basis = np.concatenate([np.cos(turned), np.sin(turned)], axis=1)
        shape = (len(times), size, size)

        def product(even: Doubles, odd: Doubles, weight: Doubles) -> Floats:
            wide = np.broadcast_to(weight, (WAVES, size, size)).reshape(WAVES, -1)
            result: Floats = (basis @ np.concatenate([wide * even, wide * odd])).reshape(shape).astype(np.float32)
            return result

        height = product(cosine, sine, strength)
        rise = product(-sine, cosine, slope)
        hidden = smooth((height + np.float32(self.cover)) / np.float32(self.softness) + np.float32(0.5))
        lit = np.clip(np.float32(0.62) + np.float32(RELIEF * self.scale) * rise, 0, 1)
        return hidden * np.float32(self.opacity), lit

    def _waves(self) -> tuple[Doubles, Doubles, Doubles, Doubles]:
        """Wave numbers `(K, 2)`, amplitudes, phases and angular frequencies `(K,)`; the sum has variance 1."""
        draw = draws(self.number, 1 + self.order)
        shortest, longest = LENGTHS
        lengths = shortest * (longest / shortest) ** ((np.arange(WAVES) + draw.random(WAVES)) / WAVES)
        angles = math.pi * (draw.permutation(WAVES) + draw.random(WAVES)) / WAVES
        numbers = 2 * math.pi / (lengths * self.scale)
        waves = np.stack([np.cos(angles) / self.stretch, np.sin(angles)], axis=1) * numbers[:, None]
        amplitude = lengths**SLOPE
        amplitude *= math.sqrt(2) / np.sqrt((amplitude**2).sum())
        phase = 2 * math.pi * draw.random(WAVES)
        drift = waves @ np.asarray(self.wind) + self.boiling * draw.standard_normal(WAVES)
        return waves, amplitude, phase, drift


@frozen
class Sky(Scene):
    """A sky; `wind`, `cover` and `speed` name the ranges from which its layers were drawn."""

    hour: str = field(validator=validators.in_(KINDS))
    wind: str = field(validator=validators.in_(WINDS))
    cover: str = field(validator=validators.in_(tuple(COVERS)))
    speed: str = field(validator=validators.in_(tuple(SPEEDS)))
    tint: str = field(validator=validators.in_(tuple(TINTS)))
    height: tuple[float, float]  # elevation of the sun at time 0 in degrees, and its rate of change
    layers: tuple[Layer, ...]  # farthest first
    ridges: tuple[Ridge, ...]  # farthest first
    disc: Disc | None  # sun or moon
    stars: tuple[tuple[float, float, float], ...]  # x, y, brightness
    turning: float  # horizontal speed of the stars

    @property
    def kind(self) -> str:
        """The time of day."""
        return self.hour

    @property
    def captions(self) -> tuple[str, ...]:
        """See `Scene.captions`."""
        phase = "" if self.disc is None else "full" if self.disc.bite == (0.0, 0.0) else "crescent"
        moon = phase if self.hour == "night" else ""
        return sky_captions(self.hour, self.wind, self.cover, self.speed, self.tint, moon, bool(self.stars))

    @property
    def key(self) -> str:
        """The name, as no two skies share a cloud."""
        return self.name

    @property
    def mirrored(self) -> bool:
        """Whether the clouds move neither left nor right, or both ways."""
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
        # Clouds fade into haze above the horizon.
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
        """Draw sun or moon; returns how transparent its light makes clouds, at most `(T, size, size)`."""
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
    """Generate the scene of a number.

    Args:
        number: of the scene.
        hour: time of day, one of `KINDS`.
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
        # Elevation and position agree: the sun touches the horizon at 0 degrees.
        a_degree = 0.055
        height = ((ridges[-1].base - middle) / a_degree - 2, -falling * speed_down / a_degree)
        place = (between(draw, -0.55, 0.55), middle)
        slant = sides * PIXEL_A_FRAME * between(draw, 0.1, 0.4)
        disc = Disc(between(draw, 0.13, 0.18), place, (slant, falling * speed_down))
    return Sky(number, hour, wind, cover, speed, tint, height, layers, ridges, disc, dots, turning)


def clouds(number: int, draw: np.random.Generator, wind: str, cover: str, speed: str) -> tuple[Layer, ...]:
    """One to three layers of clouds that fit the words for wind, cover and speed."""
    count = 2 if wind == "opposite" else pick(draw, (1, 2, 3), (0.45, 0.4, 0.15))
    pace = PIXEL_A_FRAME * between(draw, *SPEEDS[speed])
    amount = between(draw, *COVERS[cover])
    side = pick(draw, (-1.0, 1.0))
    layers = []
    for order in range(count):
        front = order == count - 1
        # Distant clouds appear slower, except when two layers move in opposite directions.
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
                wind=on_cloud_plane(right, down, HIGH),
                boiling=between(draw, 0.1, 0.35),
            )
        )
    return tuple(layers)


def hills(draw: np.random.Generator) -> tuple[Ridge, ...]:
    """One or two ridges, nearest last."""
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
    """A full or crescent moon on a flat arc."""
    place = (between(draw, -0.45, 0.45), between(draw, -0.62, -0.2))
    if chance(draw, 0.5):
        return Disc(between(draw, 0.16, 0.2), place, (speed, 0.0), bend=0.08)
    side = pick(draw, (-1.0, 1.0))
    return Disc(between(draw, 0.2, 0.24), place, (speed, 0.0), bend=0.08, bite=(0.75 * side, -0.25))


def dotted(draw: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Nine stars with a minimum distance between them."""
    found: list[tuple[float, float, float]] = []
    while len(found) < 9:
        x, y = between(draw, -1.3, 1.3), between(draw, -0.95, 0.3)
        if all(math.hypot(x - a, y - b) > 0.3 for a, b, _ in found):
            found.append((x, y, between(draw, 0.5, 1.0)))
    return tuple(found)

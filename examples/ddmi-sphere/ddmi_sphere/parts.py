"""Settings, data source and pictures, which both domains share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from attrs import field, frozen
from PIL import Image, ImageOps

from ddmi_core.api import Split, inside, within
from ddmi_core.parts import GridArtefact, GridDomain, GridSet, Source
from ddmi_sphere.formula import KINDS, temperature

COLD, MILD, WARM = (33, 62, 138), (240, 238, 228), (165, 28, 38)


@frozen
class SphereSettings:
    """Settings of both domains.

    Args:
        rows: cells from pole to pole of the native grid; it has twice as many around the equator.
        count: fields of the source `weather`.
        held_out: share of the fields that is kept out of training.
    """

    rows: int = field(default=32, validator=within(4, 1024))
    count: int = field(default=1000, validator=within(4, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))

    @property
    def native(self) -> tuple[int, int]:
        """Cells along latitude and longitude."""
        return self.rows, 2 * self.rows

    @property
    def extent(self) -> tuple[float, float]:
        """Degrees of latitude and longitude."""
        return 180.0, 360.0


def weather(location: None, settings: SphereSettings) -> Split:
    """Temperatures by formulas, `domain.count` fields; the kind of air mass is the class."""
    labels = [number % len(KINDS) for number in range(settings.count)]
    names = [f"{KINDS[label]} {number:04d}" for number, label in enumerate(labels)]
    values = np.stack([temperature(number, settings.native) for number in range(settings.count)])
    rounded = np.rint(values[:, None] * 32767).astype(np.int16)
    return GridSet([rounded], names, classes=KINDS, labels=labels).split(settings.held_out)


class Sphere(GridDomain[SphereSettings]):
    """Anomalies of temperature over longitude and latitude."""

    def sources(self) -> Mapping[str, Source]:
        """Weather by formulas."""
        return {"weather": weather}

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """Maps in colours, and arrays, which `read` takes."""
        return {".png": write_map, **super().exporters()}

    def picture(self, artefact: GridArtefact) -> Image.Image:
        """A map of at most 512 cells around the equator."""
        rows, columns = artefact.size
        least = min(1, 512 / max(rows, columns))
        return coloured(artefact.at((max(1, round(rows * least)), max(1, round(columns * least)))))


def coloured(artefact: GridArtefact) -> Image.Image:
    """A map with the north at the top."""
    values = np.rint(255 * (artefact.array()[::-1, :, 0].clip(-1, 1) + 1) / 2).astype(np.uint8)
    return ImageOps.colorize(Image.fromarray(values), COLD, WARM, MILD)


def write_map(artefact: GridArtefact, path: Path) -> None:
    """Write a map as a PNG file, one pixel a cell."""
    with path.open("wb") as stream:
        coloured(artefact).save(stream, "PNG")

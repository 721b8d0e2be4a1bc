"""Settings, data source, metric and pictures of moving solids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from PIL import Image
from torch import Tensor, nn

from ddmi_core.api import Field, Split, inside, within
from ddmi_core.parts import (
    GridArtefact,
    GridDomain,
    GridPanel,
    GridRenderer,
    GridSampler,
    GridSet,
    Metric,
    OnGrids,
    PerceptualConfig,
    Source,
    l2_loss,
    native_grid,
    write_animated_gif,
)
from ddmi_solids_in_time.formula import KINDS, occupancy

PIXELS = 128  # of a frame, along each side
LIGHT = np.array([-0.5, 0.75, -0.43])  # from the light, along z, y and x


@frozen
class SolidSettings:
    """Settings of the domain.

    Args:
        side: cells along x, y and z of the native grid.
        moments: cells along t.
        count: solids of the source `tumbling`.
        held_out: share of the solids that is kept out of training.
    """

    side: int = field(default=16, validator=within(4, 128))
    moments: int = field(default=8, validator=within(2, 128))
    count: int = field(default=240, validator=within(4, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))

    @property
    def native(self) -> tuple[int, int, int, int]:
        """Cells along t, z, y and x."""
        return self.moments, self.side, self.side, self.side


def tumbling(location: None, settings: SolidSettings) -> Split:
    """Solids by formulas, `domain.count` of them; their kind is the class."""
    labels = [number % len(KINDS) for number in range(settings.count)]
    names = [f"{KINDS[label]} {number:04d}" for number, label in enumerate(labels)]
    values = [np.rint(127.5 * (1 + occupancy(number, settings.native))) for number in range(settings.count)]
    stored = np.stack(values)[:, None].astype(np.uint8)
    return GridSet([stored], names, classes=KINDS, labels=labels).split(settings.held_out)


class SolidsInTime(GridDomain[SolidSettings]):
    """Occupancy over x, y, z and t: 1 inside, -1 outside, 0 on the surface."""

    def sources(self) -> Mapping[str, Source]:
        """Solids by formulas."""
        return {"tumbling": tumbling}

    @cached_property
    def sampler(self) -> GridSampler:
        """Scattered cells, since a block of four axes that has few cells is small."""
        return GridSampler(self.domain.layout, scattered=True)

    def loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """Squared error: the absolute error is least for empty space where most solids are not."""
        return l2_loss(values, targets)

    def perceptual(self) -> Mapping[str, Callable[[PerceptualConfig], nn.Module]]:
        """None, because scattered cells form no patches."""
        return {}

    def metrics(self) -> Mapping[str, Metric]:
        """Overlap of the solids in space and time, and the error of the values."""
        return {"iou": iou, **super().metrics()}

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """Animations, and arrays, which `read` takes."""
        return {".gif": write_frames, **super().exporters()}

    def picture(self, artefact: GridArtefact) -> list[Image.Image]:
        """The solid from the front, one frame per cell along t."""
        return frames(artefact)

    def panel(self) -> GridPanel:
        """Sections at any t and z, where reports show the solid from the front."""
        return GridPanel(self.domain.layout, self.renderer, self.picture, section)


def iou(fields: Field, signal: OnGrids, renderer: GridRenderer) -> Tensor:
    """Intersection over union of the native cells whose centres are inside, `(B,)`."""
    ours, theirs = (values.flatten(1) > 0 for values in (renderer.native_values(fields), native_grid(signal).cpu()))
    return (ours & theirs).sum(dim=1) / (ours | theirs).sum(dim=1).clamp(min=1)


def frames(artefact: GridArtefact) -> list[Image.Image]:
    """Shaded views along y, with z upwards, of every moment."""
    return [Image.fromarray(_shaded(volume)).resize((PIXELS, PIXELS)) for volume in artefact.array()[..., 0]]


def _shaded(volume: Any) -> Any:
    """The first surface along y in parallel light, as grey values `(z, x)`; volume `(z, y, x)`."""
    volume = np.pad(volume, 1, mode="edge")
    first = (volume > 0).argmax(axis=1)[:, None]
    slopes = np.concatenate([np.take_along_axis(part, first, axis=1) for part in np.gradient(volume)], axis=1)
    lit = np.einsum("zix,i->zx", slopes, LIGHT) / np.linalg.norm(slopes, axis=1).clip(1e-6)
    return _bytes(np.where((volume > 0).any(axis=1), lit.clip(0.15, 1), 0)[-2:0:-1, 1:-1])


def section(artefact: GridArtefact) -> Image.Image:
    """Values over x and y at the first moment and the lowest z."""
    return Image.fromarray(_bytes((artefact.array()[0, 0, ::-1, :, 0] + 1) / 2))


def _bytes(values: Any) -> Any:
    return np.rint(255 * values.clip(0, 1)).astype(np.uint8)


def write_frames(artefact: GridArtefact, path: Path) -> None:
    """Write an animated GIF file, 12 frames a second."""
    shown = [np.asarray(frame.convert("RGB")) for frame in frames(artefact)]
    write_animated_gif(shown, (PIXELS, PIXELS), [8] * len(shown), path)

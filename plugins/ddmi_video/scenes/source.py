"""The data sources `scenes` and `digits`: rendered clips with captions, split by what scenes share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.parts import ArrayCache, GridSet, choose, mirroring, source_digest
from ddmi_video.scenes.catalogue import DIGITS, SCENES, Family, scene
from ddmi_video.scenes.procedural_clip import Pixels, Scene, centres
from ddmi_video.settings import VideoSettings

CACHE = ArrayCache("scenes", room=2 << 30)


def load(location: None, settings: VideoSettings) -> Split:
    """Skies with drifting clouds, and bouncing balls, with captions; the kind is the class."""
    return _family(SCENES, settings)


def digits(location: None, settings: VideoSettings) -> Split:
    """Moving handwritten digits that bounce off the borders, with captions; the kind is the class."""
    return _family(DIGITS, settings)


def _family(family: Family, settings: VideoSettings) -> Split:
    scenes = [scene(number, family) for number in range(settings.count)]
    scenes = [scenes[i] for i in choose([made.name for made in scenes], settings.limit)]
    names = [made.name for made in scenes]
    here = Path(__file__).parent
    version = source_digest(*here.glob("*.py"), *here.glob("*.npz"))

    def rendered(frames: int) -> Pixels:
        key = ["scenes", version, names, frames, settings.size]
        return CACHE.made(key, lambda: draw_all(scenes, frames, settings.size))

    levels = [rendered(frames) for frames in dict.fromkeys((settings.frames, settings.frames * settings.between))]
    CACHE.tidy()
    whole = GridSet(
        levels,
        names,
        classes=tuple(family),
        labels=[list(family).index(made.kind) for made in scenes],
        augment=mirroring([settings.augment and made.mirrored for made in scenes]),
        captions=[made.captions for made in scenes],
    )
    return whole.split(settings.held_out, [made.key for made in scenes])


def draw_all(scenes: list[Scene], frames: int, size: int) -> Pixels:
    """Rendered clips `(M, 3, frames, size, size)`."""
    clips = np.empty((len(scenes), 3, frames, size, size), dtype=np.uint8)
    times = centres(frames)
    for clip, made in zip(clips, scenes, strict=True):
        clip[:] = made.draw(times, size).swapaxes(0, 1)
    return clips

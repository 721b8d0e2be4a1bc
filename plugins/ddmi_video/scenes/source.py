"""The source `scenes`: clips, captions and a split by what scenes share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api import Split
from ddmi_core.parts import ArrayCache, GridSet, choose, source_digest
from ddmi_video.scenes.catalogue import KINDS, scene
from ddmi_video.scenes.scene import Pixels, Scene, centres
from ddmi_video.settings import VideoSettings

CACHE = ArrayCache("scenes", room=1 << 30)


def load(location: None, settings: VideoSettings) -> Split:
    """Skies with drifting clouds and handwritten digits that bounce, with captions; the kind is the class."""
    scenes = [scene(number) for number in range(settings.count)]
    scenes = [scenes[i] for i in choose([made.name for made in scenes], settings.limit)]
    names = [made.name for made in scenes]
    version = source_digest(*Path(__file__).parent.glob("*.py"))
    clips = CACHE.made(
        ["scenes", version, names, settings.frames, settings.size],
        lambda: draw_all(scenes, settings.frames, settings.size),
    )
    CACHE.tidy()
    allowed = torch.tensor([settings.augment and made.mirrored for made in scenes])

    def mirror(levels: tuple[Tensor, ...], index: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        chance = torch.rand(len(index), generator=generator, device=generator.device).cpu()
        turned = allowed[index] & (chance < 0.5)
        for level in levels:
            level[turned] = level[turned].flip(-1)
        return levels

    whole = GridSet(
        [clips],
        names,
        classes=KINDS,
        labels=[KINDS.index(made.kind) for made in scenes],
        augment=mirror,
        captions=[made.captions for made in scenes],
    )
    return whole.split(settings.held_out, [made.key for made in scenes])


def draw_all(scenes: list[Scene], frames: int, size: int) -> Pixels:
    """Clips `(M, 3, frames, size, size)`."""
    clips = np.empty((len(scenes), 3, frames, size, size), dtype=np.uint8)
    times = centres(frames)
    for clip, made in zip(clips, scenes, strict=True):
        clip[:] = made.draw(times, size).swapaxes(0, 1)
    return clips

"""Pictures of few pixels and frames, and a short trial before training, for runs whose pictures are of no interest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

DOMAINS = ("nerf", "occupancy")
STEP, CELLS = 0.5, 8  # of rays, and of the grid that tells where a scene is empty


def replacements(domain: str) -> dict[str, Any]:
    """What is set to what, for runs of a domain."""
    trial = {"ddmi_core.runs.rehearsal.SECONDS": 0.0}
    if domain == "occupancy":
        turntable = "ddmi_occupancy.preview.turntable"
        return trial | {
            f"{turntable}.FRAMES": 1,
            f"{turntable}.SIDE": 8,
            f"{turntable}.FILE_FRAMES": 4,
            f"{turntable}.FILE_SIDE": 32,
        }
    from ddmi_nerf.rendering.scene import Scene

    of = Scene.of
    return trial | {
        "ddmi_nerf.rendering.export.SHOWN": 1,
        "ddmi_nerf.rendering.export.THUMBNAIL": 8,
        "ddmi_nerf.rendering.scene.Scene.of": staticmethod(lambda medium, ground, *_: of(medium, ground, STEP, CELLS)),
        "ddmi_nerf.evaluation.features.SIZE": 4,
    }


def apply(domain: str) -> None:
    """Small pictures of a domain for the rest of this process."""
    for place, value in replacements(domain).items():
        patch(place, value).start()


@contextmanager
def pictures() -> Iterator[None]:
    """Small pictures of all domains meanwhile."""
    with ExitStack() as stack:
        for domain in DOMAINS:
            for place, value in replacements(domain).items():
                stack.enter_context(patch(place, value))
        yield

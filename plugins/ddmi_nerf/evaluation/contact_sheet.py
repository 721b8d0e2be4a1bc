"""Contact sheet of completed objects: views from the observed cameras, and from behind."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

from ddmi_core.api import Field
from ddmi_nerf.cameras.orbit import turned
from ddmi_nerf.rendering.ray_sampler import PixelQueries
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import as_bytes, frames
from ddmi_nerf.signal import ViewSignal

MOST = 4  # maximum number of observed views
SIDE = 128  # least number of pixels of an image's shorter side


def contact_sheet(
    signal: ViewSignal, queries: PixelQueries, fields: Field, renderer: NerfRenderer
) -> dict[str, list[Image.Image]]:
    """Images of the observed parts of views, then a row for each field: from their cameras, and from behind.

    Args:
        signal: one object.
        queries: its observed pixels.
        fields: completions.
        renderer: renders the fields.
    """
    views = sorted({int(view) for view in queries.view[0].tolist()})[:MOST]
    seen = [_observed(signal, queries, view) for view in views]
    cameras = [signal.camera(0, view) for view in views]
    cameras.append(turned(cameras[0], 180))
    scale = max(1, -(-SIDE // min(cameras[0].width, cameras[0].height)))
    cameras = [camera.resized(scale * camera.width, scale * camera.height) for camera in cameras]
    rows = [[Image.fromarray(pixels) for pixels in frames(renderer.scene(field), cameras)] for field in fields]
    observed = f"observed: view {', '.join(map(str, views))}"
    return {observed: seen} | {f"completion {number}, the last from behind": row for number, row in enumerate(rows)}


def _observed(signal: ViewSignal, queries: PixelQueries, view: int) -> Image.Image:
    """One view, grey outside of the rows and columns of observed pixels."""
    colours = signal.images[0, view].float().movedim(0, -1).cpu().numpy()
    shown = np.zeros_like(colours)
    own = queries.view[0] == view
    rows, columns = (
        _reached(part[0, own], length)
        for part, length in zip((queries.row, queries.column), colours.shape, strict=False)
    )
    shown[rows, columns] = colours[rows, columns]
    return Image.fromarray(as_bytes(shown))


def _reached(places: Tensor, length: int) -> slice:
    """From the first to the last of some pixels, whose centres are given in [-1, 1]."""
    first, last = ((places.aminmax()[end] + 1) / 2 * length for end in (0, 1))
    return slice(int(first), int(last) + 1)

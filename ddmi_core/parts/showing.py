"""What notebooks show of the fields and artefacts of a domain, by its thumbnails, pictures and exporters."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from PIL import Image

from ddmi_core.api.panels import Look
from ddmi_core.atomic import file_bytes
from ddmi_core.display import Artefact, Bundle
from ddmi_core.errors import DdmiError, RequestError
from ddmi_core.fields.field import Field
from ddmi_core.parts.media import data_url, encoded, frames_of, playable
from ddmi_core.parts.panels import GLB

if TYPE_CHECKING:
    from ddmi_core.parts.domain_parts import AnyParts

A = TypeVar("A")

MOST = 8  # fields of a batch that are shown, in one row: some domains take seconds for each
SIDE = 112  # rows of pixels of each field of a batch
LEAST = 160  # rows or columns of pixels of an artefact, the longer of the two; smaller ones are enlarged
GAP = 4


@frozen
class Showing:
    """Draws fields and artefacts by the implementation of their domain.

    Args:
        parts: the implementation.
    """

    parts: AnyParts

    def connect(self, item: A) -> A:
        """The field or artefact, connected with its domain; anything else unchanged."""
        return evolve(item, shown_by=self) if isinstance(item, Field | Artefact) else item

    def fields(self, fields: Field) -> Bundle:
        """A row of the first 8 fields; the thumbnail itself, which may be an animation, of a single one."""
        try:
            if len(fields) == 1:
                return self._thumbnail(fields)
            stills = [self._still(field) for field in fields[:MOST]]
        except DdmiError as error:  # such as values that are not finite; the text says what the object is
            return {"text/html": f"<p>{error}</p>"}
        return _bundle(*encoded(_sheet(stills), small=False))

    def artefact(self, artefact: Any) -> Bundle:
        """The domain's picture, enlarged if it is small; with a player for sounds."""
        frames = [_enlarged(frame) for frame in frames_of(self.parts.picture(artefact))]
        shown = _bundle(*encoded(frames, small=False))
        suffix = next(iter(self.parts.exporters()))
        kind = playable(suffix)
        if not kind.startswith("audio/"):
            return shown
        sound = data_url(kind, file_bytes(lambda path: self.parts.exporters()[suffix](artefact, path), suffix))
        still = _image(f"data:image/png;base64,{shown['image/png']}")
        return {**shown, "text/html": f'{still}<br><audio controls src="{sound}"></audio>'}

    def pictures(self, artefact: Any) -> Image.Image | list[Image.Image]:
        """The picture or frames at full size; of an artefact without pixels, the domain's picture."""
        found = self.parts.pixels(artefact)
        if found is None:
            drawn = self.parts.picture(artefact)
            return drawn if isinstance(drawn, Image.Image) else list(drawn)
        return Image.fromarray(found) if found.ndim == 3 else [Image.fromarray(frame) for frame in found]

    def pixels(self, artefact: Any) -> npt.NDArray[np.uint8] | None:
        """Pixels at full size; `None` if the artefact is no picture."""
        return self.parts.pixels(artefact)

    def mesh(self, artefact: Any) -> Any:
        """The domain's glb file, read by trimesh.

        Raises:
            RequestError: if the domain writes no glb files.
        """
        write = self.parts.exporters().get(GLB)
        if write is None:
            raise RequestError(
                f"domain {self.parts.domain.name!r} writes no meshes; its files are {', '.join(self.parts.exporters())}"
            )
        import trimesh

        data = file_bytes(lambda path: write(artefact, path), GLB)
        return trimesh.load(io.BytesIO(data), file_type="glb", force="mesh")

    def _thumbnail(self, field: Field) -> Bundle:
        shown = self.parts.panel().thumbnail(field)
        if shown.kind == "image/png":
            return _bundle(shown.kind, shown.data)
        # Animations of thumbnails are small, and meshes need a page that turns them.
        return self.artefact(self.parts.renderer.render(field, None))

    def _still(self, field: Field) -> Image.Image:
        """One field, `SIDE` pixels high."""
        panel = self.parts.panel()
        shown = panel.thumbnail(field)
        if shown.kind.startswith("image/"):
            drawn: Image.Image = Image.open(io.BytesIO(shown.data))
            aspect = panel.aspect
            if getattr(drawn, "is_animated", False):  # small frames; one alone may be large
                drawn = Image.open(io.BytesIO(panel.show(field, Look()).data))
        else:
            drawn = self.parts.still(self.parts.renderer.render(field, None))
            aspect = drawn.width / drawn.height
        size = (max(1, round(SIDE * aspect)), SIDE)
        return _flat(drawn).resize(size, Image.Resampling.LANCZOS if drawn.height >= SIDE else Image.Resampling.NEAREST)


def _bundle(kind: str, data: bytes) -> Bundle:
    """A file as what Jupyter shows, with a still picture for programs that show no HTML."""
    if kind == "image/png":
        return {kind: base64.b64encode(data).decode()}
    still = encoded(_flat(Image.open(io.BytesIO(data))), small=False)[1]
    return {"text/html": _image(data_url(kind, data)), "image/png": base64.b64encode(still).decode()}


def _image(source: str) -> str:
    return f'<img alt="" src="{source}">'


def _flat(drawn: Image.Image) -> Image.Image:
    """The first frame, over white."""
    if drawn.mode not in ("RGBA", "LA", "P"):
        return drawn.convert("RGB")
    above = drawn.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")


def _enlarged(drawn: Image.Image) -> Image.Image:
    """A picture with each pixel repeated, until its longer side has at least `LEAST`."""
    times = math.ceil(LEAST / max(drawn.size))
    return drawn if times == 1 else drawn.resize((drawn.width * times, drawn.height * times), Image.Resampling.NEAREST)


def _sheet(stills: list[Image.Image]) -> Image.Image:
    """Pictures of equal size in a row, over white."""
    wide, high = stills[0].size
    sheet = Image.new("RGB", (len(stills) * (wide + GAP) - GAP, high), "white")
    for number, still in enumerate(stills):
        sheet.paste(still, (number * (wide + GAP), 0))
    return sheet

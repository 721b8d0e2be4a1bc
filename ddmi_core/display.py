"""Short texts of objects, and the base of artefacts: their pictures, arrays and meshes."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, Protocol

import attrs
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ddmi_core.errors import RequestError

Bundle = Mapping[str, str]  # media type to text, or to data in base64: what Jupyter takes

_LONGEST = 120  # characters of the text of a plain value
_TEXTS = reprlib.Repr()
_TEXTS.maxother = _TEXTS.maxstring = _TEXTS.maxlong = _LONGEST


class Shows(Protocol):
    """What draws the fields and artefacts of a model; `ddmi_core.parts.showing.Showing` of its domain."""

    def fields(self, fields: Any) -> Bundle:
        """Pictures of the first fields of a batch."""

    def artefact(self, artefact: Any) -> Bundle:
        """A picture, an animation or a player."""

    def pictures(self, artefact: Any) -> Image.Image | list[Image.Image]:
        """The picture, or the frames, of an artefact."""

    def pixels(self, artefact: Any) -> npt.NDArray[np.uint8] | None:
        """Pixels at full size; `None` if the artefact is no picture."""

    def mesh(self, artefact: Any) -> Any:
        """The artefact as a mesh of trimesh."""


def short(value: Any) -> str:
    """A text of at most about 120 characters: tensors and arrays by type and shape, other values shortened."""
    if isinstance(value, torch.Tensor | np.ndarray):
        place = f" on {value.device}" if isinstance(value, torch.Tensor) and value.device.type != "cpu" else ""
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}{place}"
    if isinstance(value, tuple | list) and any(isinstance(part, torch.Tensor | np.ndarray) for part in value):
        return f"({', '.join(map(short, value))})"
    return _TEXTS.repr(value)


class ShortText:
    """Base of attrs classes with tensors or arrays: `repr` gives their shapes, not their values.

    Derive with `@frozen(repr=False)`; attributes with `attrs.field(repr=False)` are left out.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """The name of the class, and each attribute in short."""
        shown = [part.name for part in attrs.fields(type(self)) if part.repr]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={short(getattr(self, name))}' for name in shown)})"


@attrs.frozen(eq=False, kw_only=True, repr=False)
class Artefact(ShortText):
    """Base of what renderers return, as attrs classes: pictures, clips, meshes, sounds.

    `Model.render` connects it with the domain, which draws it where it is the last line of a notebook's cell.

    Args:
        shown_by: draws it; set by `Model.render` and `Model.ground_truth`.
    """

    shown_by: Shows | None = attrs.field(default=None, repr=False)

    def to_pil(self) -> Image.Image | list[Image.Image]:
        """A picture of Pillow, or a list of the frames of a clip, at full size; 8 bits a channel, 0 to 255.

        An artefact that is no picture, such as a mesh, gives what reports show of it, for example its turntable.

        Raises:
            RequestError: unless the artefact comes from `Model.render` or `Model.ground_truth`.
        """
        return self._shows().pictures(self)

    def to_numpy(self) -> npt.NDArray[Any]:
        """Values as one array: of pictures uint8 `(H, W, C)`, of clips uint8 `(frames, H, W, C)`, 0 to 255.

        Raises:
            RequestError: unless the artefact comes from `Model.render` or `Model.ground_truth`, or if it is no picture
                and has no other array.
        """
        found = self._shows().pixels(self)
        if found is None:
            raise RequestError(
                f"a {type(self).__name__} has no pixels. Fix: use its attributes, or to_pil() for a picture of it"
            )
        return found

    def to_trimesh(self) -> Any:
        """A `trimesh.Trimesh`, in the model's units and with its axes.

        Raises:
            RequestError: if the domain writes no meshes.
        """
        return self._shows().mesh(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        """What a notebook shows."""
        return {"text/plain": repr(self), **(self.shown_by.artefact(self) if self.shown_by else {})}

    def _shows(self) -> Shows:
        if self.shown_by is None:
            raise RequestError(
                f"this {type(self).__name__} does not know its domain. Fix: take it from model.render or "
                "model.ground_truth"
            )
        return self.shown_by

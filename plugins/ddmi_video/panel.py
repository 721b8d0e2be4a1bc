"""How the page of `ddmi view` shows clips: any part of any moment, drawn from the field, beside the player."""

from __future__ import annotations

from PIL import Image

from ddmi_core.api import Domain
from ddmi_core.parts import GridArtefact, GridPanel, GridRenderer
from ddmi_video.export import frames
from ddmi_video.settings import VideoSettings


def panel(domain: Domain, settings: VideoSettings, renderer: GridRenderer) -> GridPanel:
    """One frame at the size that is asked for, where reports show small ones."""
    return GridPanel(domain, renderer, first_frame)


def first_frame(artefact: GridArtefact) -> Image.Image:
    """The first frame of a clip as a picture of its own size."""
    return Image.fromarray(next(frames(artefact)))

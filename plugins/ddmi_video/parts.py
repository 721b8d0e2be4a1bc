"""The implementation of the video domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor, nn

from ddmi_core.api import Field, PaperProtocol
from ddmi_core.parts import (
    Evaluation,
    GridArtefact,
    GridDomain,
    GridPanel,
    GridSampler,
    GridSignal,
    LpipsTerm,
    Metric,
    OnGrids,
    PerceptualConfig,
    Source,
    native_grid,
)
from ddmi_video import evaluations, export, folder
from ddmi_video.features import colour_and_motion
from ddmi_video.rendering import ClipRenderer, first_frame, report_views
from ddmi_video.scenes import source as scenes
from ddmi_video.settings import VideoSettings
from ddmi_video.sky_timelapse import sky_timelapse
from ddmi_video.views import ClipView, parse_view


class VideoParts(GridDomain[VideoSettings]):
    """Clips as functions of x, y and t."""

    def sources(self) -> Mapping[str, Source]:
        """Drawn skies by default, moving digits, folders, and SkyTimelapse."""
        return {
            "scenes": scenes.load,
            "digits": scenes.digits,
            "folder": folder.load,
            "sky-timelapse": sky_timelapse,
        }

    def read(self, path: Path) -> GridSignal:
        """The clip in a file."""
        return folder.read(path, self.settings)

    @cached_property
    def sampler(self) -> GridSampler:
        """Scattered coordinates, which vary more than a block and never need a whole clip.

        Terms on patches take another block, of `autoencoder.patch` cells.
        """
        return GridSampler(self.domain.layout, scattered=True)

    @cached_property
    def renderer(self) -> ClipRenderer:
        """Clips and slices through time."""
        return ClipRenderer(self.domain.layout, self.native, extent=self.settings.extent)

    def perceptual(self) -> Mapping[str, Callable[[PerceptualConfig], nn.Module]]:
        """Those of grids, and LPIPS of a random frame."""
        return {**super().perceptual(), "lpips": LpipsTerm}

    def metrics(self) -> Mapping[str, Metric]:
        """The grid's metrics, and the consistency of consecutive frames."""
        return {**super().metrics(), "temporal_consistency": evaluations.temporal_consistency}

    def evaluations(self) -> Mapping[str, Evaluation]:
        """Sharpness between frames."""
        return {"between_frames": evaluations.between_frames}

    def features(self, values: Tensor) -> Tensor:
        """Colours and motion; see `ddmi_video.features`."""
        return colour_and_motion(values)

    def pictures(self, fields: Field) -> Tensor:
        """Native clips of fields."""
        return self.renderer.native_values(fields)

    def signal_pictures(self, signal: OnGrids) -> Tensor:
        """Native clips."""
        return native_grid(signal).float().cpu()

    def paper_protocol(self) -> PaperProtocol:
        """FVD of as many samples as there are training clips, against these."""
        return PaperProtocol(
            source="code of the authors of arXiv 2401.12517, evals/eval.py, test_fvd_ddpm",
            samples=0,
            reference="training",
            network="i3d",
            differences=("the authors round values down to 8 bits, and draw 16 frames of 256 x 256",),
        )

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """MP4, GIF, and a zip archive of frames."""
        return {".mp4": export.write_mp4, ".gif": export.write_gif, ".zip": export.write_frames}

    def pixels(self, artefact: GridArtefact) -> npt.NDArray[np.uint8]:
        """All frames."""
        return np.stack(list(export.frames(artefact)))

    def picture(self, artefact: GridArtefact) -> Image.Image | Sequence[Image.Image]:
        """Small frames."""
        return export.picture(artefact)

    def report_views(self) -> Sequence[tuple[str, Any]]:
        """A slice through time, the native clip, and higher frame rates."""
        return report_views(self.settings)

    def parse_view(self, text: str) -> ClipView:
        """A size with a frame rate and an interval of time; see `ddmi_video.views`."""
        return parse_view(text, self.settings)

    def panel(self) -> GridPanel:
        """One frame at the requested size, where reports show small ones."""
        return GridPanel(self.domain.layout, self.renderer, self.picture, first_frame)

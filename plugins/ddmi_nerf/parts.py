"""The implementation of the radiance-field domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ddmi_core.api import Encoder, Field, Observations, PaperProtocol
from ddmi_core.errors import DataError
from ddmi_core.parts import AutoencoderConfig, DomainParts, Evaluation, Metric, PointEncoder, Source
from ddmi_nerf.cameras import orbit
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data import folder, srn_cars
from ddmi_nerf.data.cars import source as cars
from ddmi_nerf.evaluation import evaluations, features, metrics
from ddmi_nerf.evaluation.contact_sheet import contact_sheet
from ddmi_nerf.evaluation.preflight import preflight
from ddmi_nerf.evaluation.prompt_adherence import prompt_adherence
from ddmi_nerf.rendering import export
from ddmi_nerf.rendering.panel import RadiancePanel
from ddmi_nerf.rendering.ray_sampler import PixelQueries, RaySampler
from ddmi_nerf.rendering.renderer import NerfRenderer, ground_truth
from ddmi_nerf.rendering.scene import Picture
from ddmi_nerf.rendering.spherical_harmonics import value_names
from ddmi_nerf.settings import BACKGROUNDS, NerfSettings
from ddmi_nerf.signal import ViewSignal
from ddmi_nerf.view_encoder import ViewEncoder


class NerfParts(DomainParts[NerfSettings, ViewSignal, Camera, Picture]):
    """Objects as volume density and colour, trained from posed images."""

    def sources(self) -> Mapping[str, Source]:
        """Cars by formulas, folders of posed images, and SRN Cars."""
        return {"cars": cars.load, "folder": folder.load, "srn-cars": srn_cars.srn_cars}

    def read(self, path: Path) -> ViewSignal:
        """The object in a folder of posed images."""
        return folder.read(path, self.settings)

    def channels(self) -> tuple[str, ...]:
        """Density, then colour coefficients for each spherical harmonic."""
        return value_names(self.settings.directions)

    def observed(self) -> tuple[str, ...]:
        """The colours of pixels."""
        return "red", "green", "blue"

    def blank(self) -> ViewSignal:
        """Views and points at the origin, as many as in a batch."""
        own = self.settings
        images, points = torch.zeros(1, own.showing.shown, 3, own.size, own.size), torch.zeros(1, own.points, 3)
        views = images.shape[:2]
        poses, intrinsics = torch.eye(4).expand(*views, 4, 4), torch.ones(*views, 4)
        return ViewSignal(images, images[:, :, :1], poses, intrinsics, points, points, torch.zeros(1, 3))

    def encoder(self, config: AutoencoderConfig) -> Encoder[ViewSignal]:
        """Encoder of coloured points or of posed images, with planes of `settings.plane` cells along each axis."""
        layout, plane = self.domain.layout, self.settings.plane
        if self.settings.encoder == "views":
            return ViewEncoder(layout, plane, config.latent_channels, config.encoder)
        return PointEncoder(points, colours, 3, layout, plane, config.latent_channels, config.encoder)

    @cached_property
    def sampler(self) -> RaySampler:
        """Training rays, half of them through pixels that show the object."""
        return RaySampler()

    @cached_property
    def renderer(self) -> NerfRenderer:
        """Views of `settings.size` pixels a side, over `settings.background`."""
        own = self.settings
        return NerfRenderer(
            (own.size, own.size),
            samples=own.samples,
            close=own.close,
            fine=own.fine,
            background=BACKGROUNDS[own.background],
        )

    def preflight(self) -> None:
        """Check that the networks of evaluations can be loaded."""
        preflight(self.settings)

    def metrics(self) -> Mapping[str, Metric]:
        """Agreement of views, and consistency of depths."""
        return {"psnr_db": metrics.psnr_db, "ssim": metrics.ssim, "depth_consistency": metrics.depth_consistency}

    def evaluations(self) -> Mapping[str, Evaluation]:
        """Novel views, depths of samples, and agreement with prompts."""
        return {
            "novel_views": evaluations.novel_views,
            "sampled_depths": evaluations.sampled_depths,
            "prompt_adherence": prompt_adherence,
        }

    def field_features(self, fields: Field) -> Tensor:
        """Colours of sixteen views around the fields."""
        return features.field_features(fields, self.renderer)

    def signal_features(self, signal: ViewSignal) -> Tensor:
        """Colours of the object's own views."""
        return features.signal_features(signal)

    def pictures(self, fields: Field) -> Tensor:
        """Sixteen views around each field, of the data's size."""
        return torch.cat(list(features.surrounding(fields, self.renderer, self.settings.size)))

    def signal_pictures(self, signal: ViewSignal) -> Tensor:
        """The objects' own views."""
        return signal.images.flatten(0, 1).float().cpu()

    def paper_protocol(self) -> PaperProtocol:
        """The authors' code renders samples and computes no figure of them."""
        return PaperProtocol(
            source="code of the authors of arXiv 2401.12517, tools/ldm/nerf.py",
            samples=0,
            reference="held out",
            differences=(
                "the authors' code has no figure of sampled radiance fields, so these are of as many samples as "
                "held-out objects",
            ),
        )

    def exporters(self) -> Mapping[str, Callable[[Picture, Path], None]]:
        """Views, meshes, turntables, and cameras."""
        return {
            ".png": export.write_png,
            ".glb": export.write_glb,
            ".gif": export.write_gif,
            ".mp4": export.write_mp4,
            ".json": export.write_cameras,
        }

    def pixels(self, artefact: Picture) -> npt.NDArray[np.uint8]:
        """Colours."""
        return artefact.pixels()

    def picture(self, artefact: Picture) -> Image.Image | Sequence[Image.Image]:
        """A view, or a small turntable."""
        return export.picture(artefact)

    def ground_truth(self, signal: ViewSignal, index: int) -> Picture:
        """One image of an object."""
        return ground_truth(signal, index, self.renderer)

    def report_views(self) -> Sequence[tuple[str, Camera]]:
        """The default view, from behind, from above, and at a higher resolution."""
        return orbit.report_views(self.settings)

    def parse_view(self, text: str) -> Camera:
        """A size with a direction; see `ddmi_nerf.cameras.orbit`."""
        return orbit.parse_view(text, self.settings)

    def contact_sheet(
        self, signal: ViewSignal, seen: Observations, fields: Field, artefacts: Sequence[Picture]
    ) -> Sequence[Sequence[Image.Image]]:
        """The observed parts of views, then a row for each field: from their cameras, and from behind."""
        return contact_sheet(signal, cast(PixelQueries, seen.queries), fields, self.renderer)

    def panel(self) -> RadiancePanel:
        """An orbit around the object."""
        return RadiancePanel(self.renderer)


def points(signal: ViewSignal) -> Tensor:
    """Input points of the encoder: `(B, P, 3)`.

    Raises:
        DataError: if the signal has no points.
    """
    if not signal.points.shape[1]:
        raise DataError(
            "a single view does not determine the object's surface, so there are no points to encode; give more views, "
            "or coloured points as points.ply in the object's folder"
        )
    return signal.points


def colours(signal: ViewSignal) -> Tensor:
    """Input features of the points: `(B, P, 3)`."""
    return signal.point_colours

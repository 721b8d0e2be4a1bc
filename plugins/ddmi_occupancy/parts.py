"""The implementation of the occupancy domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from ddmi_core.api import Field, Observations, PaperProtocol
from ddmi_core.parts import (
    AutoencoderConfig,
    Change,
    DomainParts,
    Evaluation,
    Mesh,
    Metric,
    PointCloud,
    PointEncoder,
    Source,
    bernoulli_loss,
    mesh_simplifier,
    parse_size,
    picture_rows,
)
from ddmi_occupancy import export
from ddmi_occupancy.data import folder, furniture, shapenet
from ddmi_occupancy.evaluation import features, metrics
from ddmi_occupancy.evaluation.generation import generation
from ddmi_occupancy.evaluation.prompt_adherence import prompt_adherence
from ddmi_occupancy.point_sampler import PointSampler
from ddmi_occupancy.preview import turntable
from ddmi_occupancy.rendering import OccupancyRenderer, report_views
from ddmi_occupancy.settings import OccupancySettings
from ddmi_occupancy.signal import ShapeSignal

Solid = Mesh | PointCloud
INSIDE = 0.5  # labels above it


class OccupancyParts(DomainParts[OccupancySettings, ShapeSignal, int | tuple[int, ...], Solid]):
    """Solid shapes as functions of x, y and z."""

    def sources(self) -> Mapping[str, Source]:
        """Furniture by formulas, folders of meshes, ShapeNet and Text2Shape."""
        return {
            "furniture": furniture.load,
            "folder": folder.load,
            "shapenet": shapenet.shapenet,
            "shapenet-chair": shapenet.shapenet_chair,
            "text2shape": shapenet.text2shape,
        }

    def read(self, path: Path) -> ShapeSignal:
        """The shape in a file."""
        return folder.read(path, self.settings)

    def blank(self) -> ShapeSignal:
        """Points at the origin."""
        places, points = torch.zeros(1, self.settings.surface, 3), torch.zeros(1, self.settings.points, 3)
        inside = torch.zeros(points.shape[:2], dtype=torch.uint8)
        return ShapeSignal(places, places, points, inside, torch.ones(points.shape[:2]))

    def encoder(self, config: AutoencoderConfig) -> PointEncoder:
        """Surface points, by default with normals, scattered to planes of `settings.plane` cells along each axis."""
        layout, own = self.domain.layout, self.settings
        features, channels = (normals, len(layout.axes)) if own.normals else (nothing, 0)
        return PointEncoder(surface, features, channels, layout, own.plane, config.latent_channels, config.encoder)

    @cached_property
    def sampler(self) -> PointSampler:
        """Points in space, half of them uniform and half near the surface."""
        return PointSampler()

    @cached_property
    def renderer(self) -> OccupancyRenderer:
        """Meshes of any resolution; `settings.native` is the native one."""
        return OccupancyRenderer(self.settings.native)

    def loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of logits."""
        return bernoulli_loss(values, targets)

    def likelihood(self) -> Literal["bernoulli"]:
        """Measured values are labels: 1 inside of the shape."""
        return "bernoulli"

    def metrics(self) -> Mapping[str, Metric]:
        """Overlap of volumes, and distances of surfaces."""
        return {
            "iou": metrics.iou,
            "chamfer": metrics.chamfer,
            "f_score": metrics.f_score,
            "normal_consistency": metrics.normal_consistency,
        }

    def evaluations(self) -> Mapping[str, Evaluation]:
        """Set metrics of samples, and agreement with prompts."""
        return {"generation": generation, "prompt_adherence": prompt_adherence}

    def field_features(self, fields: Field) -> Tensor:
        """Filled shares of cells."""
        return features.describe(fields, self.renderer)

    def signal_features(self, signal: ShapeSignal) -> Tensor:
        """Filled shares of cells."""
        return features.describe_signal(signal)

    def paper_protocol(self) -> PaperProtocol:
        """MMD, COV and 1-NNA of 1,355 samples against as many held-out shapes."""
        return PaperProtocol(
            source="code of the authors of arXiv 2401.12517, evals_3d/compute_metrics_3d.py",
            samples=1355,
            reference="held out",
            differences=("the authors draw the reference shapes at random, without a fixed seed",),
        )

    def exporters(self) -> Mapping[str, Callable[[Solid, Path], None]]:
        """Mesh files, and turntables."""
        return {
            **dict.fromkeys(export.MESHES, export.write),
            ".gif": turntable.write_turntable,
            ".mp4": turntable.write_turntable_mp4,
        }

    def restored(self, artefact: Solid, changes: Sequence[Change], suffix: str) -> Solid:
        """Where the mesh file had it, in its units; samples in those of `length`. Turntables stay as they are."""
        if suffix not in export.MESHES:
            return artefact
        return export.restored(artefact, changes, suffix, self.settings)

    def simplifier(self, faces: int) -> Callable[[Solid], Solid]:
        """Collapses edges of meshes."""
        return mesh_simplifier(faces)

    def picture(self, artefact: Solid) -> Image.Image | Sequence[Image.Image]:
        """A small turntable."""
        return turntable.picture(artefact)

    def still(self, artefact: Solid) -> Image.Image:
        """The first frame alone."""
        return next(turntable.frames(artefact, 1, turntable.SIDE))

    def ground_truth(self, signal: ShapeSignal, index: int) -> PointCloud:
        """The surface points of one shape, with normals."""
        points, normals = (part[index].float().cpu().contiguous().numpy() for part in (signal.surface, signal.normals))
        return PointCloud(points, normals)

    def original(self, path: Path, signal: ShapeSignal) -> Solid:
        """The mesh of the file; the surface points of a point cloud."""
        return folder.surface(path, self.settings) or self.ground_truth(signal, 0)

    def contact_sheet(
        self, signal: ShapeSignal, seen: Observations, fields: Field, artefacts: Sequence[Solid]
    ) -> Mapping[str, Sequence[Image.Image]]:
        """The original, the observed points inside of it, and the completions."""
        places = seen.queries.coords[0][seen.values[seen.cells][:, 0] > INSIDE].float().cpu()
        # Discs face away from the middle of the points, which have no normals.
        away = torch.nn.functional.normalize(places - places.mean(dim=0), dim=1)
        observed = PointCloud(places.contiguous().numpy(), away.contiguous().numpy())
        known = {"original": self.ground_truth(signal, 0), "observed inside": observed}
        return picture_rows(self.still, known, artefacts)

    def report_views(self) -> Sequence[tuple[str, int]]:
        """Four resolutions, each twice the previous one."""
        return report_views(self.settings)

    def parse_view(self, text: str) -> int | tuple[int, ...]:
        """`64` cells along each axis, or `48x64x64`."""
        return parse_size(text)


def surface(signal: ShapeSignal) -> Tensor:
    """Input points of the encoder: `(B, M, 3)`."""
    return signal.surface


def normals(signal: ShapeSignal) -> Tensor:
    """Features of the input points: `(B, M, 3)`."""
    return signal.normals


def nothing(signal: ShapeSignal) -> Tensor:
    """No features: `(B, M, 0)`."""
    return signal.surface[..., :0]

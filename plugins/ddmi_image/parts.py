"""The implementation of the image domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor, nn

from ddmi_core.api import Field, PaperProtocol
from ddmi_core.parts import (
    GridArtefact,
    GridDomain,
    GridSignal,
    LpipsTerm,
    OnGrids,
    PerceptualConfig,
    Source,
    native_grid,
)
from ddmi_image import afhq_celeba, export, folder, openmoji
from ddmi_image.features import OverWhite, features, over_white
from ddmi_image.settings import ImageSettings


class ImageParts(GridDomain[ImageSettings]):
    """Pictures as functions of x and y."""

    def sources(self) -> Mapping[str, Source]:
        """Emoji by default, folders, AFHQv2 and CelebA-HQ."""
        return {
            "openmoji": openmoji.load,
            "folder": folder.load,
            "afhqv2-cat": afhq_celeba.afhqv2_cat,
            "afhqv2-dog": afhq_celeba.afhqv2_dog,
            "celeba-hq": afhq_celeba.celeba_hq,
        }

    def channels(self) -> tuple[str, ...]:
        """Red, green and blue; and alpha, by which they are multiplied, for `domain.background=alpha`."""
        return (*self.domain.values, "alpha") if self.settings.channels == 4 else self.domain.values

    def read(self, path: Path) -> GridSignal:
        """The picture in a file."""
        return folder.read(path, self.settings)

    def perceptual(self) -> Mapping[str, Callable[[PerceptualConfig], nn.Module]]:
        """The grid's terms, and `lpips`, which shows transparent pictures over white."""
        return {**super().perceptual(), "lpips": lambda options: OverWhite(LpipsTerm(options))}

    def features(self, values: Tensor) -> Tensor:
        """Colours and edges, of transparent pictures over white; see `ddmi_image.features`."""
        return features(over_white(values))

    def pictures(self, fields: Field) -> Tensor | None:
        """The native grids of fields, over white."""
        return over_white(self.renderer.native_values(fields))

    def signal_pictures(self, signal: OnGrids) -> Tensor | None:
        """The native grids of signals, over white."""
        return over_white(native_grid(signal).float().cpu())

    def paper_protocol(self) -> PaperProtocol:
        """FID of 10,000 samples against the training pictures."""
        return PaperProtocol(
            source="code of the authors of arXiv 2401.12517, evals/eval.py, test_fid_ddpm_N",
            samples=10_000,
            reference="training",
            network="inception",
            differences=("the authors measure values in memory, before pictures are rounded to 8 bits",),
        )

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """PNG of any size, and small JPEG and WebP files."""
        return {".png": export.write_png, ".jpg": export.write_small, ".webp": export.write_small}

    def pixels(self, artefact: GridArtefact) -> npt.NDArray[np.uint8]:
        """The pixels of the PNG file."""
        return export.pixels(artefact.array())

    def picture(self, artefact: GridArtefact) -> Image.Image:
        """A thumbnail."""
        return export.picture(artefact)

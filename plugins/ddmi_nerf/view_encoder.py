"""Encoder of posed images: image features are projected into a voxel lattice and reduced to planes."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api import Layout, Planes
from ddmi_core.parts import EncoderConfig, PlaneStagesEncoder, cell_centres, lattice_points
from ddmi_nerf.signal import ViewSignal

NEAREST = 1e-3  # least depth of visible points in front of a camera
CHANNELS = 4  # colour and opacity
COARSER = 2  # cells of the planes per cell of the lattice, along each axis; cost grows with the cube of the lattice


class ViewEncoder(PlaneStagesEncoder):
    """Encoder that projects image features into a lattice, averages them over views, and reduces the lattice to planes.

    Each cell of a lattice in [-1, 1]^3 is projected into all images. It receives the mean and the variance of the image
    features there, as in pixelNeRF (arXiv 2012.02190, section 4.2) and IBRNet (arXiv 2102.13090, section 3.1), and the
    share of images in which it is visible. Low variance indicates a surface. Each plane receives the mean and the
    maximum along the axis that it lacks, upsampled, because the lattice is coarser than the planes. The result does not
    depend on the order of the images, and their number may differ from that in training.

    Args:
        layout: three axes x, y, z, and planes.
        cells: of the planes, along each axis.
        latent_channels: C of the latent.
        config: widths of the stages (the first is also the width W of the image features), and blocks a stage.
    """

    def __init__(self, layout: Layout, cells: int, latent_channels: int, config: EncoderConfig) -> None:
        width = config.widths[0]
        super().__init__(2 * width, layout, latent_channels, config)
        self.cells, self.lattice = cells, max(1, cells // COARSER)
        self.pictures = nn.Sequential(
            nn.Conv2d(CHANNELS, width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.join = nn.Sequential(nn.Linear(2 * width + 4, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def planes(self, signal: ViewSignal) -> Planes:
        """Aggregated features `(B, 2 W, cells, cells)` a plane."""
        places = lattice_points([cell_centres(self.lattice).to(signal.images.device)] * 3)
        joined = self.join(self.joined(signal, places))
        volume = joined.view(len(joined), self.lattice, self.lattice, self.lattice, -1).movedim(-1, 1)
        result = []
        for columns in self.layout.columns:
            # Column c of the coordinates is dimension -1 - c of the lattice.
            away = [-1 - column for column in range(3) if column not in columns]
            plane = torch.cat([volume.mean(dim=away), volume.amax(dim=away)], dim=1)
            result.append(F.interpolate(plane, size=(self.cells, self.cells), mode="bilinear"))
        return Planes(result)

    def joined(self, signal: ViewSignal, places: Tensor) -> Tensor:
        """Mean and variance of the image features at places `(N, 3)`, the share of views that see them, and the places.

        Returns:
            `(B, N, 2 W + 4)`
        """
        batch, count, _, height, width = signal.images.shape
        pictures = torch.cat([signal.images, signal.opacity], dim=2).flatten(0, 1)
        features = self.pictures(pictures)
        spots, shown = projected(signal, places)
        # `grid_sample` expects [-1, 1] over the whole image.
        grid = 2 * spots / spots.new_tensor([width, height]) - 1
        found = F.grid_sample(features, grid.flatten(0, 1)[:, None], align_corners=False, padding_mode="border")
        found = found[:, :, 0].view(batch, count, -1, len(places))
        weight = shown[:, :, None].to(found)
        total = weight.sum(dim=1).clamp_min(1)
        mean = (weight * found).sum(dim=1) / total
        variance = (weight * (found - mean[:, None]).square()).sum(dim=1) / total
        share = weight.mean(dim=1)
        where = places.t().expand(batch, -1, -1)
        return torch.cat([mean, variance, share, where], dim=1).transpose(1, 2)


def projected(signal: ViewSignal, places: Tensor) -> tuple[Tensor, Tensor]:
    """Project points into all views.

    Args:
        signal: B objects with K images each.
        places: `(N, 3)` in the world.

    Returns:
        pixels `(B, K, N, 2)`, column first, and `(B, K, N)`, whether they lie in the image and in front of the camera.
    """
    turned, origin = signal.to_world[..., :3, :3], signal.to_world[..., :3, 3]
    # A rotation's inverse is its transpose: rows times the rotation.
    local = (places.to(turned) - origin[:, :, None]) @ turned
    depth = local[..., 2]
    fx, fy, cx, cy = signal.intrinsics[:, :, None].unbind(dim=-1)
    safe = depth.clamp_min(NEAREST)
    spots = torch.stack([fx * local[..., 0] / safe + cx, fy * local[..., 1] / safe + cy], dim=-1)
    height, width = signal.images.shape[-2:]
    inside = [depth > NEAREST, *(spots[..., i] >= 0 for i in (0, 1)), spots[..., 0] < width, spots[..., 1] < height]
    return spots, reduce(torch.logical_and, inside)

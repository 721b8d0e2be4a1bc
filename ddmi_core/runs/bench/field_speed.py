"""Speed of field evaluation: the fast path on a lattice, beside the plain path at the same points."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddmi_core.autoencoder.config import DecoderConfig
from ddmi_core.fields.config import ReadoutConfig
from ddmi_core.fields.coordinates import cell_centres, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout
from ddmi_core.runs.bench.bench_result import Measurement, enough, timed

POINTS, GPU_POINTS = 1 << 16, 1 << 21  # of a lattice, about
CHUNKS = (2048, 4096, 8192, 16384, 65536)  # points of a call of the plain path; the fastest counts
SHARE, ROUNDS = 8, 2  # part of the points on which these are tried, or a chunk if it is larger; how often
SECONDS = 0.5  # of both paths
COARSEST = 12  # cells along each axis of the coarsest basis fields
WIDE = 256


def default_field(width: int = 0) -> Field:
    """A field over a plane with random basis fields and the default channels.

    Args:
        width: of the readout, with two layers in each block; 0 for the default readout.
    """
    config = ReadoutConfig(width=width, depth=2) if width else ReadoutConfig()
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",))
    channels = DecoderConfig().basis
    generator = torch.Generator().manual_seed(0)
    sizes = [COARSEST << scale for scale in range(len(channels))]
    basis = tuple(Planes([torch.randn(1, c, n, n, generator=generator)]) for c, n in zip(channels, sizes, strict=True))
    return Field(basis, CoarseToFineReadout(channels, 1, 3, config), layout)


@torch.inference_mode()
def field_speed(field: Field, rate: float, points: int = 0, name: str = "field") -> list[Measurement]:
    """Measurements of one field (B = 1).

    Both paths take turns; see `plain_path`.

    Args:
        field: the field.
        rate: operations per second of the fastest matrix products in float32.
        points: of the lattice, about; 0 for a number that suits the device.
        name: for the measurements.
    """
    device, axes = field.device, len(field.layout.axes)
    n = max(2, round((points or (POINTS if device.type == "cpu" else GPU_POINTS)) ** (1 / axes)))
    centres = [cell_centres(n, device)] * axes
    coords = lattice_points(centres)[None]
    extra = torch.zeros(len(field.layout.extra), device=device)

    def fast() -> Tensor:
        return torch.cat([values for _, values in field.lattice(centres, extra).slabs()])

    plain, chunk = plain_path(field, coords, extra)
    count, where = coords.shape[1], f"lattice of {' x '.join([str(n)] * axes)}"
    gap = float((fast().reshape(1, count, -1) - plain()).abs().max())
    pairs: list[tuple[float, float]] = []
    while not enough([sum(pair) for pair in pairs], SECONDS):
        pairs.append((timed(fast, device), timed(plain, device)))
    work = hidden_operations(field.readout) * count
    return [
        Measurement(f"{name}: points", "million/s", [count / quick / 1e6 for quick, _ in pairs], note=where),
        Measurement(
            f"{name}: plain path / lattice",
            "times",
            [slow / quick for quick, slow in pairs],
            note=f"chunks of {chunk}, largest difference {gap:.1e}",
        ),
        Measurement(
            f"{name}: share of the fastest products",
            "%",
            [100 * work / quick / rate for quick, _ in pairs],
            note="layers between hidden states",
        ),
    ]


def plain_path(field: Field, coords: Tensor, extra: Tensor) -> tuple[Callable[[], Tensor], int]:
    """The plain evaluation of a field (B = 1) at points, in chunks of the size that is fastest here, and this size.

    It interpolates with `grid_sample` and evaluates the whole readout at each point.

    Args:
        field: the field.
        coords: `(1, N, D)`, in [-1, 1].
        extra: `(X,)`.
    """
    count = coords.shape[1]

    def plain(chunk: int, most: int = count) -> Tensor:
        return torch.cat([field(part, extra) for part in torch.split(coords[:, :most], chunk, dim=1)], dim=1)

    def seconds_of_a_point(chunk: int) -> float:
        some = min(count, max(chunk, count // SHARE))
        return timed(lambda: plain(chunk, some), field.device) / some

    plain(CHUNKS[0], CHUNKS[0])
    tried = [(seconds_of_a_point(chunk), chunk) for _ in range(ROUNDS) for chunk in CHUNKS]
    _, fastest = min(tried)
    return lambda: plain(fastest), fastest


def hidden_operations(readout: CoarseToFineReadout) -> int:
    """Operations at each point of the layers that take a hidden state: those that the fast path leaves.

    The first layer of a block takes the embedding and the extra columns beside the hidden state; these parts are
    applied to the cells of the basis fields.
    """
    hidden, total = 0, 0
    for layer in readout.blocks.modules():
        if isinstance(layer, nn.Linear):
            total += 2 * hidden * layer.out_features
            hidden = readout.config.width
    return total + 2 * hidden * readout.values

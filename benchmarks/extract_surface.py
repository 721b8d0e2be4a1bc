"""Compares surface extraction by refinement with a dense lattice: `python benchmarks/extract_surface.py [RUN]`.

RUN is a run of the occupancy plugin, or `plugin` for its shipped weights; the program draws one sample. Without RUN, it
first fits a field with the usual parts to two solids, in seconds. All figures are for one thread. The dense
lattice requires scikit-image: `pip install scikit-image`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import ddmi_core as ddmi
from ddmi_core.api import Field, Layout, Planes
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig, cell_centres, extract_surface

CHANNELS, CELLS = (64, 48, 32), (16, 32, 64)
STEPS = 300


def fitted(width: int) -> Field:
    """A field fitted to the union of a ball and a box: basis fields at three scales, and a readout."""
    generator = torch.Generator().manual_seed(0)
    layout = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))
    basis = tuple(
        Planes((0.1 * torch.randn(1, c, n, n, generator=generator)).requires_grad_() for _ in layout.planes)
        for c, n in zip(CHANNELS, CELLS, strict=True)
    )
    field = Field(basis, CoarseToFineReadout(CHANNELS, extra=0, values=1, config=ReadoutConfig(width=width)), layout)
    weights = [*(plane for planes in basis for plane in planes), *field.readout.parameters()]
    optimiser = torch.optim.Adam(weights, lr=0.01)
    for _ in range(STEPS):
        coords = torch.rand(1, 4096, 3, generator=generator) * 2 - 1
        near = coords[:, ::2] + 0.1 * torch.randn(1, 2048, 3, generator=generator)
        coords = torch.cat([coords, near], dim=1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(field(coords)[..., 0], inside(coords).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return field.map(lambda plane: plane.detach())


def inside(coords: torch.Tensor) -> torch.Tensor:
    """Whether coordinates `(..., 3)` are in the ball or in the box."""
    ball = (coords - torch.tensor([0.2, 0.2, 0.0])).norm(dim=-1) < 0.5
    box = ((coords + torch.tensor([0.3, 0.3, 0.0])).abs() < torch.tensor([0.5, 0.4, 0.3])).all(dim=-1)
    return ball | box


def dense(field: Field, n: int) -> tuple[Any, Any]:
    """Vertices and faces of scikit-image's marching cubes on all points of a lattice."""
    from skimage.measure import marching_cubes

    values = torch.cat([slab[..., 0] for _, slab in field.lattice([cell_centres(n)] * 3).slabs()])
    vertices, faces, _, _ = marching_cubes(values.numpy(), 0.0)
    return vertices, faces


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time of the fastest of three calls, and their result."""
    times = []
    for _ in range(3):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return min(times), result


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", help="run folder, or `plugin`")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--width", type=int, default=32, help="width of the readout of the fitted field")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run is None:
        field = fitted(options.width)
    else:
        model = ddmi.load(plugin="occupancy") if options.run == "plugin" else ddmi.load(options.run)
        field = model.sample(1, seed=0)[0].to("cpu")
    extract_surface(field, (32, 32, 32))  # computes the table of cells, which happens once
    print("cells   dense   refined   on the surface   with normals   faster   vertices")
    for n in options.sizes:
        size = (n, n, n)
        slow, (vertices, _) = seconds(partial(dense, field, n))
        quick, mesh = seconds(partial(extract_surface, field, size, steps=0, normals=False))
        moved, _ = seconds(partial(extract_surface, field, size, normals=False))
        whole, _ = seconds(partial(extract_surface, field, size))
        print(
            f"{n:5} {slow:5.2f} s {quick:7.3f} s {moved:14.3f} s {whole:12.3f} s "
            f"{slow / quick:7.1f}x {len(mesh.vertices):10} ({len(vertices)} dense)"
        )


if __name__ == "__main__":
    main()

"""Fields of signals at one size, drawn at other sizes, are no worse than an enlargement of their native drawing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddmi_core.api import Field, Layout
from ddmi_core.fields.coordinates import cell_axes, lattice_points
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig
from ddmi_core.parts import GridRenderer, GridSampler, GridSignal

LAYOUT = Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",))
NATIVE, FINE = 16, 6  # cells along each axis, and points along each axis of a cell that a true value averages
DISCS = torch.tensor([[0.1, -0.2, 0.6], [-0.3, 0.25, 0.45], [0.0, 0.0, 0.75], [0.35, 0.3, 0.5]])  # x, y, radius


def truth(side):
    """Discs on cells: means over the area of each cell, `(B, 1, side, side)`."""
    points = lattice_points(cell_axes((side * FINE,) * 2))
    inside = (points - DISCS[:, None, :2]).norm(dim=-1) < DISCS[:, None, 2]
    return F.avg_pool2d(inside.float().view(-1, 1, side * FINE, side * FINE) * 2 - 1, FINE)


@pytest.fixture(scope="module")
def fitted():
    """Fields fitted to the native size alone, as training does it: through the sampler, with its footprint."""
    source = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    coarse, fine = (nn.Parameter(0.1 * torch.randn(len(DISCS), 8, n, n, generator=source)) for n in (4, 8))
    readout = CoarseToFineReadout((8, 8), 1, 1, ReadoutConfig(width=32))
    field = Field((Planes([coarse]), Planes([fine])), readout, LAYOUT)
    sampler, signal = GridSampler(LAYOUT), GridSignal(truth(NATIVE))
    optimiser = torch.optim.Adam([coarse, fine, *readout.parameters()], lr=1e-2)
    for _ in range(200):
        queries = sampler.sample(signal, NATIVE**2, source)
        loss = F.l1_loss(field(queries.coords, queries.extra), queries.targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    readout.eval()
    return field.map(torch.Tensor.detach)


def drawn(field, side):
    renderer = GridRenderer(LAYOUT, (NATIVE, NATIVE))
    return torch.stack([torch.from_numpy(renderer.render(each, side).array()) for each in field]).movedim(-1, 1)


def db(values, side):
    return 10 * torch.log10(4 / (values - truth(side)).square().mean()).item()


@pytest.mark.parametrize("side", [17, 24, 32, 37, 48, 64, 128])
def test_no_larger_size_is_worse_than_enlargement(fitted, side):
    native = drawn(fitted, NATIVE)
    assert db(native, NATIVE) > 20  # it is fitted
    enlarged = F.interpolate(native, (side, side), mode="bilinear")
    assert db(drawn(fitted, side), side) > db(enlarged, side)

"""The ready decoder: basis fields for every layout and size, and what passes between planes."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.api import Planes
from ddmi_core.autoencoder.config import DecoderConfig
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.networks import AxisExchange, as_maps
from plane_layouts import LAYOUTS, cells_of, grids, influence, perturbed, planes, share_an_axis

every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def decoder(layout, config: DecoderConfig | None = None) -> PlaneDecoder:
    torch.manual_seed(0)
    return PlaneDecoder(layout, 3, config or DecoderConfig(widths=(12, 10, 8), basis=(6, 5, 4)))


@pytest.mark.parametrize("lengths", [(4,), (1,), (3, 5, 2), (1, 2)], ids=str)
@every_layout
def test_scales_double_from_the_latent_s_size(layout, lengths):
    cells = cells_of(layout, *lengths)
    scales = decoder(layout)(planes(layout, 3, cells))
    for factor, channels, scale in zip((1, 2, 4), (6, 5, 4), scales, strict=True):
        expected = [(2, channels, *grid) for grid in grids(layout, {a: factor * n for a, n in cells.items()})]
        assert [tuple(plane.shape) for plane in scale] == expected


@every_layout
def test_planes_may_have_any_sizes_even_along_a_common_axis(layout):
    latent = Planes(
        torch.randn(2, 3, *[2 + p + 2 * i for i in range(len(names))]) for p, names in enumerate(layout.planes)
    )
    (scale,) = decoder(layout, DecoderConfig(widths=(8, 8), basis=(4,)))(latent)
    assert [tuple(plane.shape[2:]) for plane in scale] == [tuple(2 * n for n in plane.shape[2:]) for plane in latent]


def test_the_last_stages_emit_the_scales():
    layout = LAYOUTS["plane"]
    scales = decoder(layout, DecoderConfig(widths=(8, 8, 8), basis=(5, 4)))(planes(layout, 3, {"x": 2, "y": 3}))
    assert [tuple(scale[0].shape) for scale in scales] == [(2, 5, 6, 4), (2, 4, 12, 8)]


@every_layout
def test_gradients_reach_every_parameter(layout):
    module = perturbed(decoder(layout))
    scales = module(planes(layout, 3, cells_of(layout, 4, 3)))
    sum(plane.square().sum() for scale in scales for plane in scale).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@every_layout
def test_training_from_the_initial_weights_moves_every_parameter(layout):
    """Layers that start at zero let gradients through to all others after a few steps."""
    module = decoder(layout, DecoderConfig(widths=(8, 8), basis=(4, 4)))
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    latent, target = planes(layout, 3, cells_of(layout, 3, 4)), torch.Generator().manual_seed(5)
    wanted = [[torch.randn(p.shape, generator=target) for p in scale] for scale in module(latent)]
    for _ in range(3):
        pairs = zip(module(latent), wanted, strict=True)
        loss = sum((p - w).square().mean() for scale, ws in pairs for p, w in zip(scale, ws, strict=True))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert [name for name, p in module.named_parameters() if torch.equal(p, before[name])] == []


@every_layout
def test_information_passes_between_planes_with_a_common_axis_and_no_others(layout):
    module = perturbed(decoder(layout, DecoderConfig(widths=(8,), basis=(4,)))).eval()
    latent = planes(layout, 3, cells_of(layout, 4, 3, 5))
    assert influence(lambda inputs: module(inputs)[0], latent) == share_an_axis(layout)


@every_layout
def test_without_exchange_planes_would_not_see_each_other(layout):
    module = perturbed(decoder(layout)).eval()
    for exchange in module.exchanges:
        if exchange.project is not None:
            torch.nn.init.zeros_(exchange.project.weight)
    count = len(layout.planes)
    table = influence(lambda inputs: module(inputs)[-1], planes(layout, 3, cells_of(layout, 4, 3, 5)))
    assert table == [[i == j for j in range(count)] for i in range(count)]


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_what_is_exchanged_lies_at_the_same_coordinate_of_the_common_axis(axis):
    """A mark at one coordinate of one plane shows at this coordinate of the other plane and nowhere else."""
    layout = LAYOUTS["tri-plane"]
    exchange = AxisExchange(layout, 1)
    torch.nn.init.ones_(exchange.project.weight)
    cells = {"x": 4, "y": 5, "z": 6}
    here = next(p for p, names in enumerate(layout.planes) if axis in names)
    marked = [torch.zeros(1, 1, *grid) for grid in grids(layout, cells)]
    marked[here].select(-1 - layout.planes[here].index(axis), 2).fill_(1.0)
    result = exchange(as_maps(Planes(marked)))
    for there, names in enumerate(layout.planes):
        if there == here or axis not in names:
            continue
        along = result[there].movedim(-1 - names.index(axis), -1)[0, 0]
        expected = torch.zeros(cells[axis])
        expected[2] = 1.0
        # The other axis that the marked plane may share receives its mean, the same at every position.
        torch.testing.assert_close(along - along[:, :1], (expected - expected[0]).expand_as(along))


@every_layout
def test_signals_of_a_batch_are_decoded_independently(layout):
    module = perturbed(decoder(layout)).eval()
    latent = planes(layout, 3, cells_of(layout, 3, 4), batch=3)
    with torch.no_grad():
        whole, alone = module(latent), module(latent.map(lambda plane: plane[2:]))
    for scale, single in zip(whole, alone, strict=True):
        for plane, other in zip(scale, single, strict=True):
            torch.testing.assert_close(plane[2:], other, atol=1e-5, rtol=1e-4)


def test_more_scales_than_stages_are_refused():
    with pytest.raises(ValueError, match="3 scales but widths only 2 stages"):
        DecoderConfig(widths=(8, 8), basis=(4, 4, 4))

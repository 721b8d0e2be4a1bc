"""The ready decoder: basis fields for every layout and size, and what passes between planes."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch.nn import functional as F

from ddmi_core.api import Layout, Planes
from ddmi_core.autoencoder.config import DecoderConfig, EncoderConfig
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.autoencoder.plane_blocks import (
    CellAttention,
    JoinedConvolution,
    JoinedPlanes,
    plane_kernel,
    residual_blocks,
)
from ddmi_core.networks import AxisExchange, as_maps, common_axes
from plane_layouts import LAYOUTS, cells_of, grids, influence, perturbed, planes, share_an_axis

every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)

SIZES = DecoderConfig(widths=(12, 10, 8), basis=(6, 5, 4))
OPTIONS = {
    "default": SIZES,
    "block": evolve(SIZES, transition="block"),
    "middle": evolve(SIZES, middle=True, heads=2),
    "attention": evolve(SIZES, attention=(1, 4), heads=2, wide_heads=True),
    "joined": evolve(SIZES, joined=True),
    "all": evolve(SIZES, transition="block", middle=True, joined=True, attention=(4,)),
}
# Without a common axis there is nothing to join.
CASES = [
    pytest.param(layout, config, id=f"{name}-{option}")
    for name, layout in LAYOUTS.items()
    for option, config in OPTIONS.items()
    if not config.joined or common_axes(layout)
]
every_option = pytest.mark.parametrize(("layout", "config"), CASES)


def decoder(layout, config: DecoderConfig | None = None) -> PlaneDecoder:
    torch.manual_seed(0)
    return PlaneDecoder(layout, 3, config or DecoderConfig(widths=(12, 10, 8), basis=(6, 5, 4)))


@pytest.mark.parametrize("lengths", [(4,), (1,), (3, 5, 2), (1, 2)], ids=str)
@every_option
def test_scales_double_from_the_latent_s_size(layout, config, lengths):
    cells = cells_of(layout, *lengths)
    scales = decoder(layout, config)(planes(layout, 3, cells))
    for factor, channels, scale in zip((1, 2, 4), (6, 5, 4), scales, strict=True):
        expected = [(2, channels, *grid) for grid in grids(layout, {a: factor * n for a, n in cells.items()})]
        assert [tuple(plane.shape) for plane in scale] == expected


@every_option
def test_planes_may_have_any_sizes_even_along_a_common_axis(layout, config):
    latent = Planes(
        torch.randn(2, 3, *[2 + p + 2 * i for i in range(len(names))]) for p, names in enumerate(layout.planes)
    )
    (scale,) = decoder(layout, evolve(config, widths=(8, 8, 8), basis=(4,)))(latent)
    assert [tuple(plane.shape[2:]) for plane in scale] == [tuple(4 * n for n in plane.shape[2:]) for plane in latent]


def test_the_last_stages_emit_the_scales():
    layout = LAYOUTS["plane"]
    scales = decoder(layout, DecoderConfig(widths=(8, 8, 8), basis=(5, 4)))(planes(layout, 3, {"x": 2, "y": 3}))
    assert [tuple(scale[0].shape) for scale in scales] == [(2, 5, 6, 4), (2, 4, 12, 8)]


@every_option
def test_gradients_reach_every_parameter(layout, config):
    module = perturbed(decoder(layout, config))
    scales = module(planes(layout, 3, cells_of(layout, 4, 3)))
    sum(plane.square().sum() for scale in scales for plane in scale).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@every_option
def test_training_from_the_initial_weights_moves_every_parameter(layout, config):
    """Layers that start at zero let gradients through to all others after a few steps."""
    module = decoder(layout, config)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    latent, target = planes(layout, 3, cells_of(layout, 3, 4)), torch.Generator().manual_seed(5)
    wanted = [[torch.randn(p.shape, generator=target) for p in scale] for scale in module(latent)]
    for _ in range(5):
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


@every_option
def test_signals_of_a_batch_are_decoded_independently(layout, config):
    module = perturbed(decoder(layout, config)).eval()
    latent = planes(layout, 3, cells_of(layout, 3, 4), batch=3)
    with torch.no_grad():
        whole, alone = module(latent), module(latent.map(lambda plane: plane[2:]))
    for scale, single in zip(whole, alone, strict=True):
        for plane, other in zip(scale, single, strict=True):
            torch.testing.assert_close(plane[2:], other, atol=1e-5, rtol=1e-4)


def test_more_scales_than_stages_are_refused():
    with pytest.raises(ValueError, match="3 scales but widths only 2 stages"):
        DecoderConfig(widths=(8, 8), basis=(4, 4, 4))


@every_layout
def test_attention_passes_information_between_all_planes(layout):
    module = perturbed(decoder(layout, DecoderConfig(widths=(8,), basis=(4,), attention=(1,)))).eval()
    table = influence(lambda inputs: module(inputs)[0], planes(layout, 3, cells_of(layout, 4, 3, 5)))
    assert table == [[True] * len(layout.planes)] * len(layout.planes)


def test_attention_moves_features_between_distant_cells():
    torch.manual_seed(0)
    attention, grid = perturbed(CellAttention(8, 2)), torch.randn(1, 8, 5, 7)
    with torch.no_grad():
        before = attention(grid)
        grid[..., 0, 0] += 1
        assert ((attention(grid) - before).abs().amin(dim=1) > 1e-6).all()


def test_attention_does_not_depend_on_the_order_of_cells_or_planes():
    torch.manual_seed(0)
    attention = perturbed(CellAttention(8, 2, wide=True))
    first, second = torch.randn(2, 8, 3, 4), torch.randn(2, 8, 5, 2)
    with torch.no_grad():
        forward, backward = attention.joint([first, second]), attention.joint([second.flip(2), first.flip(3)])
    torch.testing.assert_close(backward, [forward[1].flip(2), forward[0].flip(3)], atol=1e-5, rtol=1e-5)


def test_a_joined_convolution_is_one_over_the_plane_and_the_means_of_the_others():
    torch.manual_seed(0)
    layout, cells = LAYOUTS["tri-plane"], {"x": 4, "y": 5, "z": 6}
    joined = JoinedConvolution(layout, 3, 2)
    xy, yz, xz = (torch.randn(2, 3, *grid) for grid in grids(layout, cells))
    # A plane (x, y) is a grid (y, x): of (y, z), the mean over z is a line along y, and of (x, z) one along x.
    along_y, along_x = yz.mean(dim=2)[..., None].expand_as(xy), xz.mean(dim=2)[:, :, None].expand_as(xy)
    layer = joined.planes[0]
    expected = F.conv2d(torch.cat([xy, along_y, along_x], dim=1), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(joined([xy, yz, xz])[0], expected)


@every_layout
def test_a_joined_convolution_passes_information_between_planes_with_a_common_axis(layout):
    joined = perturbed(JoinedConvolution(layout, 3, 4))
    table = influence(lambda inputs: joined(as_maps(inputs)), planes(layout, 3, cells_of(layout, 4, 3, 5)))
    assert table == share_an_axis(layout)


def test_joined_planes_have_as_many_weights_as_planes_side_by_side():
    joined = JoinedConvolution(LAYOUTS["tri-plane"], 8, 8)
    assert sum(p.numel() for p in joined.parameters()) == (3 * 8) ** 2 * 9 + 3 * 8


def test_new_blocks_start_as_identities():
    torch.manual_seed(0)
    layout = LAYOUTS["tri-plane"]
    maps = [torch.randn(2, 8, *grid) for grid in grids(layout, {"x": 4, "y": 5, "z": 6})]
    for block in (JoinedPlanes(layout, 8, 1), CellAttention(8, 1).joint):
        for before, after in zip(maps, block(maps), strict=True):
            assert torch.equal(before, after)


@pytest.mark.parametrize("fixed", [(), ("t",), ("x", "t")], ids=str)
def test_fixed_axes_keep_their_cells(fixed):
    layout = Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t"), ("t",)))
    cells = {"x": 2, "y": 3, "t": 4}
    scales = decoder(layout, evolve(SIZES, fixed=fixed))(planes(layout, 3, cells))
    for factor, scale in zip((1, 2, 4), scales, strict=True):
        now = {axis: number * (1 if axis in fixed else factor) for axis, number in cells.items()}
        assert [tuple(plane.shape[2:]) for plane in scale] == grids(layout, now)


def test_an_unknown_fixed_axis_is_refused():
    with pytest.raises(ValueError, match=r"decoder.fixed names z, which no plane spans. Fix: .* x, y"):
        decoder(LAYOUTS["plane"], evolve(SIZES, fixed=("z",)))


@pytest.mark.parametrize("name", ["line", "plane", "apart"])
def test_planes_without_a_common_axis_cannot_be_joined(name):
    with pytest.raises(ValueError, match=r"joined = true needs planes with a common axis.*Fix: remove `joined`"):
        decoder(LAYOUTS[name], evolve(SIZES, joined=True))


def test_attention_at_a_stage_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"attention has 3, 8, but the 3 stages of widths=\[12, 10, 8\].* 1, 2, 4"):
        decoder(LAYOUTS["plane"], evolve(SIZES, attention=(8, 2, 3)))


@pytest.mark.parametrize("kind", [DecoderConfig, EncoderConfig])
def test_settings_without_effect_are_refused(kind):
    with pytest.raises(ValueError, match=r"heads = 2 has no effect without attention.*middle"):
        kind(heads=2)
    with pytest.raises(ValueError, match="wide_heads = true has no effect without attention"):
        kind(wide_heads=True, middle=True)
    with pytest.raises(ValueError, match='transition = "block" has no effect with a single stage'):
        kind(widths=(8,), transition="block", **({"basis": (4,)} if kind is DecoderConfig else {}))


@pytest.mark.parametrize(("blocks", "kernels", "widths"), [(1, [3], [6]), (2, [3], [6, 8]), (2, [3, 1], [6, 8, 8, 8])])
def test_the_first_block_of_a_stage_maps_its_width(blocks, kernels, widths):
    made = list(residual_blocks(2, 6, 8, DecoderConfig(blocks=blocks), kernels))
    assert [block.norm1.num_channels for block in made] == widths
    assert all(block.conv2.out_channels == 8 for block in made)


@pytest.mark.parametrize(("name", "kernel"), [("line", (1, 3)), ("plane", (3, 3)), ("mixed", (3, 3))])
def test_kernels_of_lines_alone_have_one_row(name, kernel):
    assert plane_kernel(LAYOUTS[name]) == kernel


def test_attention_of_a_wide_head_has_the_channels_of_the_stage_in_each():
    assert CellAttention(8, 2, wide=True).attention.inputs.out_features == 3 * 2 * 8
    assert CellAttention(8, 2).attention.inputs.out_features == 3 * 8

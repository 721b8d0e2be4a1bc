"""Networks on periodic axes are equivariant: rolled inputs give rolled outputs; and convolutions of many axes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attrs import evolve
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api import Layout, Planes
from ddmi_core.autoencoder.config import DecoderConfig, EncoderConfig
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.autoencoder.encoders import GridEncoder, PointEncoder
from ddmi_core.autoencoder.grid_transformer import GridTransformer
from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.fields.layout import Embedding
from ddmi_core.networks import as_maps, as_planes, attention, common_axes, convolution, patch_embedding, resized
from ddmi_core.registry.extensions import part
from plane_layouts import LAYOUTS, cells_of, grids, perturbed, planes

PERIODIC = {"line": "t", "plane": "x", "turned": "x", "tri-plane": "xz", "mixed": "z"}
CASES = [(name, axis) for name, axes in PERIODIC.items() for axis in axes]
DENOISING = {
    "unet": DenoiserConfig(kind="unet", width=8, multipliers=(1, 2), blocks=2, heads=2),
    "transformer": DenoiserConfig(kind="transformer", width=16, blocks=2, heads=2, patch=2),
}
every_case = pytest.mark.parametrize(("name", "axis"), CASES, ids=["-".join(case) for case in CASES])

Rolled = Callable[[Layout, str], tuple[list[Tensor], list[Tensor]]]


def roll(parts: Planes, layout: Layout, axis: str, cells: int, fraction: bool = False) -> Planes:
    """Roll along one axis the planes that span it; by one in `cells` of the axis if `fraction`."""
    rolled = []
    for plane, names in zip(parts, layout.planes, strict=True):
        if axis in names:
            dim = -1 - names.index(axis)
            rolled.append(plane.roll(plane.shape[dim] // cells if fraction else cells, dim))
        else:
            rolled.append(plane)
    return Planes(rolled)


@torch.no_grad()
def grid_encoding(layout: Layout, axis: str, config: EncoderConfig | None = None) -> tuple[list[Tensor], list[Tensor]]:
    config = config or EncoderConfig(widths=(8, 16, 8))
    torch.manual_seed(0)
    kind = GridTransformer if config.kind == "transformer" else GridEncoder
    encoder = perturbed(kind(lambda s: s, 2, layout, 3, config))
    size = [cells_of(layout, 16, 8, 12)[name] for name in reversed(layout.axes)]
    grid = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(1))
    before, after = encoder(grid), encoder(grid.roll(4, -1 - layout.axes.index(axis)))
    pairs = ((before.mean, after.mean), (before.log_variance, after.log_variance))
    return [p for old, _ in pairs for p in roll(old, layout, axis, 1)], [p for _, new in pairs for p in new]


def patch_encoding(layout: Layout, axis: str) -> tuple[list[Tensor], list[Tensor]]:
    return grid_encoding(layout, axis, EncoderConfig(widths=(8, 16), patch=(2,) * len(layout.axes)))


@torch.no_grad()
def point_encoding(layout: Layout, axis: str) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    config = EncoderConfig(widths=(8, 16))
    encoder = perturbed(PointEncoder(lambda s: s, lambda s: s[..., :0], 0, layout, 8, 3, config))
    points = 2 * torch.rand(2, 80, len(layout.axes), generator=torch.Generator().manual_seed(1)) - 1
    moved = points.clone()
    column = layout.axes.index(axis)
    moved[..., column] += 2 * 2 / 8  # two of eight cells, across the border
    if axis not in layout.periodic:
        moved[..., column] = (moved[..., column] + 1) % 2 - 1
    return list(roll(encoder(points).mean, layout, axis, 1)), list(encoder(moved).mean)


def transformer_encoding(layout: Layout, axis: str) -> tuple[list[Tensor], list[Tensor]]:
    patch = (4,) * len(layout.axes)
    return grid_encoding(layout, axis, EncoderConfig(kind="transformer", widths=(16,), blocks=2, heads=2, patch=patch))


def full_grid_encoding(layout: Layout, axis: str) -> tuple[list[Tensor], list[Tensor]]:
    config = EncoderConfig(widths=(8, 16, 8), transition="block", middle=True, attention=(2,), heads=2)
    return grid_encoding(layout, axis, config)


@torch.no_grad()
def decoding(layout: Layout, axis: str, config: DecoderConfig | None = None) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    decoder = perturbed(PlaneDecoder(layout, 3, config or DecoderConfig(widths=(16, 8), basis=(6, 4))))
    # Planes of different sizes resize the lines that they exchange.
    latent = Planes(
        torch.randn(2, 3, *[size * (1 + number) for size in grid], generator=torch.Generator().manual_seed(number))
        for number, grid in enumerate(grids(layout, cells_of(layout, 4)))
    )
    before, after = decoder(latent), decoder(roll(latent, layout, axis, 4, fraction=True))
    rolled = [plane for scale in before for plane in roll(scale, layout, axis, 4, fraction=True)]
    return rolled, [plane for scale in after for plane in scale]


def full_decoding(layout: Layout, axis: str) -> tuple[list[Tensor], list[Tensor]]:
    joined = bool(common_axes(layout))
    config = DecoderConfig(
        widths=(16, 8), basis=(6, 4), transition="block", middle=True, attention=(2,), heads=2, joined=joined
    )
    return decoding(layout, axis, config)


def denoising(kind: str) -> Rolled:
    @torch.no_grad()
    def rolled(layout: Layout, axis: str) -> tuple[list[Tensor], list[Tensor]]:
        torch.manual_seed(0)
        network = perturbed(part("denoisers", kind)(layout, 3, 12, DENOISING[kind]))
        latent = planes(layout, 3, cells_of(layout, 8, 4, 6))
        condition = torch.randn(2, 12, generator=torch.Generator().manual_seed(1))
        before, after = (
            as_planes(network(as_maps(part), condition), layout) for part in (latent, roll(latent, layout, axis, 2))
        )
        return list(roll(before, layout, axis, 2)), list(after)

    return rolled


NETWORKS: dict[str, Rolled] = {
    "grid encoder": grid_encoding,
    "grid encoder, patches": patch_encoding,
    "point encoder": point_encoding,
    "grid transformer": transformer_encoding,
    "decoder": decoding,
    "grid encoder, all blocks": full_grid_encoding,
    "decoder, all blocks": full_decoding,
    "unet": denoising("unet"),
    "transformer": denoising("transformer"),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@every_case
def test_rolled_input_gives_rolled_output_on_a_periodic_axis(name, axis, network):
    layout = evolve(LAYOUTS[name], periodic=tuple(PERIODIC[name]))
    for expected, found in zip(*network(layout, axis), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@every_case
def test_the_border_matters_on_an_axis_that_is_not_periodic(name, axis, network):
    pairs = zip(*network(LAYOUTS[name], axis), strict=True)
    assert max((found - expected).abs().max() for expected, found in pairs) > 1e-3


@pytest.mark.parametrize("kind", DENOISING)
def test_predictions_depend_on_distances_along_a_periodic_axis(kind):
    """Two marks at another distance give other values at their own cells: the network sees positions."""
    layout = Layout(axes=("t",), planes=(("t",),), periodic=("t",))
    torch.manual_seed(0)
    network = perturbed(part("denoisers", kind)(layout, 1, 12, DENOISING[kind]))
    results = []
    for distance in (8, 16):
        line = torch.zeros(1, 1, 1, 32)
        line[..., 0] = line[..., distance] = 3
        with torch.no_grad():
            results.append(network([line], torch.zeros(1, 12))[0][..., 0])
    assert (results[0] - results[1]).abs().max() > 1e-5


@pytest.mark.parametrize("kind", DENOISING)
def test_sizes_that_patches_and_levels_do_not_divide_are_kept(kind):
    layout = evolve(LAYOUTS["turned"], periodic=("x", "y"))
    torch.manual_seed(0)
    for lengths in ((1,), (7, 5)):
        maps = as_maps(planes(layout, 3, cells_of(layout, *lengths)))
        result = perturbed(part("denoisers", kind)(layout, 3, 12, DENOISING[kind]))(maps, torch.zeros(2, 12))
        assert [m.shape for m in result] == [m.shape for m in maps]


@pytest.mark.parametrize("wraps", [(False, True), (True, False), (True, True)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_wrapped_convolution_is_that_of_the_repeated_grid(wraps, stride):
    torch.manual_seed(0)
    layer, grid = convolution(2, 3, 4, stride=stride), torch.randn(2, 3, 4, 6)
    repeated = grid.repeat(1, 1, *(3 if wrap else 1 for wrap in wraps))
    starts = [size // stride if wrap else 0 for size, wrap in zip((4, 6), wraps, strict=True)]
    expected = layer(repeated)
    for dim, start in enumerate(starts):
        expected = expected.narrow(2 + dim, start, (4, 6)[dim] // stride)
    torch.testing.assert_close(layer(grid, wraps), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("length", "size"), [(4, 8), (8, 4), (5, 7), (1, 3)])
def test_wrapped_lines_are_resized_as_repeated_ones(length, size):
    line = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(0))
    whole = F.interpolate(line.repeat(1, 1, 3), size=3 * size, mode="linear", align_corners=False)
    torch.testing.assert_close(resized(line, size, wraps=True), whole[..., size : 2 * size], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("axes", [4, 5, 7])
def test_a_convolution_of_many_axes_sees_the_neighbours_along_each(axes):
    torch.manual_seed(0)
    layer = convolution(axes, 1, 2)
    grid = torch.zeros(1, 1, *[3] * axes)
    with torch.no_grad():
        before = layer(grid)
        grid[(0, 0, *[1] * axes)] = 1
        changed = (layer(grid) - before)[0].abs().amin(dim=0) > 0
    assert before.shape == (1, 2, *[3] * axes)
    assert changed.all()


def test_a_convolution_of_four_axes_is_a_volume_s_then_a_line_s():
    torch.manual_seed(0)
    layer, grid = convolution(4, 2, 3, stride=2), torch.randn(1, 2, 6, 4, 5, 3)
    volume, line = (part for part in layer.modules() if isinstance(part, nn.Conv3d | nn.Conv1d))
    volumes = torch.stack([F.conv3d(part, volume.weight, volume.bias, 2, 1) for part in grid.unbind(2)], dim=2)
    found = layer(grid)
    assert found.shape == (1, 3, 3, 2, 3, 2)
    for place in [(0, 0, 0), (1, 2, 1)]:
        expected = F.conv1d(volumes[(..., *place)], line.weight, line.bias, 2, 1)
        torch.testing.assert_close(found[(..., *place)], expected, atol=1e-5, rtol=1e-5)


def test_a_patch_embedding_of_four_axes_sees_its_own_block_alone():
    torch.manual_seed(0)
    layer, grid = patch_embedding(4, 1, 2, (2, 1, 2, 3)), torch.randn(1, 1, 4, 2, 4, 6)
    with torch.no_grad():
        before = layer(grid)
        grid[..., 2:4, 1:2, 0:2, 3:6] += 1
        changed = (layer(grid) != before).any(dim=1)[0]
    assert before.shape == (1, 2, 2, 2, 2, 2)
    assert changed.nonzero().tolist() == [[1, 1, 0, 1]]


def test_denoisers_of_a_layout_with_an_embedding_have_positions_on_its_planes_axes():
    around = Embedding(axes=("u", "v", "w"), function="maps:around")
    layout = Layout(axes=("angle",), planes=(("u", "v"), ("w",)), embedding=around)
    for kind, config in DENOISING.items():
        maps = as_maps(planes(layout, 3, {"u": 4, "v": 6, "w": 5}))
        result = perturbed(part("denoisers", kind)(layout, 3, 12, config))(maps, torch.zeros(2, 12))
        assert [m.shape for m in result] == [m.shape for m in maps]


@pytest.mark.parametrize("grid", [(3, 17, 17), (2, 9, 9)])
def test_gradients_of_three_axes_in_half_precision_are_those_in_single_precision(grid):
    layer = convolution(3, 8, 16, 4, 2)
    features = torch.randn(2, 8, *grid, generator=torch.Generator().manual_seed(0))
    found = []
    for half in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = layer(features)
        (gradient,) = torch.autograd.grad(output.float().square().sum(), layer.weight)
        found.append(gradient)
    torch.testing.assert_close(*found, rtol=0.05, atol=0.05 * float(found[1].abs().max()))


def test_blocks_keep_the_channels_of_a_cell_side_by_side():
    network = part("denoisers", "unet")(LAYOUTS["plane"], 3, 0, DENOISING["unet"])
    made: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.GroupNorm):
            module.register_forward_hook(lambda module, given, output: made.append(output))
    network([torch.randn(2, 3, 8, 8)], torch.zeros(2, 0))
    assert len(made) > 10
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in made)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_on_a_cpu_has_the_precision_of_float32_under_autocast(masked):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, tokens, 8, generator=generator, requires_grad=True) for tokens in (5, 7, 7))
    mask = torch.rand(2, 1, 1, 7, generator=generator) < 0.7 if masked else None
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(query, key, value, mask=mask)
    scores = query.double() @ key.double().transpose(-1, -2) / 8**0.5
    scores = scores if mask is None else scores.masked_fill(~mask, float("-inf"))
    wanted = scores.softmax(-1) @ value.double()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    found, wanted = (torch.autograd.grad(one.square().sum(), (query, key, value)) for one in (found, wanted))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-5)

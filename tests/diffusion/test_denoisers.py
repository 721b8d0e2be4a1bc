"""Both denoisers over every layout: shapes, what the output depends on, and how they start."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddmi_core.api import Layout, Planes
from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.diffusion.denoisers.denoiser import PlaneDenoiser
from ddmi_core.diffusion.denoisers.embeddings import AxisPositions, Harmonics, TimeEmbedding, sinusoids
from ddmi_core.diffusion.denoisers.unet import PlaneUNet, kernel_of
from ddmi_core.errors import ConfigError
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.networks import Attention, as_maps, as_planes
from ddmi_core.registry import extensions
from plane_layouts import LAYOUTS, cells_of, differs, influence, perturbed, planes

CONDITION = 12
CONFIGS = {
    "unet": DenoiserConfig(kind="unet", width=8, multipliers=(1, 2, 2), blocks=1, heads=2),
    "unet, two blocks": DenoiserConfig(kind="unet", width=8, multipliers=(1, 2), blocks=2, heads=2),
    "unet, every layer": DenoiserConfig(
        kind="unet", width=8, multipliers=(1, 2), blocks=2, head_channels=4, attention=(1, 2), skips="block"
    ),
    "unet, attending": DenoiserConfig(kind="unet", width=8, multipliers=(1, 2), blocks=1, heads=2, planes="attending"),
    "transformer": DenoiserConfig(kind="transformer", width=16, blocks=2, heads=2),
    "transformer, patches": DenoiserConfig(kind="transformer", width=16, blocks=1, heads=2, patch=3),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def denoiser(layout, config, channels: int = 3):
    torch.manual_seed(0)
    return extensions.part("denoisers", config.kind)(layout, channels, CONDITION, config)


def condition(batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(batch, CONDITION, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("lengths", [(8,), (1,), (7, 5, 3), (2, 1)], ids=str)
@every_config
@every_layout
def test_predictions_have_the_latent_s_shape(layout, config, lengths):
    maps = as_maps(planes(layout, 3, cells_of(layout, *lengths)))
    result = perturbed(denoiser(layout, config))(maps, condition())
    assert [m.shape for m in result] == [m.shape for m in maps]
    assert all(torch.isfinite(m).all() for m in result)


@every_config
@every_layout
def test_planes_may_differ_in_size(layout, config):
    latent = Planes(torch.randn(2, 3, *[3 + p] * len(names)) for p, names in enumerate(layout.planes))
    result = perturbed(denoiser(layout, config))(as_maps(latent), condition())
    assert [plane.shape for plane in as_planes(result, layout)] == [plane.shape for plane in latent]


@every_config
@every_layout
def test_an_untrained_denoiser_predicts_zero(layout, config):
    result = denoiser(layout, config)(as_maps(planes(layout, 3, cells_of(layout, 5, 4))), condition())
    assert not any(m.any() for m in result)


@every_config
@every_layout
def test_the_condition_matters_on_every_plane(layout, config):
    module = perturbed(denoiser(layout, config))
    maps = as_maps(planes(layout, 3, cells_of(layout, 5, 4)))
    with torch.no_grad():
        first, second = module(maps, condition()), module(maps, condition(seed=1))
    assert all(differs(a, b) for a, b in zip(first, second, strict=True))


@every_config
@every_layout
def test_each_signal_has_its_own_condition(layout, config):
    """Row i of the condition belongs to row i of the batch, however the planes are batched together."""
    module = perturbed(denoiser(layout, config)).eval()
    for cells in (cells_of(layout, 4), cells_of(layout, 4, 5, 6)):
        maps = as_maps(planes(layout, 3, cells, batch=3))
        with torch.no_grad():
            whole = module(maps, condition(3))
            for row in range(3):
                alone = module([m[row : row + 1] for m in maps], condition(3)[row : row + 1])
                for plane, single in zip(whole, alone, strict=True):
                    torch.testing.assert_close(plane[row : row + 1], single, atol=1e-4, rtol=1e-4)


@every_config
@every_layout
def test_every_plane_sees_every_other(layout, config):
    """Attention over the cells of all planes reaches even planes without a common axis."""
    module = perturbed(denoiser(layout, config)).eval()
    latent = planes(layout, 3, cells_of(layout, 5, 4, 6))
    table = influence(lambda inputs: as_planes(module(as_maps(inputs), condition()), layout), latent)
    assert all(all(row) for row in table)


@every_config
@every_layout
def test_gradients_reach_every_parameter(layout, config):
    module = perturbed(denoiser(layout, config))
    result = module(as_maps(planes(layout, 3, cells_of(layout, 6, 5))), condition())
    sum(m.square().sum() for m in result).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@every_config
@every_layout
def test_a_denoiser_can_learn_from_its_start_at_zero(layout, config):
    module = denoiser(layout, config)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    maps = as_maps(planes(layout, 3, cells_of(layout, 4, 3)))
    losses = []
    for _ in range(12):
        loss = sum((m - p).square().mean() for m, p in zip(maps, module(maps, condition()), strict=True))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def unet(layout, channels: int = 3, **sizes):
    return perturbed(denoiser(layout, DenoiserConfig(width=8, multipliers=(1, 2), heads=2, **sizes), channels)).eval()


@pytest.mark.parametrize("name", ["tri-plane", "plane", "line"])
@pytest.mark.parametrize("skips", ["level", "block"])
def test_joined_planes_are_the_channels_of_one_map(name, skips):
    layout, count = LAYOUTS[name], len(LAYOUTS[name].planes)
    names = ("u", "v")[: len(layout.planes[0])]
    together = unet(Layout(axes=names, planes=(names,)), 3 * count, skips=skips)
    joined = unet(layout, planes="joined", skips=skips)
    maps = as_maps(planes(layout, 3, cells_of(layout, 5)))
    with torch.no_grad():
        (expected,) = together([torch.cat(maps, dim=1)], condition())
        found = joined(maps, condition())
    torch.testing.assert_close(torch.cat(found, dim=1), expected)


def test_joined_planes_keep_their_periodic_axes():
    layout = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("x", "z")), periodic=("x",))
    module = unet(layout, planes="joined", skips="block", attention=(1, 2))
    maps = as_maps(planes(layout, 3, cells_of(layout, 8)))
    with torch.no_grad():
        first = module(maps, condition())
        rolled = module([m.roll(4, dims=3) for m in maps], condition())
    for a, b in zip(first, rolled, strict=True):
        torch.testing.assert_close(a.roll(4, dims=3), b, atol=1e-4, rtol=1e-4)


def test_planes_that_cannot_be_joined_are_refused():
    layout = LAYOUTS["tri-plane"]
    with pytest.raises(ConfigError, match=r"4 x 5, .*Fix: set it to 'shared'"):
        unet(layout, planes="joined")(as_maps(planes(layout, 3, {"x": 5, "y": 4, "z": 4})), condition())
    with pytest.raises(ConfigError, match="planes x y, z, z y differ"):
        unet(LAYOUTS["mixed"], planes="joined")


@pytest.mark.parametrize("attention", [(), (1,), (2,), (1, 2)])
@pytest.mark.parametrize("skips", ["level", "block"])
def test_attention_follows_each_block_of_the_named_levels(attention, skips):
    module = unet(LAYOUTS["plane"], attention=attention, skips=skips, blocks=2)
    for number, levels in enumerate(zip(module.down, reversed(module.up), strict=True)):
        for level in levels:
            assert len(level.attentions) == (len(level) if 2**number in attention else 0)
    assert [len(level) for level in module.down] == [2, 2]
    assert [len(level) for level in module.up] == ([3, 3] if skips == "block" else [2, 2])
    around = {name.split(".")[2] for name, _ in module.named_parameters() if name.startswith("around.blocks")}
    assert around == ({"0", "1"} if skips == "block" else set())  # blocks before and after the middle attention


def test_attention_of_a_fine_level_reaches_distant_cells():
    """Without it, few convolutions at this level see their neighbourhood alone."""
    for attention, reaches in (((), False), ((1,), True)):
        sizes = DenoiserConfig(width=8, multipliers=(1,), heads=2, attention=attention)
        module = perturbed(denoiser(LAYOUTS["plane"], sizes)).eval()
        level = module.down[0]
        maps = [torch.randn(1, 8, 1, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()]
        with torch.no_grad():
            for block in level.blocks:
                block.norm1 = block.norm2 = torch.nn.Identity()  # group norms see all cells
        level(0, maps, condition(1), None)[0][0, :, 0, 0].sum().backward()
        assert bool(maps[0].grad[..., 16:].any()) == reaches


def test_a_level_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"level 8, but the 3 multipliers .* 1, 2, 4"):
        DenoiserConfig(multipliers=(1, 2, 4), attention=(2, 8))


def test_heads_of_a_fixed_number_of_channels():
    module = unet(LAYOUTS["plane"], attention=(1, 2), head_channels=4)
    assert module.down[0].attentions[0].attention.heads == 8 // 4
    assert module.down[1].attentions[0].attention.heads == module.middle.attention.heads == 16 // 4
    assert DenoiserConfig(heads=3).heads_of(64) == 3


@pytest.mark.parametrize("kind", extensions.names("denoisers"))
def test_planes_are_told_apart(kind):
    """Equal maps on different planes give different predictions, once the planes' own vectors are learned."""
    layout, config = LAYOUTS["tri-plane"], CONFIGS[kind]
    module = perturbed(denoiser(layout, config))
    same = torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        first, second, third = module([same] * 3, condition())
    assert differs(first, second)
    assert differs(second, third)


def test_attention_equals_its_formula():
    torch.manual_seed(0)
    attention = perturbed(Attention(12, heads=3))
    tokens = torch.randn(2, 5, 12)
    query, key, value = attention.inputs(tokens).chunk(3, dim=-1)

    def normalised(rows: Tensor, norm) -> Tensor:
        return norm.weight * rows / (rows.square().mean(dim=-1, keepdim=True) + torch.finfo(rows.dtype).eps).sqrt()

    heads = []
    for part in range(3):
        columns = slice(4 * part, 4 * part + 4)
        q, k = normalised(query[..., columns], attention.query_norm), normalised(key[..., columns], attention.key_norm)
        heads.append((q @ k.transpose(1, 2) / 4**0.5).softmax(dim=-1) @ value[..., columns])
    torch.testing.assert_close(attention(tokens), attention.output(torch.cat(heads, dim=-1)), atol=1e-5, rtol=1e-4)


@pytest.fixture
def every_warning():
    """torch repeats the warnings that it gives once in a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("every_warning")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_config
def test_a_step_in_half_precision_warns_of_nothing(config, dtype):
    layout = LAYOUTS["tri-plane"]
    module = perturbed(denoiser(layout, config))
    with torch.autocast("cpu", dtype):
        result = module(as_maps(planes(layout, 3, cells_of(layout, 4, 4))), condition())
        sum(m.float().square().mean() for m in result).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_normalised_queries_are_those_of_torch_in_single_precision():
    norm, reference = perturbed(Attention(16, heads=2)).query_norm, nn.RMSNorm(8)
    reference.load_state_dict(norm.state_dict())
    rows = torch.randn(3, 2, 5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(norm(rows), reference(rows))
    assert norm(rows.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(("width", "heads", "fitting"), [(10, 4, 2), (7, 4, 1), (8, 16, 8)])
def test_heads_that_do_not_divide_the_width_are_an_error(width, heads, fitting):
    with pytest.raises(ValueError, match=rf"heads = {heads} .* {width} channels .*set heads to {fitting}, or .*width"):
        Attention(width, heads)
    assert Attention(width, fitting).heads == Attention(width, fitting, head_width=3).heads == fitting


@pytest.mark.parametrize("kind", ["unet", "transformer"])
def test_channels_of_a_head_that_do_not_divide_the_width_are_an_error(kind):
    def built(channels):
        config = DenoiserConfig(kind=kind, width=16, multipliers=(1,), head_channels=channels)
        return denoiser(LAYOUTS["plane"], config)

    with pytest.raises(ValueError, match=r"head_channels = 12 .* 16 channels .*set head_channels to 8, or .*width"):
        built(12)
    attentions = [module for module in built(8).modules() if isinstance(module, Attention)]
    assert {attention.heads for attention in attentions} == {2}


def test_attention_does_not_depend_on_the_order_of_tokens():
    torch.manual_seed(0)
    attention, tokens = Attention(8, 2), torch.randn(1, 6, 8)
    order = [3, 1, 5, 0, 2, 4]
    torch.testing.assert_close(attention(tokens[:, order]), attention(tokens)[:, order], atol=1e-6, rtol=1e-5)


def test_sinusoids_are_sines_and_cosines_of_rising_frequencies():
    values = torch.tensor([0.0, 0.3, 1.0])
    rows = sinusoids(values, 8, highest=1000.0)
    frequencies = torch.tensor([1.0, 10.0, 100.0, 1000.0])
    expected = torch.cat([(values[:, None] * frequencies).sin(), (values[:, None] * frequencies).cos()], dim=1)
    torch.testing.assert_close(rows, expected, atol=1e-3, rtol=0)


def test_times_are_embedded_at_frequencies_up_to_1000():
    embedding, times = TimeEmbedding(8), torch.tensor([0.0, 0.003, 0.7])
    embedding.network = torch.nn.Identity()
    angles = times[:, None] * torch.tensor([1.0, 10.0, 100.0, 1000.0])
    torch.testing.assert_close(embedding(times), torch.cat([angles.sin(), angles.cos()], dim=1), atol=1e-3, rtol=0)


def test_times_are_told_apart():
    torch.manual_seed(0)
    vectors = TimeEmbedding(16)(torch.linspace(0, 1, 50))
    distances = torch.cdist(vectors, vectors) + 10 * torch.eye(50)
    assert distances.min() > 1e-3


def test_positions_of_cells_are_sums_over_axes_that_planes_share():
    layout = LAYOUTS["tri-plane"]
    positions = perturbed(AxisPositions(layout, 6))
    with torch.no_grad():
        flat, steep = positions(0, (4, 5)), positions(2, (3, 5))
    # Both planes span x along their columns: from column to column they change alike, in every row.
    torch.testing.assert_close(flat.diff(dim=1), steep[:1].diff(dim=1).expand_as(flat.diff(dim=1)))
    # The other axes are y and z, with embeddings of their own.
    assert flat.diff(dim=0).abs().max() > 1e-3


def test_positions_of_a_line_have_one_row():
    positions = perturbed(AxisPositions(LAYOUTS["mixed"], 6))
    assert positions(1, (1, 7)).shape == (1, 7, 6)


def test_a_cell_s_position_depends_on_its_coordinate_not_on_the_grid_s_size():
    positions = perturbed(AxisPositions(LAYOUTS["line"], 6))
    with torch.no_grad():
        # Cell centres of 3 cells are every third of 9 cells', from the second on.
        torch.testing.assert_close(positions(0, (1, 3)), positions(0, (1, 9))[:, 1::3], atol=1e-4, rtol=1e-4)


def test_positions_are_sinusoids_of_32_numbers_at_frequencies_up_to_32():
    positions = AxisPositions(Layout(axes=("x", "y"), planes=(("x", "y"),)), 32)
    with torch.no_grad():
        for axis in positions.axes:
            axis.weight.copy_(torch.eye(32))
            axis.bias.zero_()
        positions.planes.fill_(0.5)
        found = positions(0, (3, 4))
    across, down = (sinusoids(cell_centres(n), 32, highest=32.0) for n in (4, 3))
    torch.testing.assert_close(found, 0.5 + across[None] + down[:, None])


def test_harmonics_are_those_of_the_angles_on_periodic_axes():
    layout = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("z",)), periodic=("x", "z"))
    harmonics = Harmonics(layout, orders=2)
    assert harmonics.count == 4
    waves = harmonics([(2, 3), (1, 2)], torch.device("cpu")).unflatten(2, (2, 2))
    assert waves.shape == (2, 2 * 3 + 2, 2, 2)
    for order in (1, 2):
        across, along = (torch.pi * cell_centres(n) * order for n in (3, 2))
        for part, function in enumerate((torch.cos, torch.sin)):
            expected = torch.cat([function(across).repeat(2), torch.zeros(2)])  # by rows; the line lacks x
            torch.testing.assert_close(waves[part, :, 0, order - 1], expected)
            expected = torch.cat([torch.zeros(6), function(along)])
            torch.testing.assert_close(waves[part, :, 1, order - 1], expected)
    assert Harmonics(LAYOUTS["plane"])([(2, 3)], torch.device("cpu")) is None
    assert Harmonics(layout).count == 16


def test_maps_are_halved_by_means_and_enlarged_by_the_nearest_cell():
    grid = torch.arange(15.0).reshape(1, 1, 3, 5)
    halved = PlaneUNet._halve(grid)
    assert halved.tolist() == [[[[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]]]  # an odd last cell is alone
    assert PlaneUNet._halve(grid[:, :, :1]).tolist() == [[[[0.5, 2.5, 4.0]]]]
    (enlarged,) = PlaneUNet._enlarged([halved], [grid])
    assert enlarged[0, 0, 0].tolist() == [3.0, 3.0, 5.0, 5.0, 6.5]
    assert enlarged[0, 0, :, 0].tolist() == [3.0, 3.0, 10.5]


def test_maps_are_padded_to_whole_patches_with_the_first_cells_of_periodic_axes_and_else_with_zeros():
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),), periodic=("x",))
    module, cells = denoiser(layout, CONFIGS["transformer, patches"], 1), torch.arange(1.0, 21).reshape(1, 1, 4, 5)
    padded = module._pad(cells, module.wraps[0])[0, 0]
    assert torch.equal(padded[:4, :5], cells[0, 0])
    assert torch.equal(padded[:4, 5:], cells[0, 0, :, :1])
    assert padded.shape == (6, 6)
    assert not padded[4:].any()
    whole = torch.ones(1, 1, 3, 6)
    assert torch.equal(module._pad(whole, module.wraps[0]), whole)


def test_a_network_without_a_prediction_cannot_be_made_and_does_not_attend_by_itself():
    class Plain(PlaneDenoiser):
        def __init__(self, *given):
            super().__init__(*given)

        def forward(self, maps, condition):
            return maps

    given = LAYOUTS["plane"], 3, CONDITION, DenoiserConfig()
    with pytest.raises(ConfigError, match=r"the denoiser Plain cannot attend .*Fix: set diffusion\.denoiser\.kind"):
        Plain(*given).attend(8)
    for missing in ("__init__", "forward"):
        methods = {name: getattr(Plain, name) for name in ("__init__", "forward") if name != missing}
        with pytest.raises(TypeError, match=missing):
            type("Partial", (PlaneDenoiser,), methods)(*given)


def test_normalised_tokens_are_scaled_by_the_condition_alone():
    module = denoiser(LAYOUTS["plane"], CONFIGS["transformer"])
    own = {name.split(".", 2)[-1] for name, _ in module.named_parameters() if "norm" in name}
    assert own == {"attention.query_norm.weight", "attention.key_norm.weight"}


@pytest.fixture
def transformer():
    return perturbed(denoiser(LAYOUTS["plane"], CONFIGS["transformer"]))


def test_a_block_of_the_transformer_is_modulated_before_and_gated_after_both_parts(transformer):
    block, tokens = transformer.blocks[0], torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))

    def normalised(rows: Tensor) -> Tensor:
        return nn.functional.layer_norm(rows, (16,))

    shift1, scale1, gate1, shift2, scale2, gate2 = block.modulation(condition())[:, None].split(16, dim=-1)
    after = tokens + gate1 * block.attention(normalised(tokens) * (1 + scale1) + shift1, None)
    after = after + gate2 * block.network(normalised(after) * (1 + scale2) + shift2)
    torch.testing.assert_close(block(tokens, condition(), None), after)


def test_the_head_of_the_transformer_is_modulated(transformer):
    transformer.blocks, cells = nn.ModuleList(), torch.randn(2, 3, 4, 5)
    tokens = transformer.stem(cells.movedim(1, -1)) + transformer.positions(0, (4, 5))
    shift, scale = transformer.modulation(condition())[:, None, None].split(16, dim=-1)
    expected = transformer.head(nn.functional.layer_norm(tokens, (16,)) * (1 + scale) + shift)
    torch.testing.assert_close(transformer([cells], condition())[0], expected.movedim(-1, 1))


@pytest.mark.parametrize(("name", "kernel"), [("line", (1, 3)), ("plane", (3, 3)), ("apart", (3, 3))])
def test_convolutions_of_lines_alone_have_one_row(name, kernel):
    assert kernel_of(LAYOUTS[name]) == kernel
    sizes = {p.shape[2:] for p in denoiser(LAYOUTS[name], CONFIGS["unet"]).parameters() if p.ndim == 4}
    assert torch.Size(kernel) in sizes
    assert sizes <= {torch.Size(kernel), torch.Size((1, 1)), torch.Size((1, 3))}


def test_the_offset_of_a_plane_is_added_to_its_first_features():
    module = unet(LAYOUTS["plane"])
    maps = as_maps(planes(LAYOUTS["plane"], 3, {"x": 4, "y": 6}))
    with torch.no_grad():
        with_offset = module(maps, condition())[0]
        module.stem.bias += module.offsets[0].flatten()
        module.offsets[0].zero_()
        torch.testing.assert_close(module(maps, condition())[0], with_offset)


def test_attention_in_the_middle_knows_positions_and_is_added_to_the_features():
    attention, features = unet(LAYOUTS["plane"]).middle, torch.randn(2, 16, 3, 4)
    rows = attention.norm(features).movedim(1, -1) + attention.positions(0, (3, 4))
    expected = features + attention.attention(rows.flatten(1, 2)).mT.reshape(features.shape)
    torch.testing.assert_close(attention([features])[0], expected)

"""The encoder of grids by attention: shapes for every layout, positions, and what cannot be combined."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve

from ddmi_core.api import Layout
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.autoencoder.encoders import PointEncoder
from ddmi_core.autoencoder.grid_transformer import GridTransformer
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.layout import Embedding
from ddmi_core.networks import sinusoids
from plane_layouts import LAYOUTS, cells_of, grids, perturbed, posterior_of_heads

CONFIG = EncoderConfig(kind="transformer", widths=(12,), blocks=2, heads=2, head_width=4)
FOUR = Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("t", "z"), ("t",)))
ALL = {**LAYOUTS, "four axes": FOUR}
every_layout = pytest.mark.parametrize("layout", ALL.values(), ids=ALL)


def encoder(layout, config: EncoderConfig = CONFIG) -> GridTransformer:
    torch.manual_seed(0)
    return GridTransformer(lambda signal: signal, 2, layout, 3, config)


def signal(layout, cells, batch: int = 2) -> torch.Tensor:
    shape = [cells[axis] for axis in reversed(layout.axes)]
    return torch.randn(batch, 2, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("lengths", [(4,), (6, 2, 4)], ids=str)
@every_layout
def test_planes_have_a_cell_for_each_patch(layout, lengths):
    cells = cells_of(layout, *lengths)
    sides = {axis: 2 if number % 2 else 1 for number, axis in enumerate(layout.axes)}
    config = evolve(CONFIG, patch=tuple(sides[axis] for axis in reversed(layout.axes)))
    posterior = encoder(layout, config)(signal(layout, cells))
    expected = [(2, 3, *grid) for grid in grids(layout, {axis: n // sides[axis] for axis, n in cells.items()})]
    assert [tuple(plane.shape) for plane in posterior.mean] == expected
    assert [tuple(plane.shape) for plane in posterior.log_variance] == expected


@every_layout
def test_gradients_reach_every_parameter(layout):
    for periodic in ((), layout.axes[:1]):
        module = perturbed(encoder(evolve(layout, periodic=periodic)))
        posterior = module(signal(layout, cells_of(layout, 4, 3)))
        sum(p.square().sum() for p in (*posterior.mean, *posterior.log_variance)).backward()
        assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@every_layout
def test_signals_of_a_batch_are_encoded_independently(layout):
    module = perturbed(encoder(layout)).eval()
    batch = signal(layout, cells_of(layout, 4, 3), batch=3)
    with torch.no_grad():
        whole, alone = module(batch).mean, module(batch[1:2]).mean
    for plane, single in zip(whole, alone, strict=True):
        torch.testing.assert_close(plane[1:2], single, atol=1e-5, rtol=1e-4)


@every_layout
def test_every_cell_of_a_plane_sees_the_whole_grid(layout):
    module = perturbed(encoder(layout)).eval()
    grid = signal(layout, cells_of(layout, 3, 4), batch=1)
    with torch.no_grad():
        before = module(grid).mean
        grid[(..., *[-1] * len(layout.axes))] += 1
        for old, new in zip(before, module(grid).mean, strict=True):
            assert ((new - old).abs().amax(dim=1) > 1e-6).all()


def test_one_layer_attends_along_the_slowest_axis_and_over_the_others():
    """A mark reaches the cells of its own column in the first attention and of all columns in the second."""
    layout = LAYOUTS["tri-plane"]
    layer = perturbed(encoder(layout).layers[0])
    tokens = torch.randn(1, 3, 4, 5, 12, generator=torch.Generator().manual_seed(0))
    marked = tokens.clone()
    marked[0, 2, 1, 3] *= -1
    last = [parameter for name, parameter in layer.named_parameters() if name.startswith("attentions.1.output")]
    with torch.no_grad():
        assert ((layer(marked) - layer(tokens)).abs().amax(dim=-1) > 1e-6).all()
        for parameter in last:
            parameter.zero_()
        changed = ((layer(marked) - layer(tokens)).abs().amax(dim=-1) > 1e-6)[0]
    expected = torch.zeros(3, 4, 5, dtype=torch.bool)
    expected[:, 1, 3] = True
    assert torch.equal(changed, expected)


def test_it_starts_as_a_projection_of_patches():
    """Layers start as identities: before training, a plane is the mean of projected patches with their positions."""
    layout = LAYOUTS["tri-plane"]
    module = encoder(layout, evolve(CONFIG, patch=(1, 2, 2)))
    grid = signal(layout, {"x": 4, "y": 6, "z": 3})
    mean = module(grid).mean
    module.layers, module.gathering[0] = torch.nn.ModuleList(), torch.nn.ModuleList()
    torch.testing.assert_close(module(grid).mean[0], mean[0])


def test_positions_tell_equal_patches_apart():
    layout = LAYOUTS["plane"]
    mean = perturbed(encoder(layout))(torch.ones(1, 2, 4, 5)).mean[0].flatten(2)[0]
    assert torch.pdist(mean.t()).min() > 1e-4


SPHERE = Layout(axes=("a", "b"), planes=(("x", "y"),), embedding=Embedding(axes=("x", "y"), function="maps:around"))


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        (SPHERE, {}, r'encoder.kind = "transformer" gathers a grid.*Fix: set encoder.kind = "convolution"'),
        (LAYOUTS["plane"], {"patch": (2,)}, r"encoder.patch=\(2,\) needs one number for each of 2 axes"),
    ],
)
def test_options_that_do_not_fit_the_layout_are_refused(layout, options, message):
    with pytest.raises(ValueError, match=message):
        encoder(layout, evolve(CONFIG, **options))


@pytest.mark.parametrize(
    "options", [{"middle": True}, {"joined": True}, {"attention": (1,)}, {"factorised": True}, {"transition": "block"}]
)
def test_settings_of_convolutions_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=rf'encoder.{name} has no effect with encoder.kind = "transformer". Fix'):
        evolve(CONFIG, **options)


@pytest.mark.parametrize("options", [{"head_width": 4}, {"plane_blocks": 2}])
def test_settings_of_transformers_are_refused_without_one(options):
    (name,) = options
    with pytest.raises(ValueError, match=rf'encoder.{name} has no effect with encoder.kind = "convolution". Fix'):
        EncoderConfig(**options)


def test_stages_of_tokens_are_refused():
    with pytest.raises(ValueError, match=r'encoder.widths has 2 stages.*"transformer" have one width. Fix'):
        EncoderConfig(kind="transformer", widths=(8, 16))


def test_encoders_on_planes_refuse_a_transformer():
    with pytest.raises(ValueError, match=r'encoder.kind = "transformer" attends over .* a grid, but this encoder'):
        PointEncoder(lambda s: s, lambda s: s[..., :0], 0, LAYOUTS["plane"], 8, 3, CONFIG)


@pytest.mark.parametrize(("value", "bound"), [(1e3, 10.0), (-1e3, -20.0), (4.0, 4.0)])
def test_log_variances_lie_between_minus_20_and_10(value, bound):
    posterior = posterior_of_heads(encoder(LAYOUTS["mixed"]), signal(LAYOUTS["mixed"], {"x": 4, "y": 5, "z": 6}), value)
    for mean, log_variance in zip(posterior.mean, posterior.log_variance, strict=True):
        assert mean.eq(value).all()
        assert log_variance.eq(bound).all()


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_rolling_a_periodic_axis_by_whole_patches_rolls_the_latent(axis):
    layout = evolve(LAYOUTS["tri-plane"], periodic=(axis,))
    module = perturbed(encoder(layout, evolve(CONFIG, patch=(2, 2, 2)))).eval()
    grid = signal(layout, {"x": 6, "y": 8, "z": 10}, batch=1)
    with torch.no_grad():
        before = module(grid).mean
        after = module(grid.roll(4, dims=-1 - layout.axes.index(axis))).mean
    for plane, (old, new) in zip(layout.planes, zip(before, after, strict=True), strict=True):
        moved = old.roll(2, dims=-1 - plane.index(axis)) if axis in plane else old
        torch.testing.assert_close(new, moved, atol=1e-4, rtol=1e-4)
        assert axis not in plane or not torch.allclose(new, old, atol=1e-3)


def test_a_layer_has_a_gated_network_of_four_times_its_width_and_its_own_norms():
    layer = encoder(LAYOUTS["tri-plane"]).layers[0]
    assert (layer.inner.out_features, layer.outer.in_features) == (8 * 12, 4 * 12)
    tokens = torch.randn(2, 3, 4, 5, 12, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(layer.outer.weight)
    hidden, gate = layer.inner(layer.norm(tokens)).chunk(2, dim=-1)
    expected = tokens + layer.outer(hidden * torch.nn.functional.gelu(gate))
    torch.testing.assert_close(layer(tokens), expected)  # attention starts at zero


def test_positions_on_periodic_axes_are_eight_harmonics_of_their_angles():
    layer = encoder(evolve(LAYOUTS["tri-plane"], periodic=("x",))).layers[0]
    found = layer._harmonics(torch.zeros(1, 2, 3, 12), (1, 2))  # along y and x
    angles = torch.pi * cell_centres(3)[:, None] * torch.arange(1, 9)
    expected = torch.stack([angles.cos(), angles.sin()])
    torch.testing.assert_close(found, expected.repeat(1, 2, 1))
    assert layer._harmonics(torch.zeros(1, 2, 12), (0,)) is None


def test_a_layer_adds_its_attention_and_then_its_network():
    layer = perturbed(encoder(LAYOUTS["line"])).layers[0]
    tokens = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    hidden = tokens + layer.attentions[0](layer.norms[0](tokens))
    inner, gate = layer.inner(layer.norm(hidden)).chunk(2, dim=-1)
    torch.testing.assert_close(layer(tokens), hidden + layer.outer(inner * torch.nn.functional.gelu(gate)))


def test_positions_are_added_to_patches_as_sinusoids_of_frequencies_up_to_32():
    module = perturbed(encoder(LAYOUTS["line"]))
    module.layers = torch.nn.ModuleList()
    grid = signal(LAYOUTS["line"], {"t": 6})
    positions = module.positions[0](sinusoids(cell_centres(6), 32, highest=32.0))
    tokens = module.stem(grid).movedim(1, -1) + positions
    expected = module.heads[0](module.norm(tokens)).movedim(-1, 1).chunk(2, dim=1)[0]
    torch.testing.assert_close(module(grid).mean[0], expected)

"""The ready encoder: shapes for every layout and size, and what each latent plane depends on."""

from __future__ import annotations

from math import ceil

import pytest
import torch

from ddmi_core.api import Layout
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.autoencoder.encoders import GridEncoder
from ddmi_core.fields.layout import Embedding
from plane_layouts import LAYOUTS, cells_of, grids, perturbed, posterior_of_heads

CONFIG = EncoderConfig(widths=(8, 12, 16))

FULL = EncoderConfig(widths=(8, 12, 16), transition="block", middle=True, attention=(2,), heads=2, wide_heads=True)
every_config = pytest.mark.parametrize("config", [CONFIG, FULL], ids=["default", "full"])


def encoder(layout, channels: int = 2, config: EncoderConfig = CONFIG) -> GridEncoder:
    torch.manual_seed(0)
    return GridEncoder(lambda signal: signal, channels, layout, 3, config)


def signal(layout, cells, batch: int = 2, channels: int = 2) -> torch.Tensor:
    shape = [cells[axis] for axis in reversed(layout.axes)]
    return torch.randn(batch, channels, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("lengths", [(8,), (1,), (7, 5, 9), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@every_config
def test_every_stage_after_the_first_halves_the_grid_rounding_up(config, layout, lengths):
    cells = cells_of(layout, *lengths)
    posterior = encoder(layout, config=config)(signal(layout, cells))
    quarter = {axis: ceil(length / 4) for axis, length in cells.items()}
    expected = [(2, 3, *grid) for grid in grids(layout, quarter)]
    assert [tuple(plane.shape) for plane in posterior.mean] == expected
    assert [tuple(plane.shape) for plane in posterior.log_variance] == expected


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@every_config
def test_gradients_reach_every_parameter(config, layout):
    module = perturbed(encoder(layout, config=config))
    posterior = module(signal(layout, cells_of(layout, 8, 6, 5)))
    sum(p.square().sum() for p in (*posterior.mean, *posterior.log_variance)).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@every_config
def test_signals_of_a_batch_are_encoded_independently(config, layout):
    module = perturbed(encoder(layout, config=config)).eval()
    batch = signal(layout, cells_of(layout, 6, 5), batch=3)
    with torch.no_grad():
        whole, alone = module(batch).mean, module(batch[1:2]).mean
    for plane, single in zip(whole, alone, strict=True):
        torch.testing.assert_close(plane[1:2], single, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", [LAYOUTS["turned"], LAYOUTS["mixed"]], ids=["turned", "mixed"])
def test_a_plane_varies_along_its_own_axes_alone(layout):
    """A signal that changes along one axis gives latents that are constant along all others."""
    module = perturbed(encoder(layout, config=EncoderConfig(widths=(8,)))).eval()
    for number, axis in enumerate(layout.axes):
        profile = torch.randn(12, generator=torch.Generator().manual_seed(2))
        shape = [1] * len(layout.axes)
        shape[-1 - number] = 12
        grid = profile.reshape(1, 1, *shape).expand(1, 2, *[12] * len(layout.axes))
        with torch.no_grad():
            latent = module(grid).mean
        for plane, names in zip(latent, layout.planes, strict=True):
            for place, name in enumerate(names):
                # The convolutions pad with zeros, so only cells away from the border are compared.
                inner = plane[(slice(None), slice(None), *[slice(4, 8)] * len(names))]
                spread = inner.std(dim=-1 - place).max()
                assert (spread > 1e-3) == (name == axis), (axis, names, name)


def test_log_variance_is_bounded_for_any_signal():
    layout = LAYOUTS["line"]
    posterior = perturbed(encoder(layout), scale=50.0)(1e4 * signal(layout, {"t": 16}))
    for plane in posterior.log_variance:
        assert plane.min() >= -20
        assert plane.max() <= 10
    assert all(torch.isfinite(plane).all() for plane in posterior.sample(torch.Generator()))


def test_one_plane_of_one_stage_is_a_per_cell_projection_of_the_mean_over_the_other_axes():
    layout = LAYOUTS["apart"]
    module = perturbed(encoder(layout, config=EncoderConfig(widths=(8,)))).eval()
    grid = signal(layout, {"x": 4, "y": 5, "z": 6})
    with torch.no_grad():
        features = torch.nn.functional.silu(module.norm(module.stages(module.stem(grid))))
        head = module.heads[1]
        expected = head(features.mean(dim=(-1, -2))).chunk(2, dim=1)[0]
        torch.testing.assert_close(module(grid).mean[1], expected)


VIDEO = Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t")))


def built(**options):
    torch.manual_seed(0)
    return GridEncoder(lambda signal: signal, 3, VIDEO, 2, EncoderConfig(widths=(8,), **options))


@pytest.mark.parametrize("options", [{}, {"factorised": True}])
def test_patches_divide_each_axis_by_its_own_number(options):
    mean = built(patch=(2, 4, 3), **options)(torch.zeros(1, 3, 4, 8, 9)).mean
    assert [tuple(plane.shape[2:]) for plane in mean] == [(2, 3), (2, 2), (2, 3)]


def test_factorised_blocks_cost_less_than_half():
    full, factorised = (sum(p.numel() for p in built(factorised=f).stages.parameters()) for f in (False, True))
    assert factorised < full / 2


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        (VIDEO, {"patch": (2, 2)}, r"encoder.patch=\(2, 2\) needs one number for each of 3 axes"),
        (Layout(axes=("t",), planes=(("t",),)), {"factorised": True}, "requires a grid of three axes; this one has 1"),
    ],
)
def test_options_that_do_not_fit_the_axes_are_refused(layout, options, message):
    with pytest.raises(ValueError, match=message):
        GridEncoder(lambda signal: signal, 1, layout, 2, EncoderConfig(widths=(8,), **options))


def test_a_grid_of_four_axes_is_projected_to_its_planes():
    layout = Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("z", "t"), ("t",)))
    module = perturbed(encoder(layout, config=EncoderConfig(widths=(8, 16), patch=(1, 2, 1, 2))))
    mean = module(signal(layout, {"x": 8, "y": 4, "z": 6, "t": 3})).mean
    # Cells along (t, z, y, x) after the patch: (3, 3, 4, 4); after the second stage: (2, 2, 2, 2).
    assert [tuple(plane.shape) for plane in mean] == [(2, 3, 2, 2), (2, 3, 2, 2), (2, 3, 2)]
    sum(plane.square().sum() for plane in mean).backward()
    untouched = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert untouched == []


def test_planes_over_other_axes_than_the_grid_s_are_refused():
    sphere = Layout(
        axes=("lon", "lat"),
        planes=(("x", "y"), ("y", "z")),
        embedding=Embedding(axes=("x", "y", "z"), function="maps:on_the_sphere"),
    )
    with pytest.raises(ValueError, match=r"span other axes \(x, y, z\). Fix: use EmbeddedGridEncoder"):
        encoder(sphere)


def test_blocks_and_attention_take_grids_of_four_axes():
    layout = Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("z", "t")))
    module = perturbed(encoder(layout, config=FULL))
    mean = module(signal(layout, {"x": 4, "y": 5, "z": 6, "t": 3})).mean
    assert [tuple(plane.shape) for plane in mean] == [(2, 3, 2, 1), (2, 3, 1, 2)]


def test_planes_of_a_grid_encoder_cannot_be_joined():
    with pytest.raises(ValueError, match=r"encoder.joined = true joins planes, but this encoder works on.*Fix"):
        encoder(LAYOUTS["tri-plane"], config=EncoderConfig(widths=(8,), joined=True))


@pytest.mark.parametrize(("value", "bound"), [(1e3, 10.0), (-1e3, -20.0), (4.0, 4.0)])
def test_log_variances_lie_between_minus_20_and_10(value, bound):
    posterior = posterior_of_heads(encoder(LAYOUTS["mixed"]), signal(LAYOUTS["mixed"], {"x": 4, "y": 5, "z": 6}), value)
    for mean, log_variance in zip(posterior.mean, posterior.log_variance, strict=True):
        assert mean.eq(value).all()
        assert log_variance.eq(bound).all()


@pytest.mark.parametrize(("transition", "widths"), [("convolution", (10, 12)), ("block", (8, 10))])
def test_a_transition_by_a_block_keeps_the_width_while_the_grid_is_halved(transition, widths):
    torch.manual_seed(0)
    config = EncoderConfig(widths=(8, 10, 12), transition=transition)
    module = GridEncoder(lambda given: given, 2, LAYOUTS["plane"], 3, config)
    halving = [layer for layer in module.modules() if getattr(layer, "stride", (1,)) == (2, 2)]
    assert tuple(layer.out_channels for layer in halving) == widths
    assert module(torch.randn(1, 2, 8, 12)).mean[0].shape == (1, 3, 2, 3)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_rolling_a_periodic_axis_rolls_the_latent(axis):
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),), periodic=(axis,))
    torch.manual_seed(0)
    module = GridEncoder(lambda given: given, 2, layout, 3, EncoderConfig(widths=(8, 8), middle=True))
    grid, dim = signal(layout, {"x": 8, "y": 12}, batch=1), -1 - layout.axes.index(axis)
    with torch.no_grad():
        before, after = module(grid).mean[0], module(grid.roll(4, dims=dim)).mean[0]
    torch.testing.assert_close(after, before.roll(2, dims=dim), atol=1e-5, rtol=1e-4)

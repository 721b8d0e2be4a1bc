"""Scale equivariance of every layout: zero for decoders that commute with averages over blocks, else positive."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch import nn

from ddmi_core.api import BasisFieldDecoder, Layout, Planes, Queries
from ddmi_core.autoencoder.config import PerceptualConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.equivariance import averaged, block_sizes, scale_error
from ddmi_core.draws import BatchGenerator
from ddmi_core.errors import ConfigError
from ddmi_core.fields.layout import Embedding
from ddmi_core.fields.readout import ReadoutConfig
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import StepContext, generator_for
from plane_layouts import LAYOUTS, perturbed

WHOLE = "ddmi_core.fields.embeddings:"
EVERY = LAYOUTS | {
    "periodic": Layout(axes=("x", "y"), planes=(("y", "x"), ("x",)), periodic=("x",)),
    "footprint": Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",)),
    "sphere": Layout(
        axes=("lon", "lat"),
        planes=(("x", "y"), ("y", "z"), ("x", "z")),
        embedding=Embedding(axes=("x", "y", "z"), function=f"{WHOLE}sphere"),
    ),
    "hemispheres": Layout(
        axes=("lon", "lat"),
        planes=(("u", "v"), ("b", "a")),
        embedding=Embedding(
            axes=("u", "v", "a", "b"), function=f"{WHOLE}hemispheres", weights=f"{WHOLE}hemisphere_weights"
        ),
    ),
}
every_layout = pytest.mark.parametrize("layout", EVERY.values(), ids=EVERY)
every_step = pytest.mark.parametrize("step", range(3))


class Straight(BasisFieldDecoder):
    """Basis fields of one scale: the latent to a power."""

    channels = (2,)

    def __init__(self, power: int) -> None:
        super().__init__()
        self.power = power

    def forward(self, latent: Planes) -> tuple[Planes, ...]:
        return (latent.map(lambda plane: plane**self.power),)


class Linear(nn.Module):
    """A readout that is linear in the embedding."""

    config = ReadoutConfig()

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight = nn.Parameter(scale * torch.eye(2))

    def forward(self, embeddings: list[torch.Tensor], extra: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.head(embeddings[0])
        return values


def straight(layout: Layout, power: int, scale: float = 1.0) -> D2CVAE:
    model = D2CVAE(nn.Identity(), Straight(power), layout, 2, ReadoutConfig())
    model.readout = Linear(scale)
    return model


def latents(layout: Layout, batch: int = 3) -> Planes:
    """Random planes with 4 or 12 cells along their axes."""
    lengths = {axis: (12, 4)[number % 2] for number, axis in enumerate(layout.plane_axes)}
    generator = torch.Generator().manual_seed(0)
    grids = ([lengths[axis] for axis in reversed(plane)] for plane in layout.planes)
    return Planes(torch.randn(batch, 2, *grid, generator=generator) for grid in grids)


def queries(layout: Layout, batch: int = 3) -> Queries:
    columns = torch.zeros(batch, 5, len(layout.extra))
    return Queries(torch.zeros(batch, 5, len(layout.axes)), columns, torch.zeros(batch, 5, 2))


def error(model: D2CVAE, latent: Planes, step: int = 0, generator: torch.Generator | None = None) -> torch.Tensor:
    generator = generator or torch.Generator().manual_seed(1)
    asked = queries(model.layout, len(latent[0]))
    return scale_error(model, latent, model.decode(latent), asked, step, 512, generator)


@every_layout
@every_step
def test_a_decoder_that_commutes_with_averages_has_no_error(layout, step):
    assert error(straight(layout, 1), latents(layout), step) < 1e-5


@every_layout
@every_step
def test_a_decoder_that_does_not_has_one(layout, step):
    assert error(straight(layout, 2), latents(layout), step) > 0.01


def test_the_error_is_the_difference_of_the_values():
    """Cells of 3 and -3 have the mean 0 and the mean square 9."""
    latent = Planes([torch.tensor([3.0, -3.0] * 4).expand(1, 2, 8)])
    torch.testing.assert_close(error(straight(LAYOUTS["line"], 2), latent), torch.tensor(9.0))


def test_errors_are_relative_to_the_spread_of_large_values():
    latent = latents(LAYOUTS["plane"]).map(lambda plane: 10 * plane)
    small, large = (error(straight(LAYOUTS["plane"], 2, scale), latent) for scale in (1.0, 50.0))
    torch.testing.assert_close(small, large)


def test_blocks_divide_the_cells_of_an_axis_on_all_planes():
    layout = LAYOUTS["tri-plane"]
    planes = Planes([torch.zeros(1, 1, 8, 12), torch.zeros(1, 1, 5, 8), torch.zeros(1, 1, 5, 6)])
    assert block_sizes(planes, layout) == [(2, 2, 1), (3, 1, 1), (1, 4, 1)]
    assert [plane.shape[2:] for plane in averaged(planes, layout, (3, 1, 1))] == [(8, 4), (5, 8), (5, 2)]


def test_a_latent_without_blocks_is_refused_with_its_cells():
    latent = Planes([torch.zeros(1, 2, 5, 7)])
    with pytest.raises(ConfigError, match=r"autoencoder\.equivariance cannot act: .* cells x: 7, y: 5, .*Fix: "):
        error(straight(LAYOUTS["plane"], 1), latent)


def test_the_average_of_the_whole_field_gets_no_gradient():
    model = straight(LAYOUTS["plane"], 2)
    latent = latents(model.layout)
    whole = latent.map(lambda plane: plane.clone().requires_grad_())
    reduced = latent.map(lambda plane: plane.clone().requires_grad_())
    asked = queries(model.layout)
    scale_error(model, reduced, model.decode(whole), asked, 0, 64, torch.Generator()).backward()
    assert whole[0].grad is None
    assert reduced[0].grad.abs().sum() > 0


def test_blocks_of_a_signal_do_not_depend_on_how_a_batch_is_divided():
    model, latent = straight(LAYOUTS["plane"], 2), latents(LAYOUTS["plane"], 12)
    whole = error(model, latent, generator=BatchGenerator(0, 3, "step"))
    parts = [
        error(
            model, latent.map(lambda plane, first=first: plane[first : first + 6]), 0, BatchGenerator(first, 3, "step")
        )
        for first in (0, 6)
    ]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


SMALL = {
    "image": ("domain.size=16", "domain.limit=24"),
    "nerf": ("domain.count=8", "domain.views=4", "domain.shown=2", "domain.held_views=1", "domain.size=8"),
    "occupancy": ("domain.count=8", "domain.surface=64", "domain.points=128", "domain.plane=8", "domain.resolution=8"),
    "video": ("domain.count=10", "domain.frames=4", "domain.size=8", "domain.rate=4", "domain.held_out=0.3"),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_term_reaches_encoder_decoder_and_readout_of_every_domain(name):
    domain = domain_named(name)
    config = resolve(domain, overrides=(*SMALL[name], "autoencoder.points=64"))
    vae = evolve(config.autoencoder, equivariance=1.0, kl=0.0, perceptual=PerceptualConfig(kind="none"))
    config = evolve(config, autoencoder=vae)
    parts = build_parts(domain, config.domain)
    model = perturbed(build_autoencoder(parts, config), scale=0.02)
    main = autoencoder_objectives(parts, config, model, load_data(parts, ""))["autoencoder"]
    context = StepContext(0, (0, 1), generator_for(0, "test"), torch.device("cpu"))
    term = dict(main(context).parts)["equivariance"]
    assert term > 0
    term.backward()
    for part in (model.encoder, model.decoder, model.readout):
        assert sum(float(weight.grad.abs().sum()) for weight in part.parameters() if weight.grad is not None) > 0

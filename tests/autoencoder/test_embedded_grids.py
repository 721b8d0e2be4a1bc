"""The encoder of grids with an embedding: what it spreads, and that it has no seam."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.api import Layout
from ddmi_core.autoencoder.config import DecoderConfig, EncoderConfig
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.autoencoder.embedded_grids import EmbeddedGridEncoder, plane_cells, spread
from ddmi_core.fields.layout import Embedding
from plane_layouts import LAYOUTS, perturbed

MAPS = "ddmi_core.fields.embeddings"
EMBEDDED = {
    "hemispheres": Layout(
        axes=("lon", "lat"),
        planes=(("u", "v"), ("a", "b")),
        embedding=Embedding(("u", "v", "a", "b"), f"{MAPS}:hemispheres", f"{MAPS}:hemisphere_weights"),
    ),
    "sphere": Layout(
        axes=("lon", "lat"),
        planes=(("x", "y"), ("y", "z"), ("x", "z")),
        embedding=Embedding(("x", "y", "z"), f"{MAPS}:sphere"),
    ),
    "ring in time": Layout(
        axes=("angle", "t"),
        planes=(("x", "y"), ("x", "t"), ("t",)),
        periodic=("t",),
        embedding=Embedding(("x", "y", "t"), f"{MAPS}:circle"),
    ),
}
embedded = pytest.mark.parametrize("layout", EMBEDDED.values(), ids=EMBEDDED)
CONFIG = EncoderConfig(widths=(8, 12, 16))


def encoder(layout: Layout) -> EmbeddedGridEncoder:
    torch.manual_seed(0)
    return perturbed(EmbeddedGridEncoder(lambda signal: signal, 2, layout, 3, CONFIG)).eval()


def signal(batch: int = 2, rows: int = 12, columns: int = 24) -> torch.Tensor:
    return torch.randn(batch, 2, rows, columns, generator=torch.Generator().manual_seed(1))


@embedded
def test_a_decoder_takes_the_latent_and_gradients_reach_all_weights(layout):
    module = encoder(layout)
    decoder = perturbed(PlaneDecoder(layout, 3, DecoderConfig(widths=(16, 12, 8), basis=(4, 4))))
    posterior = module(signal())
    basis = decoder(posterior.mean)
    cells = plane_cells(layout, 12 * 24, 4)
    assert [plane.shape[2:] for plane in basis[-1]] == [(cells,) * len(plane) for plane in layout.planes]
    loss = sum(plane.square().sum() for plane in (*basis[0], *basis[1], *posterior.log_variance))
    loss.backward()
    weights = [*module.named_parameters(), *decoder.named_parameters()]
    assert [name for name, weight in weights if weight.grad is None or not weight.grad.any()] == []


@embedded
def test_signals_of_a_batch_are_encoded_alone(layout):
    with torch.no_grad():
        together, alone = encoder(layout)(signal(3)).mean, encoder(layout)(signal(3)[1:2]).mean
    for plane, single in zip(together, alone, strict=True):
        torch.testing.assert_close(plane[1:2], single, atol=1e-5, rtol=1e-4)


class Values(torch.nn.Module):
    """The values of points without their places."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[..., :2]


def test_a_sphere_turned_by_half_a_turn_has_maps_turned_by_half_a_turn():
    """Half a turn maps the cells of each plane to cells; a seam of the spreading would show in the difference."""
    module = EmbeddedGridEncoder(lambda signal: signal, 2, EMBEDDED["hemispheres"], 3, CONFIG)
    module.points = Values()
    turned, still = module.planes(signal().roll(12, dims=-1)), module.planes(signal())
    for there, here in zip(turned, still, strict=True):
        torch.testing.assert_close(there, here.flip(2, 3), atol=1e-3, rtol=1e-3)


def test_a_cell_has_the_weighted_mean_of_the_points_around_it():
    places = torch.tensor([[-0.75], [-0.5], [0.25]])  # cells at -0.75, -0.25, 0.25 and 0.75
    rows = torch.tensor([[[2.0], [6.0], [10.0]]])
    found = spread(rows, places, torch.tensor([1.0, 2.0, 1.0]), (4,), (False,))
    # The second point lies halfway between the first two cells, with a weight of 2.
    torch.testing.assert_close(found, torch.tensor([[[4.0, 6.0, 10.0, 0.0]]]))


def test_points_of_weight_zero_have_no_influence():
    places = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = torch.randn(1, 50, 3, generator=torch.Generator().manual_seed(1))
    weights = (torch.arange(50) < 20).float()
    part = spread(rows[:, :20], places[:20], weights[:20], (5, 6), (False, True))
    torch.testing.assert_close(spread(rows, places, weights, (5, 6), (False, True)), part)


@pytest.mark.parametrize("wraps", [False, True])
def test_points_at_the_border_reach_the_other_end_of_a_periodic_axis_alone(wraps):
    found = spread(torch.ones(1, 1, 1), torch.tensor([[1.0]]), torch.ones(1), (4,), (wraps,))
    assert found.flatten().tolist() == [float(wraps), 0, 0, 1]


def test_planes_have_about_as_many_cells_as_the_grid():
    for layout in (*EMBEDDED.values(), *LAYOUTS.values()):
        found = plane_cells(layout, 64 * 128)
        most = max(map(len, layout.planes))
        count = sum(found**most for plane in layout.planes if len(plane) == most)
        used = 2 / 3 if layout.embedding is not None and most == 2 else 1
        assert count * used == pytest.approx(64 * 128, rel=0.03)
        assert plane_cells(layout, 64 * 128, 16) % 16 == 0
        assert plane_cells(layout, 1, 16) == 16


def test_a_layout_without_an_embedding_is_refused():
    with pytest.raises(ValueError, match="Fix: use GridEncoder"):
        EmbeddedGridEncoder(lambda signal: signal, 2, LAYOUTS["plane"], 3, CONFIG)


@pytest.mark.parametrize("wraps", [False, True])
def test_a_place_that_is_not_a_number_gives_means_that_are_none(wraps):
    rows, places = torch.ones(1, 2, 1), torch.tensor([[0.5], [float("nan")]])
    means = spread(rows, places, torch.ones(2), (4,), (wraps,))
    assert means.shape == (1, 1, 4)
    assert bool(means.isnan().any())


def test_the_mean_of_a_cell_fades_below_a_weight_of_a_hundredth():
    centre, rows = torch.tensor([[-0.5]]), torch.tensor([[[3.0]]])  # the first of two cells
    for weight, share in ((1.0, 1.0), (0.01, 1.0), (0.005, 0.5), (0.0, 0.0)):
        found = spread(rows, centre, torch.tensor([weight]), (2,), (False,))
        torch.testing.assert_close(found, torch.tensor([[[3.0 * share, 0.0]]]))


def test_the_last_feature_of_a_cell_tells_whether_it_has_points():
    for plane in encoder(EMBEDDED["sphere"]).planes(signal(batch=1, rows=40, columns=80)):
        present = plane[0, -1]
        assert ((present - 1).abs() < 1e-5).logical_or(present < 1).all()
        corner, middle = present[0, 0], present[len(present) // 2, len(present) // 2]
        assert corner == 0  # outside of the disc
        assert middle.item() == pytest.approx(1)


@pytest.mark.parametrize(("cells", "step", "each"), [(10, 1, 10), (10, 4, 8), (1, 4, 4)])
def test_a_line_has_the_cells_of_the_grid_in_whole_steps(cells, step, each):
    assert plane_cells(LAYOUTS["line"], cells, step) == each

"""Measurements at irregular places: padding, queries, and originals on grids."""

from __future__ import annotations

import pytest
import torch
from attrs import frozen
from PIL import Image

from ddmi_core.api import Domain, Field, Layout, Observations, Planes
from ddmi_core.fields.layout import Embedding
from ddmi_core.parts import (
    AutoencoderConfig,
    CoarseToFineReadout,
    DecoderConfig,
    EncoderConfig,
    PointDomain,
    PointSampler,
    PointSignal,
    ReadoutConfig,
)
from ddmi_core.parts.point_domain import nearest_values, rmse

LINE = Layout(axes=("t",), planes=(("t",),))
MAP = Layout(axes=("lon", "lat"), planes=(("lon", "lat"),), periodic=("lon",), extra=("footprint",))
RING = Layout(
    axes=("t",), planes=(("x",), ("y",)), embedding=Embedding(("x", "y"), "ddmi_core.fields.embeddings:circle")
)
CONFIG = AutoencoderConfig(
    latent_channels=3, encoder=EncoderConfig(widths=(8, 8)), decoder=DecoderConfig(widths=(8, 8), basis=(4, 4))
)


@frozen
class Settings:
    native: tuple[int, ...] = (16,)


class Stations(PointDomain[Settings]):
    def sources(self):
        return {}

    def read(self, path):
        raise NotImplementedError

    def picture(self, artefact):
        raise NotImplementedError


def parts(layout: Layout) -> Stations:
    domain = Domain(
        name="stations", summary="", layout=layout, values=("u", "v"), implementation=Stations, api_version=1
    )
    return Stations(domain, Settings((16,) if len(layout.axes) == 1 else (8, 12)))


def row(count: int, axes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, axes, generator=generator) - 1, 2 * torch.rand(count, 2, generator=generator) - 1


def signal(axes: int) -> PointSignal:
    return PointSignal.padded([row(7, axes, 1), row(20, axes, 2), row(1, axes, 3)])


def test_padding_has_weight_zero_and_measurements_keep_theirs():
    found = PointSignal.padded([row(3, 1), row(5, 1)], [torch.tensor([1.0, 2, 3]), torch.ones(5)])
    assert found.weights.tolist() == [[1, 2, 3, 0, 0], [1, 1, 1, 1, 1]]
    assert torch.equal(found.coords[0, :3], row(3, 1)[0])


@pytest.mark.parametrize(
    "rows", [[], [row(0, 1)], [(torch.zeros(3, 1), torch.zeros(2, 1))]], ids=["none", "empty", "odd"]
)
def test_signals_without_measurements_are_refused(rows):
    with pytest.raises(ValueError, match="requires a measurement or more"):
        PointSignal.padded(rows)


@pytest.mark.parametrize("layout", [LINE, MAP, RING], ids=["line", "map", "ring"])
def test_the_parts_work_together_and_padding_has_no_influence(layout):
    own, both = parts(layout), signal(len(layout.axes))
    torch.manual_seed(0)
    encoder, decoder = own.encoder(CONFIG), own.decoder(CONFIG)
    readout = CoarseToFineReadout(decoder.channels, len(layout.extra), 2, ReadoutConfig(width=8))
    with torch.no_grad():
        posterior = encoder(both)
        alone = encoder(PointSignal.padded([row(7, len(layout.axes), 1)])).mean
        field = Field(decoder(posterior.mean), readout, layout)
    for plane, single in zip(posterior.mean, alone, strict=True):
        torch.testing.assert_close(plane[:1], single, atol=1e-5, rtol=1e-4)
    queries = own.sampler.sample(both, 40, torch.Generator().manual_seed(0))
    assert own.renderer.observe(field, queries).shape == queries.targets.shape == (3, 40, 2)
    assert own.metrics()["rmse"](field, both, own.renderer).shape == (3,)
    assert own.field_features(field).shape == own.signal_features(both).shape


def test_queries_are_measurements_with_their_values_and_never_padding():
    own = signal(1)
    queries = PointSampler().sample(own, 200, torch.Generator().manual_seed(0))
    for number, count in enumerate((7, 20, 1)):
        pairs = {
            (c, u, v)
            for c, (u, v) in zip(
                own.coords[number, :count, 0].tolist(), own.values[number, :count].tolist(), strict=True
            )
        }
        drawn = set(zip(queries.coords[number, :, 0].tolist(), *queries.targets[number].t().tolist(), strict=True))
        assert drawn == pairs
    assert (queries.weights == 1).all()


def test_places_are_the_measurements_or_a_random_part_of_them():
    one = PointSignal.padded([row(20, 1, 2)])
    sampler, generator = PointSampler(), torch.Generator().manual_seed(0)
    assert torch.equal(sampler.places(one, 50, generator).coords, one.coords)
    some = sampler.places(one, 6, generator).coords[0, :, 0]
    assert len(set(some.tolist()) & set(one.coords[0, :, 0].tolist())) == 6


def test_rmse_has_the_weights_of_the_measurements():
    own, layout = signal(1), LINE
    readout = CoarseToFineReadout((1,), 0, 2, ReadoutConfig(width=4))
    with torch.no_grad():
        readout.head.weight.zero_()
        readout.head.bias.copy_(torch.tensor([0.25, -0.5]))
    field = Field((Planes([torch.zeros(3, 1, 4)]),), readout, layout)
    expected = [
        (own.values[i, :count] - torch.tensor([0.25, -0.5])).square().mean().sqrt()
        for i, count in enumerate((7, 20, 1))
    ]
    torch.testing.assert_close(rmse(field, own, parts(LINE).renderer), torch.stack(expected))


@pytest.mark.parametrize("layout", [LINE, MAP], ids=["line", "map"])
def test_the_nearest_measurement_is_found_by_brute_force(layout, monkeypatch):
    monkeypatch.setattr("ddmi_core.parts.point_domain.PAIRS", 50)  # several parts
    own, native = signal(len(layout.axes)), parts(layout).native
    grids, cells = nearest_values(own, layout, native)
    for number, count in enumerate((7, 20, 1)):
        for index in torch.cartesian_prod(*[torch.arange(n) for n in native]).view(-1, len(native)).tolist():
            distances = []
            for coords in own.coords[number, :count].tolist():
                steps = []
                for axis, (place, n) in enumerate(zip(coords, native[::-1], strict=True)):
                    step = abs((2 * index[::-1][axis] + 1) / n - 1 - place)
                    steps.append((min(step, 2 - step) if layout.wraps[axis] else step) * n / 2)
                distances.append(sum(step**2 for step in steps) ** 0.5)
            best = min(distances)
            assert cells[(number, *index)].item() == pytest.approx(best, abs=1e-4)
            assert torch.equal(grids[(number, slice(None), *index)], own.values[number, distances.index(best)])


def test_an_original_is_unknown_where_no_measurement_is_near():
    one = PointSignal.padded([(torch.tensor([[-0.97], [0.9]]), torch.tensor([[0.1, 0.2], [0.3, 0.4]]))])
    grid = parts(LINE).ground_truth(one, 0).array()
    assert grid[:2].tolist() == [pytest.approx([0.1, 0.2])] * 2
    assert torch.from_numpy(grid[3:12]).isnan().all()
    assert grid[-1].tolist() == pytest.approx([0.3, 0.4])


def test_a_contact_sheet_shows_the_observed_measurements_alone():
    drawn = []

    class Told(Stations):
        def picture(self, artefact):
            drawn.append(artefact)
            return Image.new("1", (1, 1))

    told = Told(parts(LINE).domain, Settings((16,)))
    one = PointSignal.padded([row(20, 1, 2)])
    seen = Observations.at(one.coords[0, :3], one.values[0, :3])
    rows = told.contact_sheet(one, seen, None, ["completion"])
    original, observed, completion = drawn
    few = PointSignal(one.coords[:, :3], one.values[:, :3], one.weights[:, :3])
    assert torch.equal(
        torch.from_numpy(observed.array()).isnan(), torch.from_numpy(told.ground_truth(few, 0).array()).isnan()
    )
    assert not torch.equal(torch.from_numpy(observed.array()).isnan(), torch.from_numpy(original.array()).isnan())
    assert completion == "completion"
    assert [len(row) for row in rows.values()] == [1, 1, 1]

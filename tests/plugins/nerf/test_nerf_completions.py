"""Fields that agree with one picture of an object: which rays are observed, and what is written."""

import json

import numpy as np
import pytest
import torch
from attrs import evolve
from nerf_files import blender
from nerf_scenes import seen
from PIL import Image
from typer.testing import CliRunner

from ddmi_core.api import Observations
from ddmi_core.cli.main import app
from ddmi_core.completion import metrics
from ddmi_core.completion import solve as complete
from ddmi_core.diffusion.latents import LatentShape, Normalisation
from ddmi_core.errors import DataError
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.model.model import Model
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import turned
from ddmi_nerf.data.folder import read
from ddmi_nerf.evaluation.contact_sheet import contact_sheet
from ddmi_nerf.plugin import NERF
from ddmi_nerf.rendering.ray_sampler import MOST_OF_VIEW, RaySampler, pixel_rays

SMALL = (
    "domain.size=24",
    "domain.plane=16",
    "domain.points=64",
    "autoencoder.encoder.widths=[8, 8]",
    "autoencoder.decoder.widths=[8, 8]",
    "autoencoder.decoder.basis=[8, 8]",
    "autoencoder.readout.width=16",
    "diffusion.denoiser.width=16",
    "diffusion.denoiser.multipliers=[1]",
    "diffusion.condition=none",
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def signal():
    """Two views of some solids, the first of which looks past the cube at its sides."""
    fields = (60, 38)
    cameras = [
        Camera.orbit(110 * i, 20, 2.6, width=32, height=24, field_of_view=angle) for i, angle in enumerate(fields)
    ]
    return evolve(seen(cameras), points=torch.zeros(1, 0, 3), point_colours=torch.zeros(1, 0, 3))


def pixels_of(places, signal):
    """Numbers of views, rows and columns."""
    height, width = signal.images.shape[-2:]
    row = ((places.row[0] + 1) * height / 2 - 0.5).round().long()
    column = ((places.column[0] + 1) * width / 2 - 0.5).round().long()
    return places.view[0].long(), row, column


def test_places_are_the_pixels_that_their_labels_name(signal):
    places = RaySampler().places(signal, 10**6, generator())
    view, row, column = pixels_of(places, signal)
    assert torch.equal(places.targets[0], signal.images[0].movedim(1, -1)[view, row, column])
    coords, directions, crosses = pixel_rays(signal, 0)
    number = (view * 24 + row) * 32 + column
    assert torch.equal(places.coords[0], coords[number])
    assert torch.equal(places.extra[0], directions[number])
    assert len(number.unique()) == len(number) == int(crosses.sum())  # few enough for all
    assert not crosses.all()
    assert crosses[number].all()


def test_few_places_are_mostly_on_the_object_and_near_it(signal):
    most = 300
    places = RaySampler().places(signal, most, generator())
    view, row, column = pixels_of(places, signal)
    assert len(view) == most
    assert view.bincount().tolist() == [most // 2] * 2
    object_ = signal.opacity[0, :, 0] > 0.01
    shown = object_[view, row, column]
    assert 0.6 < shown[view == 1].float().mean() <= 0.76
    other = torch.stack([row, column], dim=1)[(view == 1) & ~shown]
    apart = (other[:, None] - object_[1].nonzero()).abs().amax(dim=2).amin(dim=1)
    assert 0.6 < (apart <= 32 // 12).float().mean() < 0.72
    assert apart.max() > 4
    again, other = (RaySampler().places(signal, most, generator(seed)) for seed in (0, 1))
    assert torch.equal(again.coords, places.coords)
    assert not torch.equal(other.coords, places.coords)


def test_a_large_view_gives_no_more_places_than_are_worth_their_time(signal):
    large = evolve(
        signal,
        images=signal.images.repeat_interleave(4, 3).repeat_interleave(4, 4),
        opacity=signal.opacity.repeat_interleave(4, 3).repeat_interleave(4, 4),
        intrinsics=4 * signal.intrinsics,
    )
    sampler = RaySampler()
    places = sampler.places(large, sampler.most_places, generator())
    assert places.view[0].long().bincount().tolist() == [MOST_OF_VIEW] * 2


def test_cameras_that_look_away_have_no_places(signal):
    away = signal.to_world.clone()
    away[..., :3, :3] *= torch.tensor([-1.0, 1.0, -1.0], dtype=away.dtype)
    with pytest.raises(DataError, match="shows the cube"):
        RaySampler().places(evolve(signal, to_world=away), 10, generator())


@pytest.fixture(scope="module")
def model(signal) -> Model:
    """One without training, whose fields can be fitted a little."""
    config = resolve(NERF, overrides=SMALL)
    parts = build_parts(NERF, config.domain)
    autoencoder = build_autoencoder(parts, config).eval().requires_grad_(False)
    points = torch.rand(1, 64, 3, generator=generator())
    shape = LatentShape.of(autoencoder.encode(evolve(signal, points=points, point_colours=points)).mean)
    diffusion = build_diffusion(NERF, config, shape, 0).eval().requires_grad_(False)
    length = shape.length
    parts.renderer.step = 0.1  # fog takes time
    return Model(
        parts=parts,
        config=config,
        autoencoder=autoencoder,
        diffusion=diffusion,
        normalisation=Normalisation(torch.zeros(length), torch.ones(length)),
        classes=(),
        counts=(),
        vectors=torch.zeros(0, 0),
        device=torch.device("cpu"),
    )


def test_completions_come_nearer_to_an_observed_view_than_samples(model, tmp_path):
    whole = model.observations(read(blender(tmp_path / "a", count=4), model.config.domain))
    assert whole.values.shape[1] == 3
    first = whole.queries.view[0] == 0
    known = whole.kept(first)
    fields, free = model.complete(known, 1, steps=3, noise=0.02), model.sample(1, steps=2)
    assert metrics.scores(model.measurement, fields, known)[0] > 1 + metrics.scores(model.measurement, free, known)[0]


def test_rays_from_a_program_are_observations_too(model, signal):
    queries = RaySampler().places(signal, 50, generator())
    known = Observations(queries, queries.targets[0])
    assert model.measurement.accept(known).values.shape == (50, 3)


def test_the_command_completes_an_object_that_is_known_by_one_picture(model, tmp_path, monkeypatch, caplog):
    folder = blender(tmp_path / "a")
    path = folder / "transforms.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "frames": content["frames"][:1]}))
    monkeypatch.setattr("ddmi_core.cli.model_source.check_run", lambda run: None)
    monkeypatch.setattr("ddmi_core.cli.model_source.ModelSource.load", lambda source: model)
    monkeypatch.setattr(complete, "EVALUATIONS", 2)
    monkeypatch.setattr(complete, "REFINE", (0.3, 3))
    rest = ["--observe", "view=0", "-n", "2", "--steps", "1", "--json", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["complete", "run", str(folder), *rest])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert "give more views" in caplog.text
    assert figures["observed_reconstruction"] is None
    assert figures["hidden"] == []
    assert len(figures["observed"]) == 2
    names = {"completion-0000.png", "completion-0001.png", "original.png", "contact.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_completions_are_shown_from_the_observed_cameras_and_from_behind(model, signal):
    queries = RaySampler().places(signal, 10**6, generator())
    keep = (queries.view[0] == 1) & (queries.row[0] < 0)
    known = Observations(queries, queries.targets[0]).kept(keep)
    fields = model.sample(2, steps=2)
    first, *rows = contact_sheet(signal, known.queries, fields, model.renderer).values()
    assert [len(row) for row in (first, *rows)] == [1, 2, 2]
    assert first[0].size == (32, 24)
    shown = np.asarray(first[0])
    wanted = ((signal.images[0, 1].movedim(0, -1).numpy() + 1) * 127.5).clip(0, 255)
    np.testing.assert_allclose(shown[6:12, 8:24], wanted[6:12, 8:24], atol=1)
    assert (shown[12:] == 128).all()
    camera = turned(signal.camera(0, 1), 180)
    camera = camera.resized(rows[1][1].width, rows[1][1].height)
    picture = model.render(fields[1], camera)
    assert Image.fromarray(picture.pixels()).tobytes() == rows[1][1].tobytes()
    assert min(rows[0][0].size) >= 128

"""Fields that agree with observations, from a program and as files, on domains with one axis and with three."""

import json

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image
from torch.nn import functional
from typer.testing import CliRunner

from ddmi_core.api import Observations
from ddmi_core.api.evaluation import Figure
from ddmi_core.api.interfaces import CoordinateSampler
from ddmi_core.api.signals import Queries
from ddmi_core.cli.main import app
from ddmi_core.completion import measurement, metrics, solve
from ddmi_core.errors import RequestError
from ddmi_core.model.data import load_data
from ddmi_core.model.model import Model
from ddmi_core.runs.complete import Request, complete_files, declares_likelihood
from ddmi_core.runs.generate import HIGHER
from ddmi_core.settings.config import Export
from variants import model_variant, returning


@pytest.fixture
def wave(models) -> Model:
    return models["wave"]


@pytest.fixture
def few(monkeypatch) -> None:
    monkeypatch.setattr(solve, "EVALUATIONS", 4)


def known(model: Model, most: int = 512) -> Observations:
    signal = load_data(model.parts, "").held_out.batch([0])
    return model.observations(signal, most)


def half(model: Model) -> tuple[Observations, Observations]:
    whole = known(model)
    keep = whole.queries.coords[0, :, 0] < 0
    return whole.kept(keep), whole.kept(~keep)


def basis(fields) -> torch.Tensor:
    return torch.cat([plane.flatten(1) for scale in fields.basis for plane in scale], dim=1)


def test_completions_agree_with_what_was_observed_far_better_than_samples(model):
    seen, _ = half(model)
    fields = model.complete(seen, 2, steps=6)
    free = model.sample(2)
    assert min(metrics.scores(model.measurement, fields, seen)) > 3 + max(metrics.scores(model.measurement, free, seen))


def test_hidden_places_differ_more_between_seeds_than_observed_ones(wave):
    seen, rest = half(wave)
    fields = wave.complete(seen, 3, steps=6)
    assert metrics.spread(wave.measurement, fields, rest) > 2 * metrics.spread(wave.measurement, fields, seen) > 0


def test_completion_i_depends_on_the_seed_and_i_alone(model, few):
    seen, _ = half(model)
    two, three, other = (model.complete(seen, n, seed=seed, steps=3) for n, seed in ((2, 5), (3, 5), (2, 6)))
    assert torch.equal(basis(two), basis(three)[:2])
    assert not torch.allclose(basis(two), basis(other), atol=1e-3)
    assert not torch.allclose(basis(two)[0], basis(two)[1], atol=1e-3)


def test_more_noise_lets_fields_go_further_from_the_measurements(wave):
    seen, _ = half(wave)
    close, far = (
        sum(metrics.scores(wave.measurement, wave.complete(seen, 2, noise=noise, steps=6), seen))
        for noise in (0.02, 2.0)
    )
    assert close > far + 6


def test_what_fields_show_is_the_same_in_one_piece_and_in_several(model, monkeypatch):
    seen, _ = half(model)
    whole, pieces = [], []
    for found, points in ((whole, 10**6), (pieces, 37)):
        monkeypatch.setattr(measurement, "POINTS", points)
        latent = torch.zeros(2, model.shape.length, requires_grad=True)
        field = model.decode(model.shape.unpack(latent))
        shown = model.measurement.expected(field, seen, torch.sigmoid)
        found += [shown, torch.autograd.grad(shown.square().sum(), latent)[0]]
    torch.testing.assert_close(pieces, whole)


def test_means_over_coarse_cells_are_those_of_the_values_in_them(model):
    whole = known(model, most=10**5)
    axes, size = len(model.domain.layout.axes), model.renderer.native[0]
    coarse = metrics.with_cells(whole, (size // 4,) * axes)
    assert len(coarse) == (size // 4) ** axes
    torch.testing.assert_close(coarse.mean(whole.values[None])[0], coarse.values)
    grid = whole.values.reshape([size // 4, 4] * axes)
    torch.testing.assert_close(coarse.values.flatten(), grid.mean(dim=tuple(range(1, 2 * axes, 2))).flatten())


def test_a_coarse_grid_with_hardly_a_value_a_cell_is_refused(model):
    with pytest.raises(RequestError, match="is not coarse"):
        metrics.with_cells(known(model), (16,) * len(model.domain.layout.axes))


def test_every_native_cell_is_a_place_once_and_large_grids_give_some_of_them(model):
    signal = load_data(model.parts, "").held_out.batch([0])
    few_places = model.observations(signal, 10)
    every = model.observations(signal, 10**6)
    assert len(few_places) == 10
    assert len(every) == signal.values[0].numel()
    assert len(torch.unique(every.queries.coords[0], dim=0)) == len(every)
    cells = ((every.queries.coords[0] + 1) / 2 * signal.values.shape[-1]).long()
    torch.testing.assert_close(every.values[:, 0], signal.values[0, 0][tuple(cells.flip(1).unbind(1))])


def test_a_sampler_of_points_gives_each_of_its_places_once():
    class Points(CoordinateSampler):
        def sample(self, signal, n, generator):
            coords = signal[torch.randint(len(signal), (n,), generator=generator)][None]
            return Queries(coords, coords[..., :0], 2 * coords[..., :1])

    places = Points().places(torch.randn(5, 2), 100, torch.Generator().manual_seed(0))
    assert places.coords.shape == (1, 5, 2)
    torch.testing.assert_close(places.targets, 2 * places.coords[..., :1])


def test_labels_are_completed_by_their_own_likelihood_and_judged_by_their_overlap(wave):
    wave = model_variant(wave, likelihood=returning("bernoulli"))
    seen, _ = half(wave)
    labels = evolve(seen, values=(seen.values > 0).float())
    fields = wave.complete(labels, 2, steps=6)
    assert min(metrics.scores(wave.measurement, fields, labels)) > 0.7
    with pytest.raises(RequestError, match="out of range; values of this model lie from 0 to 1"):
        wave.complete(seen, 1)


def test_the_likelihood_of_a_domain_says_whether_its_values_are_labels(wave):
    assert not wave.measurement.bernoulli
    labelled = model_variant(wave, likelihood=returning("bernoulli"))
    assert labelled.measurement.bernoulli
    assert labelled.measurement.limits == (0.0, 1.0)
    assert model_variant(wave, limits=returning((-2.0, 3.0))).measurement.limits == (-2.0, 3.0)


def weighted(parts, values, targets):
    """A weighted cross entropy of logits, which is not the core's."""
    weight = torch.tensor(3.0)
    return functional.binary_cross_entropy_with_logits(values, targets, pos_weight=weight, reduction="none").mean(-1)


@pytest.mark.parametrize("declared", [True, False])
def test_a_loss_of_the_domains_own_is_scored_as_declared_and_a_default_is_named(declared, wave, tmp_path, few):
    members = {"likelihood": returning("bernoulli")} if declared else {}
    labelled = model_variant(wave, loss=weighted, **members)
    (tmp_path / "values.csv").write_text("t,height\n-0.5,1\n0.5,0\n")
    _, figures = complete_files(
        labelled, Request(values=tmp_path / "values.csv", n=1, steps=2), Export(out=tmp_path / "out")
    )
    assert figures.measure == ("iou" if declared else "psnr_db")
    assert figures.declared == declared
    assert ("likelihood: gaussian, for values from -1 to 1; this is the default" in figures.lines()[-1]) != declared


def test_a_domain_without_a_loss_of_its_own_needs_no_declaration(wave):
    assert declares_likelihood(wave.parts)
    assert declares_likelihood(model_variant(wave, likelihood=returning("bernoulli")).parts)
    assert not declares_likelihood(model_variant(wave, loss=weighted).parts)


def test_observations_that_do_not_fit_are_refused(wave):
    coords = torch.zeros(2, 1)
    with pytest.raises(RequestError, match="nothing is observed"):
        Observations.at(coords[:0], coords[:0])
    with pytest.raises(RequestError, match="do not match"):
        Observations.at(coords, coords[:1])
    with pytest.raises(RequestError, match="not all finite"):
        Observations.at(coords, coords / 0)
    with pytest.raises(RequestError, match=r"lie in \[-1, 1\]"):
        Observations.at(coords + 2, coords)
    with pytest.raises(RequestError, match="cells must refer to"):
        evolve(Observations.at(coords, coords), cells=torch.tensor([0, 0]))
    with pytest.raises(RequestError, match="2 coordinates; this model's have 1: t"):
        wave.complete(Observations.at(torch.zeros(2, 2), coords))
    with pytest.raises(RequestError, match="2 columns; this model's have 1: height"):
        wave.complete(Observations.at(coords, torch.zeros(2, 2)))
    with pytest.raises(RequestError, match="out of range"):
        wave.complete(Observations.at(coords, coords + 3))
    with pytest.raises(RequestError, match="at least 1"):
        wave.complete(Observations.at(coords, coords), 0)


@pytest.fixture
def wave_file(wave, tmp_path):
    signal = load_data(wave.parts, "").held_out.batch([0])
    np.save(tmp_path / "wave.npy", signal.values[0, 0].numpy())
    return tmp_path / "wave.npy"


def invoke(*arguments):
    return CliRunner().invoke(app, ["complete", *map(str, arguments)])


@pytest.mark.parametrize(
    "what",
    [["--observe", "t<0"], ["--hide", "t>-0.5"], ["--coarse", "4"], ["--observe", "t<-0.5", "--observe", "t>0.5"]],
)
def test_the_command_writes_completions_and_prints_how_they_agree(what, finished_runs, wave_file, tmp_path, few):
    out = tmp_path / "out"
    done = invoke(finished_runs["wave"], wave_file, *what, "-n", 2, "--steps", 3, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["measure"] == "psnr_db"
    assert len(figures["observed"]) == len(figures["hidden"]) == 2
    assert figures["observed_reconstruction"] is not None
    assert figures["spread"] > 0
    names = {"completion-0000.npy", "completion-0001.npy", "original.npy", "contact.png"}
    assert {path.name for path in out.iterdir()} == names
    assert sorted(figures["files"]) == sorted(str(out / name) for name in names)


def test_an_input_unlike_the_data_is_told_and_files_have_the_format_that_is_asked_for(wave, wave_file, tmp_path, few):
    name = next(iter(wave.parts.metrics()))
    best = 1e6 if name.endswith(HIGHER) else -1e6
    usual = Figure(f"reconstruction_{name}", best, {"n": 100}, "", (best - 0.01, best + 0.01))
    request = Request(source=wave_file, observe=("t<0",), n=1, steps=1)
    _, alone = complete_files(wave, request, Export(out=tmp_path / "a"))
    assert not alone.unlike
    paths, told = complete_files(wave, request, Export(out=tmp_path / "b", suffix=".npy"), [usual])
    assert told.lines()[-1].startswith("warning: wave.npy: unlike the data that the model was trained on")
    assert {path.suffix for path in paths} == {".npy", ".png"}
    with pytest.raises(RequestError, match=r"\.xyz"):
        complete_files(wave, request, Export(out=tmp_path / "c", suffix=".xyz"))


def test_scattered_values_need_no_input(finished_runs, tmp_path, few):
    (tmp_path / "values.csv").write_text("t,height\n-0.5,0.2\n0.5,-0.1\n")
    out = tmp_path / "out"
    table = ["--values", tmp_path / "values.csv"]
    done = invoke(finished_runs["wave"], *table, "-n", 1, "--steps", 2, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("at the 2 observed values: psnr_db ")
    assert "hidden" not in done.stdout
    assert {path.name for path in out.iterdir()} == {"completion-0000.npy", "contact.png"}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ([], "nothing is observed"),
        (["--observe", "x<0"], "unknown axis 'x'"),
        (["--observe", "t<-0.99"], "known places is observed"),
        (["--observe", "t<0", "--hide", "t<0.5"], "known places is observed"),
        (["--coarse", "4x4"], "give one for all axes, or 1"),
        (["--coarse", "0"], "--coarse 0 is out of range"),
        (["--coarse", "16"], "is not coarse"),
        (["--values", "missing.csv"], "does not exist"),
        (["--observe", "t<0", "--noise", "0"], "above 0"),
        (["--observe", "t<0", "--condition", "brisk"], "unknown class"),
    ],
)
def test_a_wrong_request_ends_with_status_2_and_what_to_fix(what, said, finished_runs, wave_file, tmp_path):
    done = invoke(finished_runs["wave"], wave_file, *what, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert said in done.stderr.replace("\n", " ")
    assert not (tmp_path / "out" / "completion-0000.npy").exists()


def test_one_input_is_completed_at_a_time(finished_runs, wave_file, tmp_path):
    rest = ["--observe", "t<0", "--out", tmp_path / "out"]
    assert "one INPUT" in invoke(finished_runs["wave"], wave_file, wave_file, *rest).stderr
    assert "give an INPUT" in invoke(finished_runs["wave"], *rest).stderr


def test_the_picture_of_what_was_observed_is_the_middle_of_the_range_elsewhere(wave, monkeypatch):
    signal = load_data(wave.parts, "").held_out.batch([0])
    original = wave.ground_truth(signal)
    seen, _ = half(wave)
    drawn = []
    blank = Image.new("RGB", (4, 4))
    monkeypatch.setattr(type(wave.parts), "picture", lambda parts, artefact: drawn.append(artefact) or blank)
    wave.parts.contact_sheet(signal, seen, wave.sample(1, steps=1), [])
    first, grid = drawn
    left = len(original.values) // 2
    np.testing.assert_allclose(first.values, original.values)
    np.testing.assert_allclose(grid.values[:left], original.values[:left])
    assert not grid.values[left:].any()


def test_fields_of_a_condition_are_asked_for_and_without_one_none_is(wave, monkeypatch):
    assert wave.config.diffusion.drop_condition > 0
    given, denoiser = [], Model.denoiser
    monkeypatch.setattr(
        Model, "denoiser", lambda model, *asked: given.append((int(asked[0]), asked[1])) or denoiser(model, *asked)
    )
    seen, none = half(wave)[0], len(wave.classes)
    wave.complete(seen, 2, steps=1)
    wave.complete(seen, 1, steps=1, condition=wave.classes[-1], guidance=2.0)
    assert given == [(none, 1.0), (none, 1.0), (none - 1, 2.0)]

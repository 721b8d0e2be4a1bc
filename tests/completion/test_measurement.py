"""Completions from measurements that are no values of the field: one column of shades along lines, for two values."""

import json
import logging

import pytest
import torch
from attrs import evolve
from PIL import Image
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.api import Observations
from ddmi_core.cli.main import app
from ddmi_core.completion import measurement, metrics, solve
from ddmi_core.completion.regions import columns, region
from ddmi_core.errors import DataError, RequestError
from ddmi_core.model.data import load_data
from ddmi_core.model.model import Model
from ddmi_core.parts import GridSignal, picture_sheet
from ddmi_core.registry.registry import unregister
from ddmi_core.testing.check import ContractBroken
from ddmi_core.testing.contract.coordinates import check_queries
from ddmi_core.testing.subject import Subject
from lines_domain import LINES, LineRenderer, grid, shades
from variants import returning, variant
from whole_runs import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    ddmi_core.register(LINES)
    folder = tmp_path_factory.mktemp("lines") / "run"
    run(LINES, folder, "autoencoder.training.steps=150")
    yield folder
    unregister("lines")


@pytest.fixture(scope="module")
def model(finished) -> Model:
    return ddmi_core.load(finished, device="cpu")


@pytest.fixture(scope="module")
def rows_and_columns(model) -> tuple[Observations, Observations]:
    whole = model.observations(held_out(model))
    rows = whole.queries.turned[0] == 0
    return whole.kept(rows), whole.kept(~rows)


def held_out(model: Model) -> GridSignal:
    return load_data(model.parts, "").held_out.batch([0])


def test_fields_of_two_values_agree_with_one_column_of_shades(model, rows_and_columns):
    seen, _ = rows_and_columns
    fields, free = model.complete(seen, 2, steps=6), model.sample(2)
    assert fields(torch.zeros(2, 1, 2)).shape == (2, 1, 2)
    assert seen.values.shape == (16, 1)
    assert min(metrics.scores(model.measurement, fields, seen)) > 6 + max(metrics.scores(model.measurement, free, seen))


def test_what_is_compared_are_shades_of_the_field_along_the_lines(model, rows_and_columns):
    _, seen = rows_and_columns
    fields = model.sample(2)
    grids = fields(model.renderer.native_queries(2).coords).view(2, 16, 16, 2)
    wanted = shades(grids.transpose(1, 2)).clamp(-1, 1)
    torch.testing.assert_close(metrics.predicted(model.measurement, fields, seen), wanted, atol=1e-5, rtol=0)


def test_measurements_in_other_columns_are_refused_by_the_names_of_the_right_ones(model, rows_and_columns):
    seen, _ = rows_and_columns
    with pytest.raises(RequestError, match="2 columns; this model's have 1: shade"):
        model.complete(evolve(seen, values=seen.values.expand(-1, 2)), 1)
    with pytest.raises(RequestError, match="observed value 1, shade = "):
        model.complete(evolve(seen, values=seen.values + 3), 1)


def test_memory_is_bounded_by_the_evaluations_of_a_measurement(model, rows_and_columns, monkeypatch):
    seen, _ = rows_and_columns
    asked = []
    observe = LineRenderer.observe
    monkeypatch.setattr(
        LineRenderer, "observe", lambda self, f, q: asked.append(q.coords.shape[1]) or observe(self, f, q)
    )
    monkeypatch.setattr(measurement, "POINTS", 2 * 16 * 5)
    metrics.predicted(model.measurement, model.sample(2), seen)
    assert asked == [5, 5, 5, 1]


@pytest.mark.parametrize(
    ("text", "held"),
    [("turned=1", 16), ("turned<1", 16), ("turned>=0", 32), ("turned=0, y<0", 8), ("turned=2", 0), ("x<0", 8)],
)
def test_regions_can_name_what_tells_places_apart(text, held, model):
    whole = model.observations(held_out(model))
    found = region(text, ("x", "y"), ("turned",)).holds(columns(whole, ("turned",)))
    assert int(found.sum()) == held


@pytest.fixture
def blob(model, tmp_path):
    path = tmp_path / "blob.npy"
    path.touch()
    return path


@pytest.fixture
def reading(monkeypatch):
    monkeypatch.setattr(Model, "read", lambda self, path: GridSignal(grid(7, 16)[None]))
    monkeypatch.setattr(solve, "EVALUATIONS", 2)


def invoke(*arguments):
    return CliRunner().invoke(app, ["complete", *map(str, arguments)])


def test_the_command_observes_a_labelled_part_and_shows_it_as_the_domain_does(finished, blob, reading, tmp_path):
    out = tmp_path / "out"
    done = invoke(finished, blob, "--observe", "turned=0", "-n", 2, "--steps", 2, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["values"] == 16
    assert len(figures["observed"]) == len(figures["hidden"]) == 2
    assert figures["hidden_reconstruction"] is not None
    sheet = Image.open(out / "contact.png")
    side, label = picture_sheet.LEAST, picture_sheet.LETTERS + picture_sheet.GAP
    assert sheet.size == (2 * side + picture_sheet.GAP, 3 * (label + side + picture_sheet.GAP) - picture_sheet.GAP)
    assert sheet.getpixel((0, label)) == (0, 0, 0)
    assert sheet.getpixel((side + picture_sheet.GAP, 2 * label + side + picture_sheet.GAP)) == (128, 128, 128)
    written = sheet.crop((0, 0, side, picture_sheet.LETTERS)).convert("L").getextrema()
    assert written[0] < 64 < 192 < written[1]  # black letters on white


def test_tables_and_coarse_means_are_refused_where_no_values_are_observed(finished, blob, reading, tmp_path):
    table = tmp_path / "values.csv"
    table.write_text("x,y,shade\n0,0,0\n")
    for what in (["--coarse", 4], ["--values", table]):
        done = invoke(finished, blob, *what, "--out", tmp_path / "out")
        assert done.exit_code == 2
        assert "shade) are not point values along x, y" in " ".join(done.stderr.split())


def test_what_the_encoder_cannot_see_is_completed_all_the_same(finished, blob, reading, tmp_path, monkeypatch, caplog):
    def blind(self, signal):
        raise DataError("cannot be encoded")

    monkeypatch.setattr(Model, "encode", blind)
    with caplog.at_level(logging.WARNING):
        done = invoke(finished, blob, "--observe", "turned=0", "-n", 1, "--steps", 1, "--json", "--out", tmp_path / "o")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["observed_reconstruction"] is figures["hidden_reconstruction"] is None
    assert len(figures["hidden"]) == 1
    assert "cannot be encoded" in caplog.text


def test_the_contract_wants_targets_in_the_columns_that_are_named():
    with Subject(LINES) as subject:
        check_queries(subject)
    for wrong in ((), ("shade", "tint")):
        with (
            Subject(variant(LINES, observed=returning(wrong))) as subject,
            pytest.raises(ContractBroken, match="wrong shapes"),
        ):
            check_queries(subject)

"""Published weights: small, complete, and close to the run they come from."""

from __future__ import annotations

import shutil

import pytest
import torch
from attrs import evolve
from rich.console import Console

from ddmi_core.api import Figure
from ddmi_core.errors import CheckpointError, OutputError, RequestError
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.evaluation.verdict import verdict
from ddmi_core.model.loading import load
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.runs import pipeline
from ddmi_core.runs.publish import publish
from ddmi_core.settings.convert import portable
from ddmi_core.settings.resolve import resolve
from ddmi_core.training import checkpoint
from formula_domains import WAVE
from resealed import resealed
from whole_runs import measured

pytestmark = pytest.mark.usefixtures("registered")
FEW = [f"{stage}.training.steps=4" for stage in ("autoencoder", "diffusion")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("publish") / "run"
    pipeline.execute(resolve(WAVE, overrides=FEW), WAVE, out, resume=False, console=Console(quiet=True))
    return out


def test_published_weights_load_and_draw_nearly_the_same(run, tmp_path):
    size = publish(run, tmp_path / "weights")
    own = sum(path.stat().st_size for path in run.rglob("weights.safetensors"))
    assert size < own
    coords = torch.linspace(-1, 1, 9)[None, :, None].expand(3, -1, -1)
    first, second = (load(place).sample(3, seed=0)(coords) for place in (run, tmp_path / "weights"))
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, atol=2e-2, rtol=2e-2)


def test_the_published_denoiser_names_the_published_autoencoder(run, tmp_path):
    publish(run, tmp_path / "weights")
    weights = checkpoint.load(tmp_path / "weights" / "autoencoder" / "final").digest("weights")
    assert weights != checkpoint.load(run / "autoencoder" / "final").digest("weights")
    assert checkpoint.load(tmp_path / "weights" / "denoiser" / "final").record["autoencoder"] == weights


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("/home/anna/cats", "cats"),
        ("~/cats/", "cats"),
        ("folder:/home/anna/cats", "folder:cats"),
        (r"folder:C:\Users\anna\cats", "folder:cats"),
        (r"C:\Users\anna\cats", "cats"),
        ("~anna/cats", "cats"),
        ("../anna/cats", "cats"),
        ("folder:../../anna/cats", "folder:cats"),
        ("file:///home/anna/cats", "cats"),
        (r"\\server\anna\cats", "cats"),
        ("//nas/anna/cats", "cats"),
        ("openmoji", "openmoji"),
        ("a/b", "a/b"),
        ("12:30", "12:30"),
        ("https://example.org/cats", "https://example.org/cats"),
    ],
)
def test_absolute_paths_are_reduced_to_their_last_part(value, short):
    assert portable({"a": [value, 3]}) == {"a": [short, 3]}


def test_no_path_of_the_machine_is_published(run, tmp_path):
    private = shutil.copytree(run, tmp_path / "private")
    text = (private / "run.toml").read_text()
    (private / "run.toml").write_text(resealed(text.replace('data = ""', 'data = "/home/anna/waves"')))
    measured(private, Evaluation((Figure("e", 1.0, {"source": "/home/anna/waves"}),)))
    publish(private, tmp_path / "weights")
    files = [path for path in (tmp_path / "weights").rglob("*") if path.suffix in (".toml", ".json", ".md")]
    assert len(files) >= 4
    assert not [path for path in files if "anna" in path.read_text()]
    assert 'data = "waves"' in (tmp_path / "weights" / "run.toml").read_text()
    load(tmp_path / "weights")


def test_a_damaged_run_leaves_no_part_of_a_published_one(run, tmp_path):
    damaged = shutil.copytree(run, tmp_path / "damaged")
    path = damaged / "denoiser" / "final" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError):
        publish(damaged, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_publishing_overwrites_nothing_and_needs_a_finished_run(run, tmp_path):
    with pytest.raises(OutputError, match="exists already"):
        publish(run, run)
    with pytest.raises(CheckpointError, match="no run folder"):
        publish(tmp_path / "nothing", tmp_path / "weights")


def test_the_card_has_the_metadata_of_the_hub(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    publish(run, tmp_path / "weights", license_name="cc-by-4.0", task="other")
    card = hub.ModelCard.load(tmp_path / "weights" / "README.md")
    sentences = verdict(Evaluation.load(run / "metrics.json").figures)
    assert sentences
    assert all(f"- {sentence}" in card.text for sentence in sentences)
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == ("cc-by-4.0", "ddmi", "other")
    assert {"ddmi", "ddmi-wave"} <= set(data.tags)
    figures = {figure.name: figure.value for figure in Evaluation.load(run / "metrics.json").figures}
    assert {result.metric_type: result.metric_value for result in data.eval_results} == figures
    assert {result.dataset_revision for result in data.eval_results} == {read_head(RunFolder(run)).fingerprint}
    assert (tmp_path / "weights" / "metrics.json").read_bytes() == (run / "metrics.json").read_bytes()


def test_a_run_without_figures_or_plugin_is_published_too(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "metrics.json").unlink()
    text = (
        (copy / "run.toml").read_text().replace('"wave"', '"other"').replace('distribution = ""', 'distribution = "a"')
    )
    (copy / "run.toml").write_text(resealed(text.replace('version = ""', 'version = "1.0"', 1)))
    publish(copy, tmp_path / "weights")
    card = (tmp_path / "weights" / "README.md").read_text()
    assert "model-index" not in card
    assert 'license: "unknown"' in card
    assert "pip install a==1.0" in card


@pytest.mark.parametrize("option", ["license_name", "task"])
def test_the_card_takes_identifiers_alone(run, tmp_path, option):
    with pytest.raises(RequestError, match="is not an identifier of the hub"):
        publish(run, tmp_path / "weights", **{option: 'a"\nb: c'})
    assert not (tmp_path / "weights").exists()


def test_the_card_names_the_data_without_the_path_of_the_authors_machine(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    figures = Evaluation.load(copy / "metrics.json").figures
    source = {"source": "folder:/home/alice/waves"}
    measured(copy, Evaluation(tuple(evolve(one, protocol={**one.protocol, **source}) for one in figures)))
    publish(copy, tmp_path / "weights")
    card = (tmp_path / "weights" / "README.md").read_text()
    assert '"name": "waves"' in card
    assert "alice" not in card

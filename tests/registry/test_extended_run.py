"""A whole run with the parts of `examples/ddmi-extras` and of a second extension, and what remains without them."""

import csv
import textwrap

import pytest
import torch

import ddmi_core
from ddmi_core.errors import DdmiWarning, PluginError, RequestError
from ddmi_core.evaluation.evaluate import evaluate_run
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.evaluation.sweep import sweep_run
from known_plugins import EXTRAS, make_known
from whole_runs import DOMAINS, run

WAVE = DOMAINS["wave"]
SETS = (
    "diffusion.denoiser.kind=convnet",
    "diffusion.path.kind=cosine",
    "diffusion.target=displacement",
    "sampling.sampler=midpoint",
    'evaluation.grid=["midpoint:4", "ddim:4"]',
    'evaluation.metrics=["spread"]',
    "evaluation.networks=spread",
)
SECOND = """
from ddmi_core.api import Contribution, FeatureNetwork, hookimpl

api_version = 1

@hookimpl
def ddmi_metrics():
    return {"spread": Contribution("second:metric", axes=("t",))}

@hookimpl
def ddmi_features():
    return {"spread": "second:Spread"}

@hookimpl
def ddmi_exporters():
    return {".len": Contribution("second:write", domains=("wave",))}

@hookimpl
def ddmi_report_sections():
    return {"sound": Contribution("second:section", summary="Count of samples"), "faulty": "second:faulty",
            "other": Contribution("second:section", summary="Not for waves", axes=("x", "y"))}

@hookimpl
def ddmi_callbacks():
    return {"steps": "second:callback"}

def spread(values):
    return values.flatten(2).std(dim=2)

def metric(fields, signal, renderer):
    return (spread(renderer.native_values(fields)) - spread(signal.values.cpu())).abs().mean(dim=1)

class Spread(FeatureNetwork):
    def of_fields(self, fields, renderer):
        return spread(renderer.native_values(fields))

    def of_signals(self, signal):
        return spread(signal.values.cpu())

def write(artefact, path):
    path.write_text(type(artefact).__name__)

def section(context):
    return f"<p>{len(context.split.train)} signals, {len(context.evaluation.figures)} figures</p>"

def faulty(context):
    raise ValueError("<no luck>")

def callback(moment):
    with (moment.run / "steps.txt").open("a") as stream:
        stream.write(f"{moment.stage} {moment.step}\\n")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder on the path with the metadata of both extensions."""
    folder = tmp_path_factory.mktemp("site")
    make_known(EXTRAS, folder)
    info = folder / "ddmi_second-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ddmi-second\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ddmi.extensions]\nsecond = second\n")
    (folder / "second.py").write_text(textwrap.dedent(SECOND))
    return folder


@pytest.fixture
def installed(site, registered, monkeypatch):
    monkeypatch.syspath_prepend(site)
    monkeypatch.syspath_prepend(EXTRAS)


@pytest.fixture(scope="module")
def finished(site, registered, tmp_path_factory):
    """A finished run that uses both extensions."""
    out = tmp_path_factory.mktemp("extended") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.syspath_prepend(EXTRAS)
        with pytest.warns(DdmiWarning, match="section of the report 'faulty' of ddmi-second 1.0"):
            run(WAVE, out, *SETS, trackers=["csv"], callbacks=["steps"])
    return out


def test_the_parts_are_used_and_recorded_by_name_alone(finished, site, monkeypatch):
    text = (finished / "run.toml").read_text()
    assert 'denoisers.convnet = "ddmi-extras==0.1.0"' in text
    assert 'samplers.midpoint = "ddmi-extras==0.1.0"' in text
    assert 'metrics.spread = "ddmi-second==1.0"' in text
    assert "ddmi_extras" not in text
    result = Evaluation.load(finished / "metrics.json")
    assert result.value("reconstruction_spread") >= 0
    monkeypatch.syspath_prepend(site)
    monkeypatch.syspath_prepend(EXTRAS)
    rows = sweep_run(finished).samplers
    assert [(row.sampler, row.evaluations) for row in rows] == [("midpoint", 4), ("ddim", 4)]


def test_the_feature_network_has_a_figure_of_its_own(finished):
    figures = {figure.name: figure for figure in Evaluation.load(finished / "metrics.json").figures}
    assert figures["frechet_spread"].value >= 0
    assert figures["frechet_spread"].protocol["network"]["name"] == "spread"


def test_tracker_and_callback_get_the_steps_of_the_log(finished):
    with (finished / "figures.csv").open(newline="") as stream:
        rows = [row for row in csv.reader(stream) if row[2] == "loss"]
    steps = (finished / "steps.txt").read_text().split()
    assert [(row[0], row[1]) for row in rows] == list(zip(steps[::2], steps[1::2], strict=True))
    assert {row[0] for row in rows} == {"autoencoder", "denoiser"}


def test_the_report_has_the_fitting_sections_and_tells_of_a_faulty_one(finished):
    page = (finished / "report.html").read_text()
    assert "<h2>Count of samples</h2>" in page
    assert " signals, " in page
    assert "Not for waves" not in page
    assert "ValueError: &lt;no luck&gt;" in page


def test_a_model_samples_with_the_denoiser_and_writes_the_file_type(finished, installed, tmp_path):
    model = ddmi_core.load(finished, device="cpu")
    fields = model.sample(2, steps=4)
    alone = model.sample(1, steps=4)
    torch.testing.assert_close(fields[0].basis[0][0], alone[0].basis[0][0])
    model.write(model.render(fields[0]), tmp_path / "wave.len")
    assert (tmp_path / "wave.len").read_text()
    with pytest.raises(RequestError, match=r"unknown file type '\.lem'; did you mean '\.len'"):
        model.exporter(".lem")


def test_without_the_extension_the_error_says_what_provided_it(finished, registered):
    with pytest.raises(
        PluginError, match=r"uses the .* of ddmi-extras==0\.1\.0, which is not available.*install ddmi-ext"
    ):
        ddmi_core.load(finished, device="cpu")


def test_without_an_extension_of_evaluations_a_run_is_sampled(finished, registered, tmp_path, monkeypatch):
    make_known(EXTRAS, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXTRAS)
    assert len(ddmi_core.load(finished, device="cpu").sample(1, steps=2)) == 1
    with pytest.raises(PluginError, match=r"uses the (metric|feature network) 'spread' of ddmi-second==1\.0"):
        evaluate_run(finished)


def test_a_run_of_built_in_parts_names_no_extension(finished_runs):
    assert "[run.extensions]" not in (finished_runs["wave"] / "run.toml").read_text()

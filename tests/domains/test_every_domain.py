"""Every domain, ours and one from outside, goes through the same code at tiny size, from data to page."""

from __future__ import annotations

import io
import json
import math
import re
from base64 import b64decode
from io import StringIO

import pytest
import torch
from PIL import Image
from rich.console import Console

import ddmi_core
import smaller
from ddmi_core.parts.domain_parts import build_parts, implementation
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import pipeline
from ddmi_core.settings.config import Sampling
from ddmi_core.settings.resolve import resolve
from ddmi_core.testing.readers import Empty, opened
from ddmi_core.training.log import Log
from ddmi_core.viewer.params import Query, SampleRequest
from ddmi_core.viewer.session import Session
from known_plugins import AUDIO, make_known

EXPECTED = {"audio", "image", "nerf", "occupancy", "video"}

EVERYWHERE = (
    "autoencoder.training.steps=8",
    "autoencoder.training.batch=4",
    "autoencoder.training.precision=fp32",
    "autoencoder.training.warmup=2",
    "autoencoder.training.log=2",
    "autoencoder.training.checkpoint=8",
    "autoencoder.points=64",
    "autoencoder.adversarial.start=0",
    "diffusion.training.steps=8",
    "diffusion.training.batch=4",
    "diffusion.training.precision=fp32",
    "diffusion.training.log=2",
    "diffusion.training.checkpoint=8",
    "diffusion.denoiser.width=32",
    "sampling.count=2",
    "sampling.steps=2",
    "evaluation.samples=4",
    "evaluation.held_out=2",
    'evaluation.grid=["euler:2"]',
)
# What makes signals of a domain few and small is its own affair.
SMALL = {
    "audio": ("domain.samples=512", "domain.count=8"),
    "image": ("domain.limit=40", "domain.size=32"),
    "nerf": ("domain.count=10", "domain.views=3", "domain.shown=2", "domain.held_views=1"),
    "occupancy": (
        "domain.count=12",
        "domain.surface=256",
        "domain.points=1024",
        "domain.resolution=24",
        "domain.plane=16",
        "autoencoder.encoder.widths=[8,16]",
        "autoencoder.decoder.widths=[16,8]",
        "autoencoder.decoder.basis=[8,8]",
        "autoencoder.readout.width=16",
    ),
    "video": (
        "domain.count=12",
        "domain.frames=4",
        "domain.size=16",
        "domain.rate=4",
        "domain.held_out=0.3",
        "autoencoder.encoder.widths=[16]",
        "autoencoder.decoder.widths=[16,8]",
        "autoencoder.decoder.basis=[8,8]",
        "autoencoder.readout.width=16",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    """A cache of these tests' own, small pictures, and the sound plugin known to the registry, installed or not."""
    site = tmp_path_factory.mktemp("installed")
    make_known(AUDIO, site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("DDMI_PLUGINS", raising=False)
        patch.syspath_prepend(AUDIO)
        patch.syspath_prepend(site)
        with smaller.pictures():
            yield


@pytest.fixture(scope="module", params=sorted(EXPECTED))
def run(request, tmp_path_factory):
    """The folder of a finished run."""
    domain, out = domain_named(request.param), tmp_path_factory.mktemp(request.param)
    preset = "tiny" if "tiny" in implementation(domain).presets() else ""
    config = resolve(domain, preset, overrides=[*EVERYWHERE, *SMALL.get(domain.name, ())])
    pipeline.execute(config, domain, out / "run", resume=False, console=Console(file=StringIO()))
    return out / "run"


@pytest.fixture(scope="module")
def model(run):
    return ddmi_core.load(run, device="cpu")


@pytest.fixture(scope="module")
def session(model):
    return Session(model, "tiny")


def test_domains_come_from_the_registry():
    usable = [record for record in discover() if record.usable]
    assert {record.name for record in usable} >= EXPECTED
    assert all(record.entry_point for record in usable if record.name in EXPECTED)


def test_both_stages_train(run):
    for stage in ("autoencoder", "denoiser"):
        losses = [record["loss"] for record in Log(run / "log.jsonl").records() if record.get("stage") == stage]
        assert len(losses) == 4, stage
        assert all(map(math.isfinite, losses)), stage
        assert len(set(losses)) == 4, stage


def test_weights_differ_from_the_initial_ones(model):
    from ddmi_core.model.build import build_autoencoder

    initial = build_autoencoder(build_parts(model.domain, model.config.domain), model.config).state_dict()
    trained = model.autoencoder.state_dict()
    floats = [name for name, value in initial.items() if value.is_floating_point() and value.numel() > 1]
    assert sum(not torch.equal(initial[name], trained[name].cpu()) for name in floats) > len(floats) / 2


def test_a_trained_readout_knows_the_range_of_its_extra_columns(model):
    readout, extra = model.autoencoder.readout, model.domain.layout.extra
    assert hasattr(readout, "seen") == bool(extra)
    if extra:
        low, high = readout.seen
        assert torch.isfinite(readout.seen).all()
        assert (low <= 0).all()
        assert (high >= 0).all()


def test_samples_differ_by_seed_and_repeat(model):
    first, again, other = (model.sample_latents(2, Sampling(seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


def test_figures_are_finite_and_tell_their_protocol(run, model):
    figures = json.loads((run / "metrics.json").read_text())["figures"]
    names = [figure["name"] for figure in figures]
    assert all(math.isfinite(figure["value"]) for figure in figures)
    for figure in figures:
        protocol = figure["protocol"]
        assert {"protocol", "data", "source", "averages", "drawn", "versions", "n", "reference"} <= set(protocol)
        sampling = {"seed", "sampler", "steps", "guidance"} & set(protocol)
        assert len(sampling) == 4 or "signals" in protocol, figure["name"]  # of samples, or of which signals
    assert {f"reconstruction_{metric}" for metric in model.parts.metrics()} <= set(names)


def test_the_report_shows_pictures_that_decode(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "Samples" in text
    assert "econstruction" in text
    pictures = re.findall(r"data:image/(\w+);base64,([A-Za-z0-9+/=]+)", text)
    assert len(pictures) >= 4
    for _, data in pictures:
        with Image.open(io.BytesIO(b64decode(data))) as picture:
            picture.load()


@pytest.mark.parametrize("rest", ["0", "1"])
def test_the_page_gets_what_it_asks_for(session, rest):
    samples = session.sample(SampleRequest(n=2, sampling=Sampling(seed=5)), lambda step, steps: None)
    mixture = Query({"a": samples[0]}).mixture()
    between = Query({"a": samples[0], "b": samples[1], "mix": "0.5"}).mixture()
    query = Query({"rows": "24", "columns": "24", "rest": rest})
    for shown in (session.show(mixture, query), session.show(between, query), session.thumbnail(mixture)):
        shows(shown)
    assert session.show(mixture, query).data == session.show(mixture, query).data
    assert session.about()["domain"] == session.model.domain.name


def shows(shown) -> None:
    if shown.kind.startswith("image/"):
        with Image.open(io.BytesIO(shown.data)) as picture:
            picture.load()
    else:
        assert shown.kind == "model/gltf-binary"
        assert shown.data[:4] == b"glTF"


def test_every_file_opens(model, tmp_path):
    artefact = model.render(model.sample(1, seed=0)[0])
    for suffix in model.parts.exporters():
        path = tmp_path / f"sample{suffix}"
        model.write(artefact, path)
        try:
            assert opened(path) or path.stat().st_size
        except Empty:  # after so few steps, a field may have no surface
            continue

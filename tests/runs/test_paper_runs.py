"""Whole runs of the presets `paper` at reduced width: every part and loss of the authors' recipe trains and samples."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from PIL import Image
from rich.console import Console

import smaller
from ddmi_core.parts.domain_parts import implementation
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve

SMALL = (
    "autoencoder.latent_channels=4",
    "autoencoder.readout.width=16",
    "autoencoder.training.steps=4",
    "autoencoder.training.batch=4",
    "autoencoder.training.accumulation=2",
    "autoencoder.training.compile=false",  # takes minutes
    "diffusion.training.compile=false",
    "diffusion.denoiser.width=16",
    "diffusion.denoiser.multipliers=[1,2,2]",
    "diffusion.denoiser.attention=[2,4]",
    "diffusion.denoiser.head_channels=8",
    "diffusion.training.steps=4",
    "diffusion.training.batch=4",
    "diffusion.training.accumulation=2",
    "sampling.count=1",
    "sampling.steps=2",
    "evaluation.samples=2",
    "evaluation.held_out=1",
    'evaluation.grid=["ddim:2"]',
)
POINTS = (
    "autoencoder.encoder.widths=[8,16,16]",
    "autoencoder.encoder.point_width=16",
    "autoencoder.encoder.point_blocks=2",
    "autoencoder.decoder.widths=[16,16,8]",
    "domain.plane=16",
    "domain.count=12",
)
REDUCED = {
    "image": (
        "openmoji",
        "domain.size=32",
        'domain.groups=["faces"]',
        "domain.limit=24",
        "autoencoder.points=1024",
        "autoencoder.encoder.widths=[8,16,16]",
        "autoencoder.decoder.widths=[16,16,8]",
        "autoencoder.perceptual.kind=multiscale",  # LPIPS requires a package and weights
        "autoencoder.adversarial.start=2",
        "autoencoder.adversarial.width=8",
    ),
    "occupancy": (
        "furniture",
        *POINTS,
        "domain.resolution=16",
        "domain.points=512",
        "domain.surface=300",
        "autoencoder.points=256",
    ),
    "nerf": (
        "cars",
        *POINTS,
        "domain.size=16",
        "domain.views=4",
        "domain.held_views=2",
        "domain.samples=8",
        "domain.points=300",
        "autoencoder.points=64",
    ),
    "video": (
        "scenes",
        "domain.size=32",
        "domain.frames=8",
        "domain.count=12",
        "autoencoder.points=256",
        "autoencoder.patch=[4,32,32]",
        "autoencoder.encoder.widths=[16]",
        "autoencoder.encoder.blocks=1",
        "autoencoder.encoder.heads=2",
        "autoencoder.encoder.head_width=8",
        "autoencoder.decoder.widths=[16,8,8,8]",
        "autoencoder.decoder.heads=2",
        "autoencoder.perceptual.kind=multiscale",
        "autoencoder.adversarial.start=2",
        "autoencoder.adversarial.width=8",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("plugin", REDUCED)
def test_a_run_at_reduced_width_uses_every_part_of_the_recipe(plugin, tmp_path, monkeypatch):
    domain = domain_named(plugin)
    blank = Image.new("RGB", (4, 4))
    monkeypatch.setattr(implementation(domain), "picture", lambda parts, artefact: blank)  # drawing takes most time
    data, *own = REDUCED[plugin]
    config = resolve(domain, "paper", overrides=(*SMALL, *own), data=data)
    with smaller.pictures():
        pipeline.execute(config, domain, tmp_path / "run", resume=False, console=Console(file=StringIO()))
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    parts = set().union(*records)
    expected = {"reconstruction", "kl", "spectral"}
    if plugin in ("image", "video"):
        expected |= {"perceptual", "adversarial", "features", "discriminator.loss"}
    assert expected <= parts
    assert len(list((tmp_path / "run" / "samples").iterdir())) >= 1
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000

"""A whole run of tiny size: shapes, report and files, then shapes that are asked for with text."""

from __future__ import annotations

import json

import pytest
import trimesh
from typer.testing import CliRunner

import ddmi_core
import smaller
from ddmi_core.cli.main import app

TINY = {
    "domain.count": 24,
    "domain.surface": 256,
    "domain.points": 1024,
    "domain.resolution": 24,
    "domain.plane": 16,
    "autoencoder.points": 256,
    "autoencoder.encoder.widths": "[8, 16]",
    "autoencoder.decoder.widths": "[16, 8]",
    "autoencoder.decoder.basis": "[8, 8]",
    "autoencoder.readout.width": 16,
    "autoencoder.training.steps": 60,
    "autoencoder.training.warmup": 5,
    "diffusion.denoiser.width": 16,
    "diffusion.training.steps": 5,
    "sampling.count": 3,
    "sampling.steps": 2,
    "evaluation.samples": 3,
    "evaluation.grid": '["euler:2"]',
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("occupancy") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("ddmi_occupancy.evaluation.prompt_adherence.PROMPTS", 4)
        with smaller.pictures():
            ddmi_core.run("occupancy", folder, overrides=[f"{key}={value}" for key, value in TINY.items()])
    return folder


def ask(*arguments):
    """What a command prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_a_run_ends_in_a_report_with_figures_and_shapes(run):
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "<img" in report
    figures = {row["name"]: row["value"] for row in json.loads((run / "metrics.json").read_text())["figures"]}
    metrics = {f"reconstruction_{name}" for name in ("iou", "chamfer", "f_score", "normal_consistency")}
    assert {*metrics, "prompt_adherence", "frechet_plain"} <= set(figures)
    assert figures["reconstruction_iou"] > 0
    assert len(list((run / "samples").glob("*.glb"))) == 3


@pytest.mark.slow
def test_shapes_are_asked_for_with_text_and_reconstructed_from_files(run, tmp_path):
    words = "a tall chair with arms"
    ask("sample", run, "--condition", words, "-n", 2, "--guidance", 2, "--size", 16, "--out", tmp_path / "chairs")
    assert len(list((tmp_path / "chairs").glob("*.glb"))) == 2
    listed = ask("conditions", run)
    assert "chair" in listed
    assert "words: " in listed
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "box.stl")
    ask("reconstruct", run, tmp_path / "box.stl", "--out", tmp_path / "again")
    ask("reconstruct", run, tmp_path / "box.stl", "--format", "ply", "--out", tmp_path / "again")
    (path,) = (tmp_path / "again").glob("*.glb")
    assert path.stem == "box"
    loaded = trimesh.load_scene(path).to_mesh()
    assert len(trimesh.load_scene(path.with_suffix(".ply")).to_mesh().faces) == len(loaded.faces)
    assert not len(loaded.faces) or loaded.is_watertight


@pytest.mark.slow
def test_meshes_with_captions_beside_them_are_asked_for_with_text(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(10):
        kind = ("tall", "wide")[number % 2]
        sides = (1, 2 + number / 10, 1) if kind == "tall" else (2 + number / 10, 1, 1)
        trimesh.creation.box(sides).export(tmp_path / f"{number}.stl")
        (tmp_path / f"{number}.txt").write_text(f"a {kind} box\n{kind}\n")
    own = {**TINY, "autoencoder.training.steps": 5, "diffusion.condition": "words"}
    sets = [argument for key, value in own.items() for argument in ("--set", f"{key}={value}")]
    with smaller.pictures():
        ask("run", "--plugin", "occupancy", "--data", tmp_path, "--out", tmp_path / "run", *sets)
    ask("sample", tmp_path / "run", "--condition", "a wide box", "-n", 2, "--out", tmp_path / "boxes")
    assert len(list((tmp_path / "boxes").glob("*.glb"))) == 2
    assert "4 words: a, box, tall, wide" in ask("conditions", tmp_path / "run")

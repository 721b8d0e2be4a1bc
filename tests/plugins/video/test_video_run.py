"""A whole run of tiny size: clips, report and figures, a run that was stopped, and clips from commands."""

from __future__ import annotations

import hashlib
import json
import signal
import zipfile

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from video_files import KINDS, write

import ddmi_core
from ddmi_core.api import Field
from ddmi_core.cli.main import app
from ddmi_core.training.log import Log
from ddmi_video.settings import VideoSettings
from ddmi_video.views import parse_view
from feature_networks import NvidiaInception, scripted

TINY = {
    "domain.count": 12,
    "domain.frames": 4,
    "domain.size": 16,
    "domain.rate": 4,
    "domain.held_out": 0.3,
    "autoencoder.latent_channels": 4,
    "autoencoder.points": 256,
    "autoencoder.encoder.widths": "[16]",
    "autoencoder.encoder.patch": "[1, 2, 2]",
    "autoencoder.decoder.widths": "[16, 8]",
    "autoencoder.decoder.basis": "[8, 8]",
    "autoencoder.readout.width": 16,
    "autoencoder.training.steps": 8,
    "autoencoder.training.batch": 4,
    "autoencoder.training.warmup": 2,
    "autoencoder.training.log": 2,
    "autoencoder.training.checkpoint": 4,
    "diffusion.denoiser.width": 16,
    "diffusion.training.steps": 6,
    "diffusion.training.batch": 4,
    "diffusion.training.checkpoint": 3,
    "sampling.count": 2,
    "sampling.steps": 2,
    "evaluation.samples": 4,
    "evaluation.held_out": 2,
    "evaluation.grid": '["euler:2"]',
}
SETS = [argument for key, value in TINY.items() for argument in ("--set", f"{key}={value}")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "video-cache"))


def train(folder, *more):
    ask("run", "--plugin", "video", "--out", folder, *SETS, *more)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "video-cache"))
        return train(tmp_path_factory.mktemp("video") / "run")


def ask(*arguments):
    """What a command prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def digests(folder):
    """What a run has learned and drawn, by file."""
    found = [path for pattern in ("*/final/*.safetensors", "samples/*.mp4") for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def length(path):
    """Frames, size and frames a second of a video file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.frames, (stream.height, stream.width), float(stream.average_rate)


@pytest.mark.slow
def test_a_run_ends_in_a_report_with_figures_and_clips(run):
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "data:image/webp" in report
    assert "<video" not in report  # a picture that moves needs no player below it
    assert "one row over time" in report
    figures = {row["name"]: row["value"] for row in json.loads((run / "metrics.json").read_text())["figures"]}
    metrics = {f"reconstruction_{name}" for name in ("psnr_db", "ssim", "temporal_consistency")}
    assert {*metrics, "between_frames_db", "between_frames_blended_db"} <= set(figures)
    assert "frechet_plain" in figures
    assert all(np.isfinite(value) for value in figures.values())
    clips = sorted((run / "samples").glob("*.mp4"))
    assert [length(path) for path in clips] == [(4, (16, 16), 4.0)] * 2


def test_a_feature_network_that_cannot_be_used_is_seen_before_training(tmp_path):
    picture = scripted(NvidiaInception(), tmp_path / "inception.pt")
    for given, words in (
        (f"i3d:{tmp_path / 'i3d.pt'}", "i3d.pt: no such file"),
        (f"inception:{picture}", "takes pictures, and domain 'video' has clips"),
    ):
        given = ["--set", f"evaluation.networks={given}"]
        result = CliRunner().invoke(app, ["run", "--plugin", "video", "--out", str(tmp_path / "run"), *SETS, *given])
        assert result.exit_code == 2
        assert words in result.output.replace("\n", "")
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_same_run_makes_the_same_clips_and_so_does_one_that_was_stopped(run, tmp_path, monkeypatch):
    expected = digests(run)
    assert len(expected) >= 4
    assert digests(train(tmp_path / "again")) == expected
    stopped = tmp_path / "stopped"
    log = Log.write

    def interrupting(self, name, step, values):
        log(self, name, step, values)
        if (name, step) == ("autoencoder", 6):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "write", interrupting)
        result = CliRunner().invoke(app, ["run", "--plugin", "video", "--out", str(stopped), *SETS])
    assert result.exit_code == 130, result.output
    assert not (stopped / "autoencoder" / "final").exists()
    ask("run", "--plugin", "video", "--out", stopped, "--resume")
    assert digests(stopped) == expected


@pytest.mark.slow
def test_clips_of_any_rate_part_and_size_are_drawn(run, tmp_path):
    ask("sample", run, "-n", 1, "--size", "24x24@12,0.2-0.4s", "--format", "gif", "--out", tmp_path)
    with Image.open(tmp_path / "sample-0000.gif") as gif:
        assert (gif.n_frames, gif.size) == (2, (24, 24))
        assert gif.info["duration"] == 80  # the first of two twelfths of a second
    ask("sample", run, "-n", 2, "--size", "20x30@30,3s", "--out", tmp_path)
    assert length(tmp_path / "sample-0001.mp4") == (90, (20, 30), 30.0)
    ask("sample", run, "-n", 1, "--size", "7x24x24", "--format", "zip", "--out", tmp_path)
    with zipfile.ZipFile(tmp_path / "sample-0000.zip") as archive:
        assert len(archive.namelist()) == 7
    result = CliRunner().invoke(app, ["sample", str(run), "--size", "24@0", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "0 frames a second is out of range" in result.output


@pytest.mark.slow
def test_a_clip_is_the_same_in_parts_of_any_size(run, monkeypatch):
    model = ddmi_core.load(run)
    settings = VideoSettings(frames=4, size=16, rate=4)
    clip = model.render(model.sample(1, seed=2)[0], parse_view("40x56@12", settings))
    whole = clip.array()
    monkeypatch.setattr(Field.lattice, "__defaults__", (None, 100))
    np.testing.assert_allclose(clip.array(), whole, atol=1e-5)


@pytest.mark.slow
def test_a_folder_of_videos_is_learned_and_a_file_is_reconstructed(tmp_path):
    for number in range(6):
        write(tmp_path / "videos", KINDS["h264"], f"{number}.mp4")  # 0.96 s
    own = ("--set", "domain.rate=8", "--set", "diffusion.condition=none")
    assert "training signals" in ask("data", "check", tmp_path / "videos", "--plugin", "video", *own[:2], *SETS[:10])
    train(tmp_path / "run", "--data", tmp_path / "videos", *own)
    ask("reconstruct", tmp_path / "run", tmp_path / "videos" / "0.mp4", "--size", "@24", "--out", tmp_path / "again")
    assert length(tmp_path / "again" / "0.mp4") == (12, (16, 16), 24.0)

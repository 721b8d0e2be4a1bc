"""Names of data files that are not UTF-8, that control terminals, or that are very long, in every command of a run."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import smaller
from ddmi_core.cli.main import app
from soaking import seeds, tiny_runs

NAMES = (b"\xff\xfe", b"a\nb", b"\x1b[31mred\x07", b"caf\xc3\xa9 \xe2\x80\xae", b"x" * 251)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff\u202e]")
QUICK = {
    **dict.fromkeys(("autoencoder.training.steps", "diffusion.training.steps"), 2),
    **dict.fromkeys(("autoencoder.training.warmup", "diffusion.training.warmup"), 0),
    **dict.fromkeys(("evaluation.samples", "evaluation.held_out"), 2),
    **{"sampling.count": 1, "sampling.steps": 1, "domain.held_out": 0.4},
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are those of Linux")


def did(*words):
    """What a command prints; it neither fails nor controls the terminal."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert not CONTROL.search(done.output), repr(done.output)
    return done.output


def put(folder, name, data):
    path = os.fsencode(folder) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def picture(number):
    file = io.BytesIO()
    draw = np.random.default_rng(number)
    Image.fromarray(draw.integers(0, 255, (16, 20, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def written(name, folder):
    """Data of a domain under all names."""
    if name == "image":
        for number, each in enumerate(NAMES):
            put(folder, each + b".png", picture(number))
    elif name == "nerf":
        files = next(files for files in seeds.cameras().values() if "transforms.json" in files)
        for each in NAMES:
            for inner, data in files.items():
                put(folder, each + b"/" + inner.encode(), data)
    else:
        kinds = seeds.meshes() if name == "occupancy" else seeds.clips()
        file, data = next((file, data) for file, data in kinds.items() if file.endswith((".ply", ".mp4")))
        for each in NAMES:
            put(folder, each + Path(file).suffix.encode(), data)
    return folder


@pytest.mark.parametrize("name", ["image", "occupancy", "video", "nerf"])
def test_data_with_any_names_are_checked(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = {
        "image": ["size=16", "multiples=[1]"],
        "occupancy": ["resolution=16", "points=64", "surface=64", "set_points=16", "emd_points=16"],
        "video": ["size=16", "frames=2"],
        "nerf": ["size=16", "plane=16", "points=32", "shown=1", "views=1", "held_views=1"],
    }[name]
    sets = [word for each in (*small, "held_out=0.4") for word in ("--set", f"domain.{each}")]
    folder = written(name, tmp_path / "data")
    told = json.loads(did("data", "check", folder, "--plugin", name, *sets, "--json"))
    assert told
    did("data", "check", folder, "--plugin", name, *sets, "--all")


@pytest.fixture
def small():
    with smaller.pictures():
        yield


@pytest.mark.parametrize("name", ["image", "occupancy", "video", "nerf"])
def test_a_whole_run_of_files_with_any_names(name, small, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, run = written(name, tmp_path / "data"), tmp_path / "run"
    (folder / "notes.docx").write_bytes(b"PK")
    settings = {**tiny_runs.COMMON, **tiny_runs.OWN[name], **QUICK}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    printed = did("run", "--plugin", name, "--data", folder, "--out", run, *sets)
    assert "1 left out (1 with another suffix)" in printed
    files = sorted(os.fsdecode(file) for file in os.listdir(os.fsencode(folder)) if file != b"notes.docx")
    inputs = [f"{folder}/{file}" for file in files]
    did("reconstruct", run, *inputs, "--out", tmp_path / "made")
    assert len(list((tmp_path / "made").iterdir())) == len(NAMES)
    did("complete", run, inputs[0], "--observe", "x<0", "-n", "1", "--steps", "1", "--out", tmp_path / "completed")
    did("sample", run, "-n", "1", "--out", tmp_path / "samples")
    did("status", run)
    did("doctor", run)
    report = (run / "report.html").read_text(encoding="utf-8")
    assert not CONTROL.search(report)
    assert "1 left out (1 with another suffix)" in report
    kept = json.loads((run / "data.json").read_text(encoding="utf-8"))
    assert "notes.docx" in kept["left_out"]
    if name == "image":
        assert "5 signals cut to the centre: 0.2 of the area" in report
        assert len(kept["changes"]) == 5
    for path in run.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))

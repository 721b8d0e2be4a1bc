"""A new plugin is clean code, keeps the contract, passes its own tests, and trains to a report, whatever its axes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from made_plugins import AXES, name_of
from PIL import Image
from typer.testing import CliRunner

import preloaded
from ddmi_core.api.panels import Look
from ddmi_core.cli.main import app
from ddmi_core.grids.raster import Window
from ddmi_core.parts import StoredGrid
from ddmi_core.registry.records import Status
from ddmi_core.scaffold.choices import choice_of
from ddmi_core.testing import Subject, examine
from ddmi_core.testing.check_list import IN_A_FRESH_PROCESS, IN_THIS_PROCESS
from ddmi_core.testing.probe import checked

ROOT = Path(__file__).parents[2]
TINY = (
    "domain.count=40",
    "autoencoder.training.steps=12",
    "diffusion.training.steps=12",
    "sampling.count=2",
    "sampling.steps=2",
    "evaluation.samples=4",
    'evaluation.grid=["euler:2"]',
)

every_choice = pytest.mark.parametrize("axes", AXES)


def tool(*command: object, folder: Path, program: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "-m", *map(str, command)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def ddmi(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


@every_choice
def test_the_code_is_clean(made: dict[str, Path], axes: str) -> None:
    for command in (("ruff", "check", "--no-cache", "."), ("ruff", "format", "--no-cache", "--check", ".")):
        done = tool(*command, folder=made[axes])
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_is_typed(made: dict[str, Path], tmp_path: Path) -> None:
    packages = [part for folder in made.values() for part in ("-p", folder.name.replace("-", "_"))]
    config = tmp_path / "mypy.ini"
    config.write_text(f"[mypy]\nstrict = True\nmypy_path = {':'.join(map(str, made.values()))}\n")
    done = tool("mypy", "--config-file", config, "--cache-dir", ROOT / ".mypy_cache", *packages, folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@every_choice
def test_its_rules_are_those_of_this_project(made: dict[str, Path], axes: str) -> None:
    own, ours = (
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
        for folder in (made[axes], ROOT)
    )
    assert own["line-length"] == ours["line-length"]
    assert own["lint"]["select"] == ours["lint"]["select"]
    assert set(own["lint"]["ignore"]) <= set(ours["lint"]["ignore"])


def test_each_is_listed_as_ready(installed: dict[str, Path]) -> None:
    found = {
        record.name: (record.status, record.axes) for record in checked() if record.name in map(name_of, installed)
    }
    assert found == {name_of(axes): (Status.READY, tuple(axes)) for axes in AXES}


@every_choice
def test_it_keeps_the_contract(installed: dict[str, Path], axes: str) -> None:
    # Processes take seconds to start, so one of the plugins stands for all in what is looked at in fresh ones.
    checks = IN_THIS_PROCESS + (IN_A_FRESH_PROCESS if axes == "t" else ())
    with Subject(name_of(axes), settings=("domain.count=40",)) as subject:
        found = examine(subject, list(checks), lambda outcome: None)
    assert [outcome.lines() for outcome in found.failed] == []


@pytest.mark.parametrize("axes", [axes for axes in AXES if len(axes) > 2])
def test_the_view_draws_the_slice_at_the_sliders_and_nothing_else(installed: dict[str, Path], axes: str) -> None:
    with Subject(name_of(axes), settings=("domain.count=40",)) as subject:
        field, renderer, panel = subject.fields[:1], subject.parts.renderer, subject.parts.panel()
        shown = panel.show(field, Look(size=(200, 150), at=(0.3,) * len(panel.sliders)))
        slider = [(0.3 - 1 / length, 0.3 + 1 / length) for length in renderer.native[:-2]]
        window = Window((1,) * len(slider) + (200, 150), (*slider, (-1.0, 1.0), (-1.0, 1.0)))
        values = renderer.render(field, window).array().reshape(200, 150)
    drawn = np.asarray(Image.open(BytesIO(shown.data)))
    assert drawn.shape == (200, 150)
    assert np.abs(drawn - (values + 1) * 127.5).max() <= 0.51


@pytest.mark.parametrize("axes", [axes for axes in AXES if len(axes) > 2])
def test_few_slices_are_drawn_once_each(installed: dict[str, Path], axes: str) -> None:
    picture = import_module(f"ddmi_made_{axes}.picture").picture
    shape = (1,) * (len(axes) - 3) + (3, 9, 7)
    values = np.random.default_rng(0).uniform(-1, 1, (*shape, 1)).astype(np.float32)
    drawn = np.asarray(picture(StoredGrid(values=values, size=shape, extent=(2.0,) * len(shape))))
    assert drawn.shape == (9, 3 * 7 + 2)
    for number, part in enumerate(np.split(values.reshape(3, 9, 7), 3)):
        assert np.abs(drawn[:, 8 * number : 8 * number + 7] - (part[0] + 1) * 127.5).max() <= 0.51


@every_choice
def test_it_passes_its_own_tests(installed: dict[str, Path], axes: str) -> None:
    done = tool(
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "not TestMade",
        folder=installed[axes],
        program=preloaded.python(),
    )
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


@every_choice
def test_it_trains_to_a_report(installed: dict[str, Path], axes: str, tmp_path: Path) -> None:
    sets = [part for change in TINY for part in ("--set", change)]
    ddmi("run", "--plugin", name_of(axes), "--out", tmp_path / "run", *sets)
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    samples = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in samples] == [f"sample-000{n}{choice_of(axes).suffix}" for n in range(2)]
    # What was written is data, too: a folder of signals, too few for a run, and one to be drawn again.
    assert "1 training signal, 1 held out" in ddmi(
        "data", "check", tmp_path / "run" / "samples", "--plugin", name_of(axes), status=2
    )
    size = choice_of(axes).size
    ddmi("reconstruct", tmp_path / "run", samples[0], "--size", size, "--out", tmp_path / "again")
    assert len(list((tmp_path / "again").iterdir())) == 1

"""A run from a program: the same as the command's, loaded when it is done."""

from __future__ import annotations

import tomllib
from io import StringIO

import pytest
import torch
from rich.console import Console

import ddmi_core
from ddmi_core.errors import ConfigError, OutputError, PluginError
from ddmi_core.settings.config import Sampling

FEW = ["autoencoder.training.steps=4", "diffusion.training.steps=4"]


def test_a_program_gets_the_model_that_the_same_run_leaves_behind(finished_runs, tmp_path):
    ours = ddmi_core.run("wave", tmp_path / "run")
    theirs = ddmi_core.load(finished_runs["wave"])
    assert (tmp_path / "run" / "report.html").is_file()
    assert torch.equal(ours.sample_latents(3, Sampling(seed=1)), theirs.sample_latents(3, Sampling(seed=1)))


def test_preset_file_overrides_data_and_seed_are_those_of_the_command(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[domain]\ncount = 12\nsize = 8\n")
    text = StringIO()
    model = ddmi_core.run(
        "wave",
        str(tmp_path / "run"),
        preset="quick",
        config=str(file),
        overrides=[*FEW, "domain.size=16"],
        data="formulas",
        seed=7,
        console=Console(file=text, width=200),
    )
    stored = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
    assert stored["domain"] == {"size": 16, "count": 12}
    assert (stored["seed"], stored["data"]) == (7, "formulas")
    assert model.config.autoencoder.training.steps == 4
    assert "10 training signals, 2 held out" in text.getvalue()


def test_a_run_says_nothing_unless_asked(tmp_path, capfd):
    ddmi_core.run("wave", tmp_path / "run", overrides=FEW)
    assert capfd.readouterr() == ("", "")


def test_a_folder_in_use_is_refused_and_can_be_resumed(copied_run, formula_domain):
    with pytest.raises(OutputError, match="already holds a run"):
        ddmi_core.run(formula_domain.name, copied_run)
    (copied_run / "metrics.json").unlink()
    ddmi_core.run(formula_domain.name, copied_run, resume=True)
    assert (copied_run / "metrics.json").is_file()


def test_wrong_requests_leave_no_folder(tmp_path):
    with pytest.raises(PluginError, match="did you mean 'wave'"):
        ddmi_core.run("wawe", tmp_path / "run")
    with pytest.raises(ConfigError, match=r"autoencoder\.training\.stepz"):
        ddmi_core.run("wave", tmp_path / "run", overrides=["autoencoder.training.stepz=4"])
    assert not (tmp_path / "run").exists()

"""Settings of the domain that a trained model takes anew: how files are read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.cli.main import app
from ddmi_core.errors import ConfigError


def test_a_model_reads_files_by_other_settings_with_the_same_weights(tmp_path):
    Image.new("RGBA", (48, 48)).save(tmp_path / "clear.png")
    usual, black = (
        ddmi_core.load(plugin="image", device="cpu", overrides=given) for given in ([], ["domain.background=black"])
    )
    assert usual.read(tmp_path / "clear.png").values.min() == 1
    assert black.read(tmp_path / "clear.png").values.max() == -1
    assert black.config.sampling == usual.config.sampling


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("sampling.steps=3", "--set sampling.steps=3: a trained model takes other settings of its domain alone"),
        ("domain.backgrond=black", "--set domain.backgrond=black.*background"),
        ("domain.background=alpha", "--set domain.background=alpha: the trained weights do not fit"),
    ],
)
def test_other_settings_are_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        ddmi_core.load(plugin="image", device="cpu", overrides=[given])


def test_reconstruct_takes_settings_of_the_domain(tmp_path):
    Image.new("RGBA", (48, 48)).save(tmp_path / "clear.png")
    common = ["reconstruct", "--plugin", "image", str(tmp_path / "clear.png"), "--out"]
    for folder, more in (("usual", []), ("black", ["--set", "domain.background=black"])):
        done = CliRunner().invoke(app, [*common, str(tmp_path / folder), *more])
        assert done.exit_code == 0, done.output
    usual, black = (np.asarray(Image.open(tmp_path / folder / "clear.png")).mean() for folder in ("usual", "black"))
    assert usual > 200 > 55 > black

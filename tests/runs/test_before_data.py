"""What a run checks before it reads data: the preset's data set, packages and files of parts, and their sizes."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

import formula_domains
from ddmi_core.cli.main import app
from ddmi_core.errors import ConfigError
from ddmi_core.model.build import check_parts
from ddmi_core.model.data import preset_source
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import preset_data, resolve
from variants import variant
from whole_runs import run

FOR = {"image": "celeba-hq", "occupancy": "shapenet", "video": "sky-timelapse", "nerf": "srn-cars"}


@pytest.mark.parametrize("plugin", FOR)
def test_the_paper_preset_without_data_names_its_data_set_and_stops(plugin, tmp_path):
    done = CliRunner().invoke(app, ["run", "--plugin", plugin, "--preset", "paper", "--out", str(tmp_path / "run")])
    told = " ".join(done.stderr.split())
    assert done.exit_code == 2
    assert f"preset 'paper' is for the data '{FOR[plugin]}'" in told
    assert f"ddmi data check {FOR[plugin]} --plugin {plugin}" in told
    assert f"--data {FOR[plugin]}:PATH" in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("plugin", FOR)
def test_other_presets_keep_the_domains_default_data(plugin):
    domain = domain_named(plugin)
    assert preset_source(build_parts(domain, resolve(domain).domain), "quick") == ""
    assert {preset_data(domain, preset) for preset in ("quick", "base")} == {""}
    assert resolve(domain, "paper").data == ""
    assert resolve(domain, "paper", data="elsewhere").data == "elsewhere"


def another(location: None, settings):
    """Formulas with another name."""
    return formula_domains.wave_source(location, settings)


def test_a_preset_for_data_without_files_uses_them(tmp_path):
    presets = {**formula_domains.Waves.presets(), "other": 'data = "another"\n[autoencoder.training]\nsteps = 2'}
    domain = variant(
        formula_domains.WAVE,
        sources=lambda self: {"formulas": formula_domains.wave_source, "another": another},
        presets=classmethod(lambda cls: presets),
    )
    parts = build_parts(domain, resolve(domain).domain)
    assert preset_source(parts, "other") == "another"
    assert preset_source(parts, "quick") == ""


@pytest.fixture
def no_data(monkeypatch):
    def load(*_):
        raise AssertionError("data were read")

    monkeypatch.setattr(pipeline, "load_data", load)


def test_a_missing_package_ends_a_run_before_its_data_are_read(tmp_path, no_data, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ConfigError, match=r"autoencoder\.perceptual\.kind=lpips requires an extra"):
        run(domain_named("image"), tmp_path / "run", "autoencoder.perceptual.kind=lpips")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("autoencoder.perceptual.kind=spectral", "unknown term 'spectral'"),
        ("autoencoder.encoder.factorised=true", "requires a grid of three axes"),
        ("diffusion.denoiser.heads=7", r"diffusion\.denoiser do not fit .* heads = 7 .*set heads to \d, or .*width"),
        ("autoencoder.encoder.patch=[2, 2]", "needs one number for each of 1 axes"),
    ],
)
def test_settings_that_do_not_fit_end_a_run_before_its_data_are_read(setting, told, tmp_path, no_data):
    with pytest.raises(ConfigError, match=told):
        run(formula_domains.WAVE, tmp_path / "run", setting)


def test_a_part_that_needs_values_is_not_examined():
    def needing(self, config):
        import torch

        torch.zeros(1).item()

    domain = variant(formula_domains.WAVE, encoder=needing, presets=formula_domains.Waves.presets)
    config = resolve(domain)
    check_parts(build_parts(domain, config.domain), config)


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (("diffusion.path.beta_start=0.5", "diffusion.path.beta_end=0.1"), ("beta_start is 0.5", "beta_end 0.1")),
        (("diffusion.denoiser.multipliers=[1, 0]",), ("diffusion.denoiser.multipliers", "each >= 1")),
        (("autoencoder.encoder.widths=[0, 8]",), ("autoencoder.encoder.widths", "each >= 1")),
        (("autoencoder.decoder.basis=[0]",), ("autoencoder.decoder.basis", "each >= 1")),
        (("autoencoder.decoder.widths=[8]", "autoencoder.decoder.basis=[4, 4]"), ("basis has 2", "widths only 1")),
    ],
)
def test_settings_that_exclude_each_other_are_named(sets, told):
    with pytest.raises(ConfigError) as caught:
        resolve(formula_domains.WAVE, overrides=sets)
    assert all(words in str(caught.value) for words in told)


def test_a_patch_of_the_encoder_that_is_larger_than_the_signals_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"encoder\.patch = \[4096\] is larger than a signal of \[\d+\] cells"):
        run(formula_domains.WAVE, tmp_path / "run", "autoencoder.encoder.patch=[4096]")

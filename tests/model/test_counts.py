"""Counts of parameters and operations: against built models and counted layers, without data, for any domain."""

from __future__ import annotations

import json

import pytest
import torch
from attrs import astuple
from torch import nn
from typer.testing import CliRunner

import formula_domains
from ddmi_core.api.signals import Split
from ddmi_core.cli.main import app
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.errors import ConfigError, PluginError, RequestError
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.model.counts import Counts, PartCounts, count
from ddmi_core.networks import Attention
from ddmi_core.parts import DomainParts
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from variants import variant

DOMAINS = {"wave": formula_domains.WAVE, "block": formula_domains.BLOCK}


def counted(domain, *sets, preset=""):
    config = resolve(domain, preset, overrides=sets)
    return count(build_parts(domain, config.domain), config)


def operations(network, call):
    """Of convolutions, linear layers and attention, from the sizes of weights, outputs and tokens."""
    total = 0

    def hook(module, inputs, output):
        nonlocal total
        if isinstance(module, Attention):
            batch, tokens, width = inputs[0].shape
            total += 2 * 2 * batch * tokens**2 * width
        else:
            channels = module.weight.shape[0]
            total += 2 * module.weight.numel() * output.numel() // channels

    leaves = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | Attention)]
    handles = [leaf.register_forward_hook(hook) for leaf in leaves]
    with torch.no_grad():
        result = call()
    for handle in handles:
        handle.remove()
    return result, total


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("kind", ["unet", "transformer"])
def test_counts_are_those_of_the_built_model(name, kind):
    domain = DOMAINS[name]
    config = resolve(domain, overrides=[f"diffusion.denoiser.kind={kind}"])
    parts = build_parts(domain, config.domain)
    found = count(parts, config)

    autoencoder = build_autoencoder(parts, config)
    signal = next(iter(parts.sources().values()))(None, parts.settings).train.batch([0])
    posterior, encoder = operations(autoencoder.encoder, lambda: autoencoder.encode(signal))
    _, decoder = operations(autoencoder.decoder, lambda: autoencoder.decode(posterior.mean))
    readout = sum(2 * m.weight.numel() for m in autoencoder.readout.modules() if isinstance(m, nn.Linear))
    shape = LatentShape.of(posterior.mean)
    diffusion = build_diffusion(domain, config, shape, 1)
    _, denoiser = operations(
        diffusion, lambda: diffusion(torch.zeros(1, shape.length), torch.ones(1), diffusion.condition.none(1))
    )
    assert found.flops == PartCounts(encoder, decoder, readout, denoiser)
    networks = (autoencoder.encoder, autoencoder.decoder, autoencoder.readout, diffusion)
    sizes = [sum(weight.numel() for weight in network.state_dict().values()) for network in networks]
    assert found.parameters == PartCounts(*sizes)


def test_vectors_of_a_condition_are_counted():
    words = counted(formula_domains.WAVE, "diffusion.condition=words").parameters
    none = counted(formula_domains.WAVE, "diffusion.condition=none").parameters
    assert words.denoiser > none.denoiser
    assert words.encoder == none.encoder


class DataReadError(Exception):
    """Data are read."""


def refusing(self):
    raise DataReadError


@pytest.mark.parametrize("name", ["image", "occupancy", "nerf", "video"])
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_no_data_are_read_and_no_weights_are_made(name, preset, monkeypatch):
    monkeypatch.setattr("ddmi_core.model.counts.DEVICES", ("meta",))
    domain = domain_named(name)
    monkeypatch.setattr(domain.load(), "sources", refusing)
    found = counted(domain, preset=preset)
    assert min(*astuple(found.parameters), *astuple(found.flops)) > 0


def test_a_domain_without_a_blank_signal_gives_its_first():
    seen = []

    def source(location, settings):
        seen.append(location)
        split: Split = formula_domains.wave_source(location, settings)
        return split

    domain = variant(formula_domains.WAVE, blank=DomainParts.blank, sources=lambda self: {"formulas": source})
    assert counted(domain) == counted(formula_domains.WAVE)
    assert seen == [None]


def encoder_that(change):
    def encoder(self, config):
        network = formula_domains.Waves.encoder(self, config)
        network.register_forward_pre_hook(lambda module, inputs: change(inputs[0]))
        return network

    return encoder


def test_an_encoder_that_requires_values_is_counted_on_the_cpu():
    def needs_values(signal):
        assert float(signal.values.sum()) == 0

    domain = variant(formula_domains.WAVE, encoder=encoder_that(needs_values))
    assert counted(domain) == counted(formula_domains.WAVE)


def test_an_encoder_that_takes_another_signal_is_told_what_to_define():
    domain = variant(formula_domains.WAVE, encoder=encoder_that(lambda signal: signal.nothing))
    with pytest.raises(PluginError, match=r"'nothing'.*Fix: define VariantWaves\.blank"):
        counted(domain)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "autoencoder.encoder.factorised=true",
            r"autoencoder\.encoder .* this one has 2\. Fix: remove it$",
        ),
        ("autoencoder.decoder.attention=[64]", r"autoencoder\.decoder .* attention has 64.*widths=.*Fix: choose"),
        ("autoencoder.decoder.joined=true", r"autoencoder\.decoder .* joined = true .*Fix: remove `joined`"),
    ],
)
def test_settings_that_do_not_fit_are_an_error_with_one_fix(setting, told):
    with pytest.raises(ConfigError, match=told) as caught:
        counted(domain_named("image"), setting)
    assert str(caught.value).count("Fix:") == 1


def test_errors_for_the_user_pass():
    with pytest.raises(RequestError, match="ddmi"):
        counted(variant(formula_domains.WAVE, conditions=lambda self: {"text": raising}), "diffusion.condition=text")


def raising():
    raise RequestError("install ddmi[text]")


def test_the_command_prints_json_and_a_table():
    run = CliRunner().invoke(app, ["doctor", "--plugin", "image", "--set", "autoencoder.readout.width=16", "--json"])
    printed = json.loads(run.stdout)
    training = printed.pop("training")
    assert list(training["stages"]) == ["autoencoder", "diffusion"]
    assert printed == counted(domain_named("image"), "autoencoder.readout.width=16").to_json()
    assert list(printed) == ["parameters", "flops"]
    assert list(printed["flops"]) == ["encoder", "decoder", "readout", "denoiser"]
    table = CliRunner().invoke(app, ["doctor", "--plugin", "image", "--set", "autoencoder.readout.width=16"]).stdout
    assert [line.split()[0] for line in table.splitlines()[:5]] == ["part", "encoder", "decoder", "readout", "denoiser"]
    assert "training" in table.splitlines()[6]
    assert f"{printed['parameters']['denoiser']:,}" in table


def test_a_table_is_aligned():
    lines = Counts(PartCounts(1, 22, 333, 4444), PartCounts(5, 6, 7, 8)).lines()
    assert lines[4] == "denoiser       4,444              8  latent and evaluation"


def test_sizes_without_a_plugin_are_refused():
    run = CliRunner().invoke(app, ["doctor", "--preset", "paper"])
    assert run.exit_code == 2
    assert "add --plugin" in " ".join(run.output.split())

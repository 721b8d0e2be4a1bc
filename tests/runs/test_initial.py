"""Runs that start from finished weights: what they load, record and refuse, and how they go on."""

from __future__ import annotations

import shutil

import pytest
import torch
from attrs import evolve

import ddmi_core
import formula_domains
from ddmi_core.autoencoder.config import AdversarialConfig
from ddmi_core.errors import CheckpointError, ConfigError, Interrupted, RequestError
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.model.initial import opened
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.runs import pipeline
from ddmi_core.runs.publish import publish
from ddmi_core.settings.convert import flat, unstructure
from ddmi_core.settings.resolve import WeightsSettings, loads, resolve
from ddmi_core.training import checkpoint
from ddmi_core.training.log import Log
from variants import variant

OTHER = ["domain.count=30", "autoencoder.training.log=1", "diffusion.training.log=1"]
FEW = [*OTHER, "autoencoder.training.steps=4", "diffusion.training.steps=4"]


@pytest.fixture(scope="module")
def weights(finished_runs):
    """A finished run of the wave domain."""
    return finished_runs["wave"]


@pytest.fixture(scope="module")
def tuned(weights, tmp_path_factory):
    """A run that has started from it, with more data."""
    out = tmp_path_factory.mktemp("tuned") / "run"
    ddmi_core.run(None, out, weights=weights, overrides=FEW)
    return out


def final(run, stage):
    return checkpoint.load(RunFolder(run).path / stage / "final")


def weights_of(run, stage):
    return {name: tensor.float() for name, tensor in final(run, stage).tensors("weights").items()}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def changed(mine, theirs):
    first, second = flat(unstructure(mine)), flat(unstructure(theirs))
    return {key: value for key, value in first.items() if value != second[key]}


def test_settings_are_those_of_the_weights_with_a_tenth_of_the_steps(weights):
    config = resolve(formula_domains.WAVE, overrides=["domain.count=30"], weights=opened(str(weights)).settings)
    theirs = opened(str(weights)).config
    own = {f"{stage}.training": getattr(theirs, stage).training for stage in ("autoencoder", "diffusion")}
    assert changed(config, theirs) == {
        "weights": str(weights),
        "domain.count": 30,
        "autoencoder.kl_anneal": theirs.autoencoder.kl_anneal / 10,
        **{f"{key}.steps": 6 for key in own},
        **{f"{key}.warmup": training.warmup // 10 for key, training in own.items() if training.warmup},
    }


def test_weights_that_are_fine_tuned_have_such_settings_already(weights, tuned):
    config = resolve(formula_domains.WAVE, weights=opened(str(tuned)).settings)
    assert changed(config, opened(str(tuned)).config) == {"weights": str(tuned)}


def test_a_discriminator_starts_at_the_same_share_of_the_steps(weights):
    theirs = opened(str(weights)).config
    late = evolve(
        theirs, autoencoder=evolve(theirs.autoencoder, kl_anneal=0.3, adversarial=AdversarialConfig(start=30))
    )
    started = WeightsSettings("late", late).started().autoencoder
    assert (started.training.steps, started.adversarial.start, started.kl_anneal) == (6, 3, 0.3)


@pytest.mark.parametrize("stage", ["autoencoder", "denoiser"])
def test_training_starts_at_the_loss_of_the_weights(weights, tuned, stage):
    def losses(run):
        return [record["loss"] for record in Log(run / "log.jsonl").records() if record["stage"] == stage]

    first, last = losses(tuned)[0], losses(weights)[-1]
    assert first < (losses(weights)[0] + last) / 2


def test_the_run_records_the_weights_and_keeps_a_copy(weights, tuned):
    begun = read_head(RunFolder(tuned)).begun
    assert begun.weights == weights.name
    assert begun.autoencoder == final(weights, "autoencoder").digest("weights")
    assert begun.denoiser == final(weights, "denoiser").digest("weights")
    assert begun.fingerprint == read_head(RunFolder(weights)).fingerprint
    for stage, digest in (("autoencoder", begun.autoencoder), ("denoiser", begun.denoiser)):
        assert final(tuned, stage).record["initial"] == digest
        assert final(tuned / "initial", stage).digest("weights") == digest
    assert f"{begun}" in (tuned / "report.html").read_text()


def test_without_steps_the_autoencoder_keeps_its_bits(weights, tmp_path):
    ddmi_core.run("wave", tmp_path / "run", weights=weights, overrides=[*FEW, "autoencoder.training.steps=0"])
    assert equal(weights_of(tmp_path / "run", "autoencoder"), weights_of(weights, "autoencoder"))
    assert not equal(weights_of(tmp_path / "run", "denoiser"), weights_of(weights, "denoiser"))


def test_average_velocities_start_from_weights_without_them_and_the_reverse(weights, tmp_path):
    few = ["autoencoder.training.steps=0", "diffusion.few_steps=0.5", "sampling.sampler=mean_flow", "sampling.steps=1"]
    model = ddmi_core.run(None, tmp_path / "few", weights=weights, overrides=[*FEW, *few])
    assert model.sample(2).basis[0]
    start = build_diffusion(model.domain, model.config, model.shape, len(model.classes))
    opened(str(weights)).load_denoiser(start, model.config, model.classes)
    velocity = ddmi_core.load(weights).diffusion
    noisy, t = torch.randn(2, model.shape.length, generator=torch.Generator().manual_seed(0)), torch.full((2,), 0.7)
    none = velocity.condition.none(2)
    span = torch.tensor([[0.7, 0.2]]).expand(2, 2)
    torch.testing.assert_close(start(noisy, span, none), velocity(noisy, t, none))
    assert not equal(weights_of(tmp_path / "few", "denoiser"), weights_of(weights, "denoiser"))
    back = ddmi_core.run(
        None,
        tmp_path / "back",
        weights=tmp_path / "few",
        overrides=[*FEW, *few[:1], "diffusion.few_steps=0", "sampling.sampler=unipc"],
    )
    assert back.diffusion.duration is None


def test_published_weights_of_half_precision_are_a_start_too(weights, tmp_path):
    publish(weights, tmp_path / "published", license_name="cc-by-sa-4.0")
    sets = [*FEW, "autoencoder.training.steps=0"]
    ddmi_core.run(None, tmp_path / "run", weights=tmp_path / "published", overrides=sets)
    assert equal(weights_of(tmp_path / "run", "autoencoder"), weights_of(tmp_path / "published", "autoencoder"))
    publish(tmp_path / "run", tmp_path / "mine", license_name="mit")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "| fine-tuned from | published (autoencoder " in card
    assert "`mit`\n\nThese weights were fine-tuned from `published`. The licence of those, `cc-by-sa-4.0`" in card
    assert opened(str(tmp_path / "mine")).begun().license == "mit"


def test_a_licence_that_the_card_does_not_state_is_that_of_the_weights_before(weights, tmp_path, tuned):
    assert opened(str(weights)).begun().license == ""
    publish(weights, tmp_path / "published", license_name="cc-by-4.0")
    run = tmp_path / "run"
    ddmi_core.run(None, run, weights=tmp_path / "published", overrides=FEW)
    assert opened(str(run)).begun().license == "cc-by-4.0"


@pytest.mark.parametrize("moment", ["before the first checkpoint", "in stage 2"])
def test_a_stopped_run_goes_on_without_the_weights_to_the_same_bits(weights, tuned, tmp_path, monkeypatch, moment):
    source = shutil.copytree(weights, tmp_path / "source")
    out, stopped = tmp_path / "run", "_steps" if moment == "before the first checkpoint" else "_denoiser"
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, stopped, lambda *arguments: (_ for _ in ()).throw(Interrupted("here", 2)))
        with pytest.raises(Interrupted):
            ddmi_core.run("wave", out, weights=source, overrides=FEW)
    shutil.rmtree(source)
    ddmi_core.run("wave", out, resume=True)
    for stage in ("autoencoder", "denoiser"):
        assert final(out, stage).digest("weights") == final(tuned, stage).digest("weights")


def test_a_run_killed_before_its_copy_has_its_name_goes_on(weights, tuned, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "kept", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ddmi_core.run("wave", out, weights=weights, overrides=FEW)
    assert not (out / "initial").exists()
    ddmi_core.run("wave", out, resume=True)
    assert final(out, "denoiser").digest("weights") == final(tuned, "denoiser").digest("weights")


@pytest.mark.parametrize("damage", ["missing", "other"])
def test_a_resumed_run_refuses_other_initial_weights(tuned, finished_runs, tmp_path, damage):
    out = shutil.copytree(tuned, tmp_path / "run")
    shutil.rmtree(out / "denoiser")
    if damage == "missing":
        shutil.rmtree(out / "initial")
    else:
        shutil.rmtree(out / "initial" / "denoiser")
        shutil.copytree(tuned / "denoiser", out / "initial" / "denoiser")
    with pytest.raises(CheckpointError, match=r"initial .*Fix: restore|copy of them is missing.*Fix: restore"):
        ddmi_core.run("wave", out, resume=True)


def test_a_finished_run_needs_no_initial_weights(tuned, tmp_path):
    out = shutil.copytree(tuned, tmp_path / "run")
    shutil.rmtree(out / "initial")
    (out / "report.html").unlink()
    ddmi_core.run("wave", out, resume=True)
    assert (out / "report.html").is_file()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("autoencoder.latent_channels=7", "'autoencoder.latent_channels'.*given 7.*have .*Fix: leave it out"),
        ("autoencoder.readout.activation=gelu", "'autoencoder.readout.activation'.*'gelu'.*have "),
        ("diffusion.denoiser.width=8", "'diffusion.denoiser.width'"),
        ("diffusion.path.kind=variance_preserving", "'diffusion.path.kind'"),
        ("diffusion.condition=words", "'diffusion.condition'.*'words'"),
        ("weights=runs/other", "--from"),
    ],
)
def test_settings_of_other_networks_are_refused(weights, tmp_path, setting, said):
    with pytest.raises(ConfigError, match=said):
        ddmi_core.run(None, tmp_path / "run", weights=weights, overrides=[*FEW, setting])
    assert not (tmp_path / "run").exists()


def test_a_setting_of_the_domain_that_changes_the_networks_is_named(weights, tmp_path):
    base = formula_domains.WAVE.load()

    def encoder(self, config):
        widths = tuple(width * self.settings.size // 16 for width in config.encoder.widths)
        return base.encoder(self, evolve(config, encoder=evolve(config.encoder, widths=widths)))

    domain = variant(formula_domains.WAVE, encoder=encoder)
    initial = evolve(opened(str(weights)), domain=domain)
    config = resolve(domain, overrides=["domain.count=30", "domain.size=32"], weights=initial.settings)
    model = build_autoencoder(build_parts(domain, config.domain), config)
    with pytest.raises(ConfigError, match=r"setting domain\.size = 32: .* have 16, .*size mismatch.*Fix") as caught:
        initial.load_autoencoder(model, config)
    assert "count" not in str(caught.value)


def test_the_wrong_plugin_and_missing_weights_are_refused(weights, finished_runs, tmp_path):
    with pytest.raises(RequestError, match=r"of plugin 'wave', not of 'block'\. Fix: leave out --plugin"):
        ddmi_core.run("block", tmp_path / "run", weights=weights)
    with pytest.raises(RequestError, match="plugin 'wave' ships no weights"):
        ddmi_core.run(None, tmp_path / "run", weights="wave")
    with pytest.raises(CheckpointError, match="ddmi fetch anna/cats"):
        ddmi_core.run(None, tmp_path / "run", weights="anna/cats")
    with pytest.raises(RequestError, match="weights to start from"):
        ddmi_core.run(None, tmp_path / "run")
    unfinished = shutil.copytree(weights, tmp_path / "unfinished")
    shutil.rmtree(unfinished / "denoiser")
    with pytest.raises(CheckpointError, match="is not finished"):
        ddmi_core.run(None, tmp_path / "run", weights=unfinished)
    assert not (tmp_path / "run").exists()


def test_only_the_autoencoder_of_finished_weights_may_have_no_steps(weights, tmp_path):
    with pytest.raises(ConfigError, match=r"autoencoder\.training\.steps is 0.*Fix: add --from"):
        ddmi_core.run("wave", tmp_path / "run", overrides=["autoencoder.training.steps=0"])
    with pytest.raises(ConfigError, match=r"training\.steps is 0, which the autoencoder alone takes"):
        ddmi_core.run(None, tmp_path / "run", weights=weights, overrides=["diffusion.training.steps=0"])


def test_a_file_of_settings_of_a_tuned_run_says_that_it_needs_weights(weights, tuned, tmp_path):
    with pytest.raises(ConfigError, match=r"started from the weights .*Fix: add --from"):
        ddmi_core.run("wave", tmp_path / "run", config=tuned / "run.toml")
    config = resolve(formula_domains.WAVE, file=tuned / "run.toml", weights=opened(str(weights)).settings)
    assert config == loads(formula_domains.WAVE, (tuned / "run.toml").read_text(), "")


def test_classes_keep_their_embeddings_by_name_and_new_ones_start_as_no_condition(weights):
    initial = opened(str(weights))
    table = weights_of(weights, "denoiser")["condition.weight"]
    config = initial.config
    shape = ddmi_core.load(weights, device="cpu").shape
    model = build_diffusion(formula_domains.WAVE, config, shape, 3)
    initial.load_denoiser(model, config, ("fast", "new", "slow"))
    assert torch.equal(model.condition.weight, table[[1, 2, 0, 2]])
    split = formula_domains.wave_source(None, config.domain)
    split.train.classes = ("fast", "new")
    assert "classes that the weights do not know start as no condition: new" in list(initial.notes(config, split))


def test_data_without_captions_start_from_no_condition_of_words(weights, tmp_path):
    domain = formula_domains.WAVE
    initial = opened(str(weights))
    config = resolve(domain, overrides=["diffusion.condition=words"])
    shape = ddmi_core.load(weights, device="cpu").shape
    spoken = build_diffusion(domain, config, shape, 0, 16)
    place = RunFolder(shutil.copytree(weights, tmp_path / "spoken"))
    record = {key: value for key, value in final(weights, "denoiser").record.items() if key not in ("files", "format")}
    checkpoint.save(place.denoiser / "final", {"weights": spoken.state_dict()}, record)
    named = evolve(initial, folder=place, config=config)
    plain = resolve(domain, overrides=["diffusion.condition=class"])
    model = build_diffusion(domain, plain, shape, 2)
    named.load_denoiser(model, plain, ("slow", "fast"))
    noisy, times = torch.randn(3, shape.length), torch.rand(3)
    expected = spoken(noisy, times, spoken.condition.none(3))
    for conditions in (model.condition.none(3), torch.tensor([0, 1, 1])):
        torch.testing.assert_close(model(noisy, times, conditions), expected)

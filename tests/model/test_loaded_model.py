"""A finished run as a model in a program: loading, sampling, encoding, decoding, rendering."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve

import ddmi_core
import formula_domains
from ddmi_core.api.evaluation import Figure
from ddmi_core.diffusion.samplers import dpmpp_2m
from ddmi_core.errors import CheckpointError, ConfigError, DdmiWarning, OutputError, PluginError, RequestError
from ddmi_core.model.data import load_data
from ddmi_core.model.model import Model
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.extensions import names
from ddmi_core.runs import generate
from ddmi_core.runs.publish import publish
from ddmi_core.settings.config import Export, Sampling
from ddmi_core.sources.account import Change, account
from ddmi_core.training import checkpoint
from resealed import resealed
from variants import model_variant, returning
from whole_runs import DOMAINS, run

SAMPLERS = [name for name in names("samplers") if name != "mean_flow"]  # which needs average velocities


def held_out(domain, count: int = 3):
    return load_data(build_parts(domain, formula_domains.FormulaSettings()), "").held_out.batch(range(count))


def values(fields) -> torch.Tensor:
    """Basis fields of a batch as one tensor."""
    return torch.cat([plane.flatten(1) for scale in fields.basis for plane in scale], dim=1)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sample_i_depends_on_the_seed_and_i_alone(sampler, model):
    few, many = (model.sample_latents(n, Sampling(seed=3, sampler=sampler, steps=3)) for n in (2, 5))
    torch.testing.assert_close(many[:2], few, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ancestral"])
def test_samples_do_not_depend_on_where_batches_are_cut(sampler, model, monkeypatch):
    whole = model.sample_latents(5, Sampling(seed=3, sampler=sampler, steps=3))
    monkeypatch.setattr("ddmi_core.model.model.LARGEST_BATCH", 2)
    again = model.sample_latents(5, Sampling(seed=3, sampler=sampler, steps=3))
    torch.testing.assert_close(again, whole, atol=1e-5, rtol=1e-5)
    assert len(model.sample(5, seed=3)) == 5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_bits_and_another_one_others(sampler, model):
    first, again, other = (model.sample(2, seed=seed, sampler=sampler, steps=3) for seed in (7, 7, 8))
    assert torch.equal(values(first), values(again))
    assert not torch.allclose(values(first), values(other))


def test_two_loads_of_a_run_sample_the_same_bits(model, finished_run):
    again = ddmi_core.load(str(finished_run), device="cpu")
    assert torch.equal(again.sample_latents(3, Sampling(seed=1)), model.sample_latents(3, Sampling(seed=1)))


def test_the_run_s_own_settings_are_the_defaults(model):
    own = model.config.sampling
    stated = model.sample_latents(2, Sampling(seed=1, sampler=own.sampler, steps=own.steps, guidance=own.guidance))
    assert torch.equal(model.sample_latents(2, Sampling(seed=1)), stated)
    assert not torch.equal(model.sample_latents(2, Sampling(seed=1, steps=own.steps + 1)), stated)


def test_sampling_leaves_the_global_random_state_and_gradients_alone(model):
    before = torch.get_rng_state()
    fields = model.sample(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    coords = torch.zeros(1, 4, len(model.domain.layout.axes), requires_grad=True)
    fields(coords).sum().backward()
    assert coords.grad.any()


def test_sampled_fields_are_functions_that_render_at_any_size(model):
    fields, axes = model.sample(3, seed=0), len(model.domain.layout.axes)
    assert len(fields) == 3
    assert fields(torch.rand(3, 7, axes) * 2 - 1).shape == (3, 7, 1)
    native = model.render(fields[0])
    assert native.array().shape == (*[16] * axes, 1)
    assert model.render(fields[0], 5).array().shape == (*[5] * axes, 1)
    assert model.render(fields[0], tuple(range(3, 3 + axes))).array().shape == (*range(3, 3 + axes), 1)
    with pytest.raises(RequestError, match="size"):
        model.render(fields[0], (4,) * (axes + 1) if axes > 1 else (4, 4))


def test_encoding_decoding_and_rendering_agree_with_observation(model):
    signal = held_out(model.domain)
    posterior = model.encode(signal)
    fields = model.decode(posterior.mean)
    assert len(fields) == 3
    parts = build_parts(model.domain, model.settings)
    observed = parts.renderer.observe(fields, parts.renderer.native_queries(3)).clamp(-1, 1)
    rendered = np.stack([model.render(field).array() for field in fields])
    np.testing.assert_allclose(rendered.reshape(observed.shape), observed.detach().numpy(), atol=1e-4)


def test_reconstructions_resemble_their_own_signals_more_than_others(model):
    signal = held_out(model.domain, 4)
    fields = model.reconstruct(signal)
    drawn = torch.stack([torch.from_numpy(model.render(field).array()).flatten() for field in fields])
    distances = torch.cdist(drawn, signal.values.flatten(1)).square()
    others = distances.sum() - distances.trace()
    assert distances.trace() / 4 < 0.8 * others / 12


def test_a_latent_can_be_fitted_through_the_decoder(model):
    latent = model.encode(held_out(model.domain, 1)).mean.map(lambda plane: plane.clone().requires_grad_())
    model.decode(latent)(torch.zeros(1, 3, len(model.domain.layout.axes))).sum().backward()
    assert all(plane.grad is not None and plane.grad.any() for plane in latent)
    assert not any(p.requires_grad for p in (*model.autoencoder.parameters(), *model.diffusion.parameters()))


def test_latents_come_to_the_model(model):
    latent, meta = model.encode(held_out(model.domain, 1)).mean, torch.device("meta")
    elsewhere = evolve(model, autoencoder=deepcopy(model.autoencoder).to(meta), device=meta)
    assert elsewhere.decode(latent).device == meta


def test_progress_is_told_once_a_step(model):
    told = []
    model.sample(2, steps=3, callback=told.append)
    assert [(p.step, p.steps, len(p.x0)) for p in told] == [(1, 3, 2), (2, 3, 2), (3, 3, 2)]


def test_a_class_that_is_asked_for_is_the_one_given(model):
    assert model.labels(range(3), seed=0, condition="fast").tolist() == [1, 1, 1]
    slow, fast = (model.sample_latents(2, Sampling(seed=0, condition=name)) for name in ("slow", "fast"))
    assert not torch.equal(slow, fast)


def test_without_a_class_each_sample_has_one_by_seed_and_number(model):
    drawn = model.labels(range(200), seed=0, condition=None)
    assert torch.equal(drawn[:50], model.labels(range(50), seed=0, condition=None))


def test_classes_are_drawn_as_often_as_they_occur_in_training(model):
    assert model.counts == (8, 12)
    drawn = model.labels(range(3000), seed=0, condition=None)
    assert set(drawn.tolist()) == {0, 1}
    assert drawn.float().mean().item() == pytest.approx(12 / 20, abs=0.03)
    skewed = evolve(model, counts=(0, 5)).labels(range(100), seed=0, condition=None)
    assert set(skewed.tolist()) == {1}


def test_a_run_that_does_not_say_how_often_classes_occur_draws_them_evenly(copied_run):
    state = copied_run / "denoiser" / "final" / "state.json"
    record = json.loads(state.read_text())
    del record["counts"]
    state.write_text(resealed(json.dumps(record)))
    model = ddmi_core.load(copied_run)
    assert model.labels(range(3000), seed=0, condition=None).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_guidance_acts_in_its_interval_alone(model):
    plain, guided = (model.sample_latents(2, Sampling(seed=0, guidance=scale)) for scale in (1.0, 4.0))
    assert not torch.allclose(plain, guided)
    outside = evolve(model, config=evolve(model.config, sampling=evolve(model.config.sampling, guidance_to=0.0)))
    assert torch.equal(outside.sample_latents(2, Sampling(seed=0, guidance=4.0)), plain)


@pytest.fixture(scope="module")
def snapshot_run(tmp_path_factory, registered):
    """A run that keeps an earlier average, and draws its samples with autoguidance."""
    place = tmp_path_factory.mktemp("snapshot") / "run"
    run(DOMAINS["wave"], place, "diffusion.training.snapshot=0.5", "sampling.autoguidance=2")
    return place


def test_autoguidance_leads_away_from_the_snapshot_of_the_same_run(snapshot_run):
    model = ddmi_core.load(snapshot_run)
    stored = checkpoint.load(snapshot_run / "denoiser" / "final")
    weights = model.weak.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in stored.tensors("snapshot").items())
    labels = model.labels(range(2), seed=0, condition=None)
    path, noise = model.diffusion.path, torch.stack([model.noise(0, number) for number in range(2)])
    strong, weak = (each.denoiser(labels) for each in (model.diffusion, model.weak))

    def expected(scale):
        def guide(x, t):
            return weak(x, t) + scale * (strong(x, t) - weak(x, t))

        return model.normalisation.invert(dpmpp_2m(guide, path, noise, path.times(4)))

    def drawn(**options):
        return model.sample_latents(2, Sampling(seed=0, sampler="dpmpp_2m", steps=4, guidance=1.0, **options))

    torch.testing.assert_close(drawn(), expected(2.0))
    torch.testing.assert_close(drawn(autoguidance=3.0), expected(3.0))
    torch.testing.assert_close(drawn(autoguidance=1.0), expected(1.0))
    assert not torch.allclose(expected(1.0), expected(2.0))
    fields = model.sample(2, seed=0, sampler="dpmpp_2m", steps=4, guidance=1.0, autoguidance=3.0)
    assert torch.equal(values(fields), values(model.fields(drawn(autoguidance=3.0))))


def test_figures_and_shared_weights_know_of_autoguidance(snapshot_run, finished_runs, tmp_path):
    stored = [json.loads((place / "metrics.json").read_text()) for place in (snapshot_run, finished_runs["wave"])]
    (own, *_), (other, *_) = (
        [entry["protocol"] for entry in each["figures"] if entry["name"] == "frechet_plain"] for each in stored
    )
    assert own["autoguidance"] == 2
    assert "autoguidance" not in other
    publish(snapshot_run, tmp_path / "weights")
    shared, model = ddmi_core.load(tmp_path / "weights"), ddmi_core.load(snapshot_run)
    for name, tensor in model.weak.state_dict().items():
        torch.testing.assert_close(shared.weak.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_autoguidance_without_a_snapshot_is_refused(model, finished_runs, tmp_path):
    with pytest.raises(RequestError, match=r"requires a weak model.*diffusion\.training\.snapshot=0\.2"):
        model.sample(1, autoguidance=2.0)
    with pytest.raises(RequestError, match="autoguidance=-1 must be from 0"):
        model.sample(1, autoguidance=-1.0)
    with pytest.raises(ConfigError, match=r"diffusion\.training\.snapshot is 0"):
        run(DOMAINS["wave"], tmp_path / "run", "sampling.autoguidance=2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "dpmp_2m"}, "unknown sampler 'dpmp_2m'; did you mean 'dpmpp_2m'"),
        ({"condition": "fats"}, "unknown class 'fats'; did you mean 'fast'"),
        ({"n": 0}, "n=0"),
        ({"n": -3}, "n=-3"),
        ({"steps": 0}, "steps=0"),
        ({"steps": -1}, "steps=-1"),
    ],
)
def test_impossible_requests_are_refused_in_words(options, words, model):
    with pytest.raises(RequestError, match=words):
        model.sample(**({"n": 2} | options))


def test_a_model_without_classes_refuses_a_condition(model):
    unconditional = evolve(model, diffusion=evolve_classes(model))
    with pytest.raises(RequestError, match="trained without conditions"):
        unconditional.labels(range(2), seed=0, condition="slow")
    assert unconditional.labels(range(2), seed=0, condition=None).tolist() == [0, 0]


def evolve_classes(model: Model):
    class Unconditional:
        classes = 0
        shape = model.diffusion.shape

    return Unconditional()


@pytest.mark.parametrize("stage", ["autoencoder", "denoiser"])
def test_an_unfinished_run_says_how_to_complete_it(stage, copied_run, formula_domain, tmp_path):
    shutil.rmtree(copied_run / stage / "final")
    os.utime(copied_run / "log.jsonl", (time.time() - 300,) * 2)
    command = f"ddmi run --plugin {formula_domain.name} --out {copied_run} --resume"
    for read in (ddmi_core.load, lambda run: publish(run, tmp_path / "published")):
        with pytest.raises(CheckpointError) as error:
            read(copied_run)
        assert f"not finished: {stage}/final is missing, and a model needs both stages" in str(error.value)
        assert "if its training is still running (the last record of its log is 5 min old), wait" in str(error.value)
        assert str(error.value).endswith(f"if it was stopped, continue it with {command}")
    (copied_run / "log.jsonl").unlink()
    with pytest.raises(CheckpointError, match="if its training is still running, wait for its end"):
        ddmi_core.load(copied_run)


@pytest.mark.parametrize(
    ("setting", "problem"), [("sise = 4", "unknown key 'sise'"), ("size = 'big'", "the text 'big'")]
)
def test_a_run_with_other_settings_of_its_plugin_says_so(setting, problem, copied_run):
    toml = copied_run / "run.toml"
    text = re.sub(r"(?m)^size = .*\n", "", toml.read_text()).replace("[domain]\n", f"[domain]\n{setting}\n")
    toml.write_text(
        resealed(
            text.replace('distribution = ""', 'distribution = "ddmi-x"').replace('version = ""', 'version = "1.2"')
        )
    )
    advice = (
        r"\. The run was made with other settings of plugin '\w+'\. Fix: use the version of the plugin that made it "
    )
    with (
        pytest.warns(DdmiWarning),
        pytest.raises(ConfigError, match=f"{problem}.*{advice}\\(ddmi-x 1.2\\), or train again"),
    ):
        ddmi_core.load(copied_run)


def test_a_wrong_setting_of_the_core_in_a_run_is_not_blamed_on_the_plugin(copied_run):
    toml = copied_run / "run.toml"
    toml.write_text(resealed(toml.read_text().replace("[sampling]\n", "[sampling]\nnone = 4\n")))
    with pytest.raises(ConfigError) as error:
        ddmi_core.load(copied_run)
    assert error.value.key == "sampling.none"
    assert "plugin" not in str(error.value)


def test_damaged_weights_are_refused(copied_run):
    path = copied_run / "denoiser" / "final" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"weights.safetensors is truncated or altered"):
        ddmi_core.load(copied_run)


def test_weights_of_another_configuration_are_refused(copied_run):
    toml = copied_run / "run.toml"
    toml.write_text(resealed(toml.read_text().replace("width = 32", "width = 40")))
    with pytest.raises(CheckpointError, match="denoiser/final does not fit the configured model"):
        ddmi_core.load(copied_run)


def test_a_run_needs_its_plugin(copied_run):
    toml = copied_run / "run.toml"
    toml.write_text(
        resealed(toml.read_text().replace('plugin = "wave"', 'plugin = "wav"').replace('"block"', '"blok"'))
    )
    with pytest.raises(PluginError, match=r"needs domain '(wav|blok)', which the program that made the run registered"):
        ddmi_core.load(copied_run)


def test_exactly_one_source_is_loaded(finished_run, formula_domain, tmp_path):
    for options in ({}, {"run": finished_run, "plugin": formula_domain.name}):
        with pytest.raises(RequestError, match="either a run folder or plugin"):
            ddmi_core.load(**options)
    with pytest.raises(RequestError, match="ships no weights"):
        ddmi_core.load(plugin=formula_domain.name)
    with pytest.raises(CheckpointError, match=r"there is no run folder .*; train one with ddmi run"):
        ddmi_core.load(tmp_path / "nowhere")


def test_samples_are_written_as_files_and_not_over_others(model, tmp_path):
    paths = generate.sample_files(model, 2, Sampling(seed=4), Export(out=tmp_path / "out", size=(6,)))
    assert [path.name for path in paths] == ["sample-0000.npy", "sample-0001.npy"]
    fields, axes = model.sample(2, seed=4), len(model.domain.layout.axes)
    for field, path in zip(fields, paths, strict=True):
        assert np.load(path).shape == (*[6] * axes, 1)
        np.testing.assert_array_equal(np.load(path), model.render(field, 6).array())
    before = paths[0].read_bytes()
    with pytest.raises(OutputError, match=r"sample-0000.npy exists already.*--overwrite"):
        generate.sample_files(model, 2, Sampling(seed=5), Export(out=tmp_path / "out"))
    assert paths[0].read_bytes() == before
    generate.sample_files(model, 2, Sampling(seed=5), Export(out=tmp_path / "out", overwrite=True))
    assert paths[0].read_bytes() != before


def test_files_are_reconstructed_under_their_own_names(model, tmp_path):
    signal = held_out(model.domain, 2)
    inputs = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for number, path in enumerate(inputs):
        np.save(path, signal.values[number, 0].numpy())
    paths = [made.path for made in generate.reconstruct_files(model, inputs, Export(out=tmp_path / "out"))]
    fields = model.reconstruct(signal)
    for field, path in zip(fields, paths, strict=True):
        np.testing.assert_allclose(np.load(path), model.render(field).array(), atol=1e-4)
    assert [path.name for path in paths] == ["a.npy", "b.npy"]
    (tmp_path / "other").mkdir()
    shutil.copy(inputs[1], tmp_path / "other" / "a.npy")
    sources = [inputs[0], tmp_path / "other" / "a.npy"]
    paths = [made.path for made in generate.reconstruct_files(model, sources, Export(out=tmp_path / "out2"))]
    assert [path.name for path in paths] == [f"{tmp_path.name}-a.npy", "other-a.npy"]
    assert not np.array_equal(*map(np.load, paths))


def test_reconstructions_are_measured_against_those_of_held_out_signals(model, tmp_path):
    np.save(tmp_path / "a.npy", held_out(model.domain, 1).values[0, 0].numpy())
    value = iter([0.9, 0.9, 0.7, 0.9])
    kept = model_variant(
        model, metrics=lambda self: {"iou": lambda fields, signal, renderer: torch.tensor([next(value)])}
    )
    # The interval of the mean of 100 signals: the deviation of a signal is 0.05.
    usual = Figure("reconstruction_iou", 0.9, {"n": 100}, "", (0.9 - 0.0098, 0.9 + 0.0098))
    out = Export(out=tmp_path / "out", overwrite=True)
    (alone,) = generate.reconstruct_files(kept, [tmp_path / "a.npy"], out)
    assert (alone.usual, alone.unlike, alone.lines()) == (None, False, ["a.npy: iou 0.900"])
    (good,) = generate.reconstruct_files(kept, [tmp_path / "a.npy"], out, [usual])
    assert good.limit == pytest.approx(0.75, abs=1e-3)
    assert good.lines() == ["a.npy: iou 0.900 (held-out signals 0.900)"]
    (poor,) = generate.reconstruct_files(kept, [tmp_path / "a.npy"], out, [usual])
    assert poor.unlike
    assert "unlike the data that the model was trained on" in poor.lines()[1]
    (few,) = generate.reconstruct_files(kept, [tmp_path / "a.npy"], out, [evolve(usual, protocol={"n": 3})])
    assert few.usual is None


def test_distances_are_unlike_if_they_are_large():
    far = generate.Reconstruction(Path("a.glb"), "chamfer", 0.5, 0.1, 0.2, higher=False)
    assert far.unlike
    assert not evolve(far, value=0.1).unlike
    assert generate.Reconstruction(Path("a.glb")).lines() == []


def test_files_are_restored_by_what_the_reader_recorded_and_its_warnings_are_told(model, tmp_path, caplog):
    np.save(tmp_path / "a.npy", held_out(model.domain, 1).values[0, 0].numpy())
    read = type(model.parts).read

    def recorded(self, path):
        account().change(path.name, [Change("moved", 2.0, values={"by": 2.0}), Change("cut", 0.5, fix="do not")])
        return read(self, path)

    def restored(self, artefact, changes, suffix):
        assert suffix == ".npy"
        asked.append([change.values.get("by") for change in changes])
        return artefact

    asked = []
    kept = model_variant(model, read=recorded, restored=restored)
    generate.reconstruct_files(kept, [tmp_path / "a.npy"], Export(out=tmp_path / "one"))
    generate.reconstruct_files(kept, [tmp_path / "a.npy"], Export(out=tmp_path / "two", normalised=True))
    assert asked == [[2.0, None]]
    assert "1 signal cut: a.npy" in caplog.text


def test_samples_are_simplified_and_then_restored_with_no_record(model, tmp_path):
    def restored(self, artefact, changes, suffix):
        told.append((artefact, tuple(changes), suffix))
        return model.render(model.sample(1, seed=0)[0])

    told = []
    kept = model_variant(model, restored=restored, simplifier=lambda self, faces: lambda artefact: faces)
    generate.sample_files(kept, 2, Sampling(steps=2), Export(out=tmp_path / "one", faces=500))
    assert told == [(500, (), ".npy")] * 2
    with pytest.raises(RequestError, match=r"--faces: domain .* cannot reduce what it writes to triangles"):
        generate.sample_files(model, 2, Sampling(steps=2), Export(out=tmp_path / "two", faces=500))
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["a.png", "b.png"], ["a", "b"]),
        (["discs/0.png", "squares/0.png", "discs/1.png"], ["discs-0", "squares-0", "1"]),
        (["x/k/0.png", "y/k/0.png", "/x/l/0.png"], ["x-k-0", "y-k-0", "x-l-0"]),
        (["0.png", "../k/0.png"], ["0", "k-0"]),
        (["a.png", "a.jpg", "./a.png"], ["a", "a-2", "a-3"]),
        (["k/0.png", "l/0.png", "k-0.png"], ["k-0", "l-0", "k-0-2"]),
        ([f"{'é' * 125}{end}.png" for end in "ab"], ["é" * 100, f"{'é' * 100}-2"]),
        ([], []),
    ],
)
def test_results_have_names_that_tell_their_inputs_apart(inputs, names):
    assert generate.output_names([Path(name) for name in inputs]) == names


def test_a_model_reads_draws_and_writes_in_one_line_each(model, tmp_path):
    signal = held_out(model.domain, 1)
    np.save(tmp_path / "in.npy", signal.values[0, 0].numpy())
    field = model.reconstruct(model.read(tmp_path / "in.npy"))
    model.write(model.render(field, 6), str(tmp_path / "new" / "out.NPY"))
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "out.NPY"), model.render(field, 6).array())


def test_an_export_that_fails_is_told_and_leaves_the_older_file(model, tmp_path, monkeypatch):
    artefact, path = model.render(model.sample(1)[0]), tmp_path / "out.npy"
    model.write(artefact, path)
    before = path.read_bytes()

    def fails(artefact, place):
        assert place.parent == path.parent
        assert place.suffix == path.suffix
        place.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(model.parts), "exporters", returning({".npy": fails}))
    with pytest.raises(OutputError, match=rf"no space left .* {path}"):
        model.write(artefact, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_type_that_the_domain_does_not_write_is_named(model, tmp_path):
    assert model.suffix == ".npy"
    artefact = model.render(model.sample(1)[0])
    with pytest.raises(RequestError, match=r"unknown file type '.npz'; did you mean '.npy'\? Valid: .npy"):
        model.write(artefact, tmp_path / "out.npz")
    with pytest.raises(RequestError, match=r"unknown file type ''. Valid: .npy"):
        model.write(artefact, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_files_of_another_type_are_written_if_it_is_asked_for(model, tmp_path, monkeypatch):
    both = model_variant(model, exporters=returning({".npy": formula_domains.write, ".grid": formula_domains.write}))
    np.save(tmp_path / "a.npy", held_out(model.domain, 1).values[0, 0].numpy())
    (drawn,) = generate.sample_files(both, 1, Sampling(), Export(out=tmp_path, suffix=".grid"))
    assert drawn.name == "sample-0000.grid"
    (again,) = generate.reconstruct_files(both, [tmp_path / "a.npy"], Export(out=tmp_path, suffix=".grid"))
    assert again.path.name == "a.grid"
    assert again.path.exists()
    monkeypatch.setattr(type(model), "sample", lambda *_, **__: pytest.fail("the type is seen before the work"))
    with pytest.raises(RequestError, match=r"unknown file type '.gird'; did you mean '.grid'"):
        generate.sample_files(both, 1, Sampling(), Export(out=tmp_path, suffix=".gird"))


def test_an_output_folder_that_is_a_file_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=r"is a file|cannot write"):
            generate.sample_files(model, 1, Sampling(), Export(out=place))
    assert (tmp_path / "file").read_text() == "mine"


def test_the_domains_of_these_tests_have_one_axis_and_three():
    assert [len(domain.layout.axes) for domain in DOMAINS.values()] == [1, 3]

"""The kit finds what it looks for: each variant of a sound plugin breaks one contract, and the check for it says so."""

from __future__ import annotations

import socket
from functools import cached_property
from textwrap import dedent
from types import SimpleNamespace

import attrs
import broken
import broken_inputs
import broken_outputs
import pytest
import torch
from attrs import evolve
from ddmi_audio import notes
from ddmi_audio.parts import AudioParts
from PIL import Image
from small_sound import SMALL

from ddmi_core.api import Domain
from ddmi_core.fields import storage
from ddmi_core.fields.field import Field
from ddmi_core.testing import CHECKS, Check, ContractBroken, Subject, check_named, examine
from ddmi_core.testing.check_list import IN_A_FRESH_PROCESS, IN_THIS_PROCESS
from ddmi_core.testing.outcomes import OK, SKIPPED
from variants import returning, variant


def table(name: str, key: str, value: object) -> dict[str, object]:
    """A member of an implementation: a table with one other entry."""
    return {name: lambda self: {**getattr(AudioParts, name)(self), key: value}}


def source(load: object) -> dict[str, object]:
    return {"sources": returning({"notes": load})}


def small(name: str, kind: object = cached_property) -> dict[str, object]:
    """A further preset with valid settings, which one part refuses."""
    own = getattr(AudioParts, name)

    def refusing(parts, *arguments):
        if parts.settings.samples == 512:
            raise ValueError("512 are too few")
        return getattr(own, "func", own)(parts, *arguments)

    presets = classmethod(lambda cls: {**AudioParts.presets(), "small": "[domain]\nsamples = 512"})
    return {"presets": presets, name: kind(refusing)}


# The check that is meant, what breaks it, and a word of what it says.
BROKEN = [
    ("api_version", {"api_version": 99}, "accepted"),
    ("implementation", {"implementation": "broken:Nowhere"}, "Nowhere"),
    ("implementation", {"picture": Image.new("1", (1, 1))}, "not a method"),
    ("implementation", {"report_views": broken.views_of_settings}, "settings"),
    ("names", table("exporters", "WAV", broken.write_words), "'.wav'"),
    ("settings", {"settings_type": broken.MutableSettings}, "can be changed"),
    ("settings", {"settings_type": broken.BareSettings}, "needed"),
    ("presets", {"presets": classmethod(returning({"quick": "[sample]\nsteps = 3\n"}))}, "sample"),
    ("presets", small("sampler"), "preset 'small': sampler fails: ValueError: 512 are too few"),
    ("presets", small("renderer"), "preset 'small': renderer fails: ValueError: 512 are too few"),
    (
        "presets",
        small("encoder", lambda function: function),
        "preset 'small': encoder or decoder fails: ValueError: 512",
    ),
    ("presets", {"settings_type": broken.GrowingSettings}, "changes when it is written"),
    ("data_load", source(broken.none_held_out), "held out 0"),
    ("names_and_labels", source(broken.labels_beyond_classes), "highest 5"),
    ("held_out_is_apart", source(broken.trained_on_what_is_held_out), "in both 2"),
    ("signals_move", source(broken.batch_last), "first axis of tensors is not the batch"),
    ("batches_repeat", source(broken.changed_by_augmentation), "augmented batch changed"),
    ("augmentation_repeats", source(broken.random_by_itself), "one state of the generator"),
    ("encoder", {"encoder": broken.too_many_channels}, "channels 6"),
    ("encoder_sees_signals", broken.encoded_by(broken.Deaf), "difference 0"),
    ("signals_are_coded_alone", broken.encoded_by(broken.BatchStatistics), "other signals of its batch"),
    ("weights_are_all", broken.encoded_by(broken.Forgetful), "stored weights"),
    ("decoder", broken.decoded_by(broken.FineToCoarse), "coarse to fine"),
    ("devices", broken.decoded_by(broken.OnTheCpu), "device"),
    ("queries", broken.sampled_by(broken.DoublePrecision), "float64"),
    ("patches", broken.sampled_by(broken.RowsReversed), "does not increase"),
    ("sampler_repeats", broken.sampled_by(broken.GlobalNumbers), "one state of the generator"),
    ("sampler_repeats", broken.sampled_by(broken.Still), "every state"),
    ("sampler_covers", broken.sampled_by(broken.FirstHalf), "missed (4, 5, 6, 7)"),
    ("targets", broken.sampled_by(broken.Mirrored), "not the values of the cells"),
    ("targets", broken.sampled_by(broken.AlignedCorners), "centres of cells"),
    ("targets", broken.sampled_by(broken.FirstSignalsTargets), "not the values of the cells"),
    ("extra_columns", broken.sampled_by(broken.NoFootprint), "difference 1"),
    ("decode", broken.decoded_by(broken.Constant), "every coordinate"),
    ("observe", broken.rendered_by(broken.Noisy), "repeated calls of observe"),
    ("points_are_independent", broken.rendered_by(broken.Normalising), "in chunks of"),
    ("observe_agrees_with_render", broken.rendered_by(broken.Shifted), "differs from the values of observe"),
    ("native_size", {"settings_type": broken.WrongNative}, "signals (512)"),
    ("render_sizes", broken.rendered_by(broken.NativeAlone), "than requested"),
    ("render_repeats", broken.rendered_by(broken.Grainy), "differ"),
    ("render_leaves_no_gradient", broken.rendered_by(broken.Switching), "changed the gradient mode"),
    ("original", {"ground_truth": broken.always_the_first}, "index 1"),
    ("views", {"report_views": broken.large_to_small}, "small to large"),
    ("pictures", {"picture": broken.array}, "ndarray"),
    ("loss", {"loss": broken.one_number}, "one finite error per point"),
    ("loss_is_least_at_the_target", {"loss": broken.of_the_sum}, "not minimal"),
    ("likelihood", {"loss": broken.weighted_labels}, "lower elsewhere"),
    ("likelihood", {"likelihood": returning("bernoulli")}, "not that of logits"),
    ("perceptual", table("perceptual", "spectral", broken.OnePerSignal), "not one finite number"),
    ("metrics", table("metrics", "psnr_db", broken.mean_over_all), "wanted (4)"),
    ("metrics", table("metrics", "score", broken.error_called_score), "better higher"),
    ("describe", {"signal_features": broken.half_of_the_features}, "of signals 36"),
    ("conditions", table("conditions", "mood", broken.ForgottenBatch), "length 3"),
    ("autoencoder_learns", {"loss": broken.rounded}, "does not decrease"),
    ("gradients_reach_weights", broken.rendered_by(broken.Detached), "no gradient reaches"),
    ("gradients_reach_weights", broken.decoded_by(broken.WithSpareWeights), "decoder.spare"),
    ("denoiser_learns", broken.encoded_by(broken.Exploding), "not finite"),
    ("samples_render", broken.decoded_by(broken.FailingFarOut), "not finite"),
    ("exporters", table("exporters", ".wav", broken.write_beside), ".txt"),
    ("exporters", table("exporters", ".wav", broken.write_words), "cannot be opened"),
    ("exporters_repeat", table("exporters", ".wav", broken.write_time), "different bytes"),
    ("exporters_pass_errors_on", table("exporters", ".wav", broken.write_if_possible), "no error"),
    ("files_read_back", table("exporters", ".wav", broken.write_backwards), "correlation"),
    ("bad_files", {"read": broken.read_unguarded}, "FileNotFoundError"),
    (
        "bad_folders",
        {"sources": returning({"notes": notes.load, "folder": broken.failing_folder})},
        "FileNotFoundError",
    ),
    ("weights", {"weights": "broken_presets:"}, "ships no weights"),
    *broken_inputs.table(),
    *broken_outputs.table(),
]
OUTSIDE = [
    ("fingerprints", {"implementation": "broken:HashedByPythonParts"}, "differs between processes"),
    ("no_network", {"implementation": "broken:FetchingParts"}, "203.0.113.1"),
    ("global_state", {"implementation": "broken:SeedingParts"}, "numpy's random state"),
    ("global_state", {"implementation": "broken:SettingAVariableParts"}, "variables: DDMI_BROKEN (in broken)"),
    ("nothing_is_left", {"implementation": "broken:LeavingAFileParts"}, ".cache"),
]


def examined(sound, changes, split) -> Subject:
    """The variant, with the signals that are loaded already unless it loads others."""
    described = {name: value for name, value in changes.items() if name in attrs.fields_dict(Domain)}
    members = {name: value for name, value in changes.items() if name not in described}
    if members:
        members.setdefault("presets", classmethod(lambda cls: AudioParts.presets()))
    changed = evolve(variant(sound, **members) if members else sound, **described)
    other = {"sources", "implementation"} & changes.keys()
    return Subject(changed, settings=SMALL, split=None if other else split)


@pytest.mark.parametrize(
    ("name", "changes", "word"),
    BROKEN + OUTSIDE,
    ids=[f"{name}: {word}" for name, _, word in BROKEN + OUTSIDE],
)
def test_a_broken_contract_is_found(sound, subject, name, changes, word):
    enabled = torch.is_grad_enabled()
    try:
        with examined(sound, changes, subject.split) as variant, pytest.raises(ContractBroken) as caught:
            check_named(name)(variant)
    finally:
        torch.set_grad_enabled(enabled)
    found = caught.value
    assert found.check == name
    assert word in str(found)
    assert found.numbers, "a message says what was measured"
    assert len(found.fix) > 10
    assert f"contract {name!r} is broken: {found.found}. Fix: {found.fix}" == str(found)


def test_every_check_can_fail():
    below = {"lattice_agrees_with_points", "fields_are_stored", "cpu", "description_is_light", "imports_are_quick"}
    assert {name for name, *_ in BROKEN + OUTSIDE} | below == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", sorted({name for name, *_ in BROKEN} - {"weights", "conditions"}))
def test_the_sound_plugin_keeps_the_contract(subject, name):
    check_named(name)(subject)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (table("exporters", ".wav", broken.write_words), "exporters"),
        ({"report_views": broken.large_to_small}, "views"),
        (table("metrics", "psnr_db", broken.mean_over_all), "metrics"),
        (broken.sampled_by(broken.Mirrored), "targets"),
        (broken.decoded_by(broken.WithSpareWeights), "gradients_reach_weights"),
        (broken.sampled_by(broken_inputs.SamplerInPlace), "inputs_are_left"),
        (broken.encoded_by(broken_inputs.EncoderInPlace), "inputs_are_left"),
        (broken.rendered_by(broken_inputs.ObserveFieldInPlace), "inputs_are_left"),
        (broken_inputs.metric(broken_inputs.metric_in_place), "inputs_are_left"),
        (broken_inputs.metric(broken_inputs.metric_on_two_devices), "devices"),
        (source(broken_inputs.nan_in_one), "values"),
        (broken.encoded_by(broken_inputs.Overwritten), "training_changes_weights"),
        ({"evaluations": returning({"depth": broken_outputs.failing_evaluation})}, "evaluations"),
    ],
)
def test_one_fault_is_reported_by_one_check(sound, subject, changes, wanted):
    with examined(sound, changes, subject.split) as variant:
        found = examine(variant, IN_THIS_PROCESS)
    assert [outcome.check for outcome in found.failed] == [wanted], found.summary()


def test_there_are_many_variants():
    assert len(BROKEN + OUTSIDE) >= 90
    assert len({word for _, _, word in BROKEN + OUTSIDE}) >= 90


def test_a_lattice_that_differs_from_its_points_is_found(sound, subject, monkeypatch):
    plain = Field.lattice
    monkeypatch.setattr(Field, "lattice", lambda self, axes, **options: plain(self, [a + 0.1 for a in axes], **options))
    with examined(sound, {}, subject.split) as variant, pytest.raises(ContractBroken, match="than its points"):
        check_named("lattice_agrees_with_points")(variant)


def test_a_field_that_changes_in_its_file_is_found(sound, subject, monkeypatch):
    plain = storage.load
    monkeypatch.setattr(storage, "load", lambda path, build: plain(path, build).map(lambda grid: grid + 0.1))
    with examined(sound, {}, subject.split) as variant, pytest.raises(ContractBroken, match="stored field"):
        check_named("fields_are_stored")(variant)


def test_a_gpu_in_use_is_found(sound, subject):
    with examined(sound, {}, subject.split) as variant:
        variant.made["process_report"] = SimpleNamespace(cuda=True)
        with pytest.raises(ContractBroken, match="GPU"):
            check_named("cpu")(variant)


def test_a_heavy_description_is_found(sound, subject, tmp_path, monkeypatch):
    info = tmp_path / "ddmi_heavy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ddmi-heavy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ddmi.plugins]\nheavy = heavy_plugin\n")
    program = """
        import attrs, torch
        from ddmi_audio.plugin import AUDIO
        from ddmi_core.api import hookimpl

        @hookimpl
        def ddmi_domains():
            return [attrs.evolve(AUDIO, name="heavy")]
        """
    (tmp_path / "heavy_plugin.py").write_text(dedent(program))
    monkeypatch.syspath_prepend(tmp_path)
    with examined(sound, {"name": "heavy"}, subject.split) as variant:
        with pytest.raises(ContractBroken, match="imports torch") as caught:
            check_named("description_is_light")(variant)
        assert caught.value.numbers == {"heavy_modules": 1}
        for check in IN_A_FRESH_PROCESS:
            if check.name not in ("description_is_light", "fingerprints"):
                check(variant)


def check_that_connects(subject) -> None:
    """Nothing is fetched."""
    with socket.socket() as stream:
        stream.connect(("203.0.113.1", 80))


def check_that_raises(subject) -> None:
    """Nothing goes wrong."""
    raise ValueError("no such thing")


def test_a_connection_is_refused_and_reported_by_the_check_that_sees_it(subject):
    with pytest.raises(ContractBroken, match="access the network") as caught:
        Check(check_that_connects)(subject)
    assert caught.value.numbers == {"connections": 1, "first": "('203.0.113.1', 80)"}
    assert socket.socket.connect.__qualname__ != "offline.<locals>.connect"


def test_what_a_check_runs_into_is_a_broken_contract_with_its_place(subject):
    with pytest.raises(ContractBroken, match="ValueError: no such thing") as caught:
        Check(check_that_raises)(subject)
    assert f"{__file__}:" in caught.value.found
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_cannot_be_made_is_reported_once_and_skipped_after_that(sound, monkeypatch):
    def load(*_):
        raise RuntimeError("no data today")

    monkeypatch.setattr(broken, "none_held_out", load)
    with examined(sound, source(broken.none_held_out), None) as variant:
        found = examine(variant, IN_THIS_PROCESS)
    states = {outcome.check: outcome.state for outcome in found.outcomes}
    assert [outcome.check for outcome in found.failed] == ["data_load"]
    assert "no data today" in found.failed[0].found
    assert states["encoder"] == states["metrics"] == SKIPPED
    assert states["settings"] == OK

"""The kit finds what it looks for: each variant of a sound plugin breaks one contract, and the check for it says so."""

from __future__ import annotations

import socket
from textwrap import dedent
from types import SimpleNamespace

import broken
import pytest
import torch
from attrs import evolve
from small_sound import SMALL

from ddmi_core.fields import storage
from ddmi_core.fields.field import Field
from ddmi_core.testing import CHECKS, Check, ContractBroken, Subject, check_named, examine
from ddmi_core.testing.check_list import IN_A_FRESH_PROCESS, IN_THIS_PROCESS
from ddmi_core.testing.outcomes import OK, SKIPPED


def part(name: str, attribute: str) -> dict[str, str]:
    return {name: f"broken:{attribute}"}


def table(name: str, key: str, attribute: str) -> dict[str, dict[str, str]]:
    return {name: {key: f"broken:{attribute}"}}


def source(attribute: str) -> dict[str, dict[str, str]]:
    return table("sources", "notes", attribute)


# The check that is meant, what breaks it, and a word of what it says.
BROKEN = [
    ("api_version", {"api_version": 99}, "accepted"),
    ("references", table("metrics", "error", "nowhere"), "nowhere"),
    ("references", part("report_views", "views_of_settings"), "2 positional"),
    ("names", table("exporters", "WAV", "write_words"), "'.wav'"),
    ("settings", part("settings", "MutableSettings"), "can be changed"),
    ("settings", part("settings", "BareSettings"), "needed"),
    ("presets", {"presets": {"quick": "broken_presets:unknown_key.toml"}}, "sample"),
    ("presets", part("settings", "GrowingSettings"), "changes when it is written"),
    ("data_load", source("none_held_out"), "held out 0"),
    ("names_and_labels", source("labels_beyond_classes"), "highest 5"),
    ("held_out_is_apart", source("trained_on_what_is_held_out"), "in both 2"),
    ("signals_move", source("batch_last"), "first axis of tensors is not the batch"),
    ("batches_repeat", source("changed_by_augmentation"), "augmented batch changed"),
    ("augmentation_repeats", source("random_by_itself"), "one state of the generator"),
    ("encoder", part("encoder", "too_many_channels"), "channels 6"),
    ("encoder_sees_signals", part("encoder", "deaf"), "difference 0"),
    ("signals_are_coded_alone", part("encoder", "batch_statistics"), "other signals of its batch"),
    ("weights_are_all", part("encoder", "forgetful"), "stored weights"),
    ("decoder", part("decoder", "fine_to_coarse"), "coarse to fine"),
    ("devices", part("decoder", "on_the_cpu"), "device"),
    ("queries", part("sampler", "double_precision"), "float64"),
    ("patches", part("sampler", "rows_reversed"), "does not increase"),
    ("sampler_repeats", part("sampler", "global_numbers"), "one state of the generator"),
    ("sampler_repeats", part("sampler", "still"), "every state"),
    ("sampler_covers", part("sampler", "first_half"), "missed (4, 5, 6, 7)"),
    ("targets", part("sampler", "mirrored"), "not the values of the cells"),
    ("targets", part("sampler", "aligned_corners"), "centres of cells"),
    ("targets", part("sampler", "first_signals_targets"), "not the values of the cells"),
    ("extra_columns", part("sampler", "no_footprint"), "difference 1"),
    ("lattice", part("sampler", "wrong_lattice"), "highest 2"),
    ("decode", part("decoder", "constant"), "every coordinate"),
    ("observe", part("renderer", "noisy"), "repeated calls of observe"),
    ("points_are_independent", part("renderer", "normalising"), "in chunks of"),
    ("observe_agrees_with_render", part("renderer", "shifted"), "differs from the values of observe"),
    ("native_size", part("settings", "WrongNative"), "signals (512)"),
    ("render_sizes", part("renderer", "native_alone"), "than requested"),
    ("render_repeats", part("renderer", "grainy"), "differ"),
    ("render_leaves_no_gradient", part("renderer", "switching"), "changed the gradient mode"),
    ("original", part("ground_truth", "always_the_first"), "index 1"),
    ("views", part("report_views", "large_to_small"), "small to large"),
    ("pictures", part("picture", "array"), "ndarray"),
    ("loss", part("loss", "one_number"), "one finite error per point"),
    ("loss_is_least_at_the_target", part("loss", "of_the_sum"), "not minimal"),
    ("perceptual", table("perceptual", "spectral", "OnePerSignal"), "not one finite number"),
    ("metrics", table("metrics", "psnr_db", "mean_over_all"), "wanted (4)"),
    ("metrics", table("metrics", "score", "error_called_score"), "better higher"),
    ("describe", part("signal_features", "describe_signal"), "of signals 16"),
    ("conditions", table("conditions", "mood", "ForgottenBatch"), "length 3"),
    ("autoencoder_learns", part("loss", "rounded"), "does not decrease"),
    ("gradients_reach_weights", part("renderer", "detached"), "no gradient reaches"),
    ("gradients_reach_weights", part("decoder", "with_spare_weights"), "decoder.spare"),
    ("denoiser_learns", part("encoder", "exploding"), "not finite"),
    ("samples_render", part("decoder", "failing_far_out"), "not finite"),
    ("exporters", table("exporters", ".wav", "write_beside"), ".txt"),
    ("exporters", table("exporters", ".wav", "write_words"), "cannot be opened"),
    ("exporters_repeat", table("exporters", ".wav", "write_time"), "different bytes"),
    ("exporters_pass_errors_on", table("exporters", ".wav", "write_if_possible"), "no error"),
    ("files_read_back", table("exporters", ".wav", "write_backwards"), "correlation"),
    ("bad_files", part("read", "read_unguarded"), "FileNotFoundError"),
    (
        "bad_folders",
        {"sources": {"notes": "ddmi_audio.notes:load", "folder": "broken:failing_folder"}},
        "FileNotFoundError",
    ),
    ("weights", {"weights": "broken_presets:"}, "ships no weights"),
]
OUTSIDE = [
    ("fingerprints", source("hashed_by_python"), "differs between processes"),
    ("no_network", source("fetching"), "203.0.113.1"),
    ("global_state", source("seeding"), "numpy's random state"),
    ("nothing_is_left", source("leaving_a_file"), ".cache"),
]


def examined(sound, changes, split) -> Subject:
    """The variant, with the signals that are loaded already unless it loads others."""
    return Subject(evolve(sound, **changes), settings=SMALL, split=None if "sources" in changes else split)


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
    below = {"lattice_agrees_with_points", "fields_are_stored", "cpu", "description_is_light"}
    assert {name for name, *_ in BROKEN + OUTSIDE} | below == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", sorted({name for name, *_ in BROKEN} - {"weights", "conditions"}))
def test_the_sound_plugin_keeps_the_contract(subject, name):
    check_named(name)(subject)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (table("exporters", ".wav", "write_words"), "exporters"),
        (part("report_views", "large_to_small"), "views"),
        (table("metrics", "psnr_db", "mean_over_all"), "metrics"),
        (part("sampler", "mirrored"), "targets"),
        (part("decoder", "with_spare_weights"), "gradients_reach_weights"),
    ],
)
def test_one_fault_is_reported_by_one_check(sound, subject, changes, wanted):
    with examined(sound, changes, subject.split) as variant:
        found = examine(variant, IN_THIS_PROCESS)
    assert [outcome.check for outcome in found.failed] == [wanted]


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
    with examined(sound, source("none_held_out"), None) as variant:
        found = examine(variant, IN_THIS_PROCESS)
    states = {outcome.check: outcome.state for outcome in found.outcomes}
    assert [outcome.check for outcome in found.failed] == ["data_load"]
    assert "no data today" in found.failed[0].found
    assert states["encoder"] == states["metrics"] == SKIPPED
    assert states["settings"] == OK

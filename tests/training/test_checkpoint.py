"""Checkpoints: whole or refused in words, replaced without a moment in which nothing can be read."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tracemalloc
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ddmi_core import record_files
from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError, OutputError
from ddmi_core.training import checkpoint
from ddmi_core.training.log import Log

OLD, NEW = torch.arange(6.0).reshape(2, 3), torch.arange(6.0).reshape(2, 3) + 10


def groups(weights: torch.Tensor) -> dict[str, dict[str, torch.Tensor]]:
    return {"weights": {"layer.weight": weights}, "empty": {}}


def save(folder: Path, weights: torch.Tensor = OLD, step: int = 3) -> checkpoint.Checkpoint:
    return checkpoint.save(folder, groups(weights), {"step": step, "classes": ["a", "b"]})


def weights_in(folder: Path) -> torch.Tensor:
    return checkpoint.load(folder).tensors("weights")["layer.weight"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded(tmp_path):
    saved = save(tmp_path / "deep" / "final")
    loaded = checkpoint.load(tmp_path / "deep" / "final")
    assert loaded == saved
    assert loaded.record["classes"] == ["a", "b"]
    assert torch.equal(loaded.tensors("weights")["layer.weight"], OLD)
    assert loaded.tensors("empty") == {}
    assert names(tmp_path / "deep") == ["final"]


def test_transposed_and_sliced_tensors_are_stored_by_value(tmp_path):
    wide = torch.randn(4, 6)
    checkpoint.save(tmp_path / "c", {"weights": {"turned": wide.T, "part": wide[1:3, ::2]}}, {})
    stored = checkpoint.load(tmp_path / "c").tensors("weights")
    assert torch.equal(stored["turned"], wide.T)
    assert torch.equal(stored["part"], wide[1:3, ::2])


def test_equal_states_are_equal_bytes(tmp_path):
    save(tmp_path / "a")
    save(tmp_path / "b")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_files_are_those_of_safetensors(tmp_path):
    tensors = {
        "single": torch.randn(3, 4),
        'name "of" Ω': torch.tensor(-3),
        "half": torch.randn(5).half(),
        "brain": torch.randn(3).bfloat16(),
        "flags": torch.tensor([True, False, True]),
        "none": torch.zeros(0, 3),
    }
    for number, group in enumerate((tensors, {})):
        checkpoint.save(tmp_path / str(number), {"weights": group}, {})
        written = (tmp_path / str(number) / "weights.safetensors").read_bytes()
        assert written == safetensors.torch.save(group)


def test_saving_copies_no_tensor(tmp_path):
    tensors = {str(number): torch.zeros(2**18) for number in range(4)}
    tracemalloc.start()
    try:
        checkpoint.save(tmp_path / "c", {"weights": tensors}, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20  # the size of one


def test_nothing_in_a_checkpoint_is_a_pickle(tmp_path):
    save(tmp_path / "c")
    assert {path.suffix for path in (tmp_path / "c").iterdir()} == {".safetensors", ".json"}


def _truncated(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _altered(folder: Path) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def _without_a_file(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def _folder_for_file(folder: Path) -> None:
    _without_a_file(folder)
    (folder / "weights.safetensors").mkdir()


def _without_state(folder: Path) -> None:
    (folder / "state.json").unlink()


def _cut_state(folder: Path) -> None:
    state = folder / "state.json"
    state.write_text(state.read_text()[:20])


def _binary_state(folder: Path) -> None:
    (folder / "state.json").write_bytes(b"\xff\xfe\x00")


def _state(**changes):
    def change(folder: Path) -> None:
        state = folder / "state.json"
        state.write_text(record_files.to_json(json.loads(state.read_text()) | changes))

    return change


def _foreign(text: str):
    return lambda folder: (folder / "state.json").write_text(text)


def _newer_with_other_files(folder: Path) -> None:
    _state(format=checkpoint.FORMAT + 1, files=["weights"])(folder)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_truncated, r"weights.safetensors is truncated or altered: expected \d+ bytes.*found \d+ bytes"),
        (_altered, "weights.safetensors is truncated or altered"),
        (_without_a_file, "weights.safetensors is truncated or altered.*found missing"),
        (_folder_for_file, "weights.safetensors is truncated or altered.*found missing"),
        (_without_state, "is not a checkpoint: it has no state.json"),
        (_cut_state, "state.json is damaged or not a checkpoint's record"),
        (_binary_state, "state.json is damaged or not a checkpoint's record"),
        (_state(format=checkpoint.FORMAT + 1), "has format 2; this version reads up to 1. Fix: install a newer ddmi"),
        (_newer_with_other_files, "install a newer ddmi"),
        (_state(format="first"), "damaged or not a checkpoint's record"),
        (_state(files=["weights.safetensors"]), "damaged or not a checkpoint's record"),
        (_state(files={"weights.safetensors": {"size": 3}}), "damaged or not a checkpoint's record"),
        (_foreign("[]"), "damaged or not a checkpoint's record"),
        (_foreign("3"), "damaged or not a checkpoint's record"),
        (_foreign("{}"), "damaged or not a checkpoint's record"),
        (_foreign("[" * 100_000), "damaged or not a checkpoint's record"),
        (_foreign('{"format": 1e999}'), "damaged or not a checkpoint's record"),
        (_foreign('{"format": ' + "9" * 5000 + "}"), "damaged or not a checkpoint's record"),
        (_state(format=9**4000), "damaged or not a checkpoint's record"),
        (_state(files={"weights.safetensors": {"bytes": float("inf"), "sha256": ""}}), "damaged or not a checkpoint's"),
        (_state(files={"w" * 300: {"bytes": 3, "sha256": ""}}), "'w{40}' is not the name of a file"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_words(damage, words, tmp_path):
    save(tmp_path / "c")
    damage(tmp_path / "c")
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.load(tmp_path / "c")
    assert str(tmp_path / "c") in str(caught.value)
    assert caught.value.exit_status == 2


def test_formats_and_names_of_files_have_limits(tmp_path):
    save(tmp_path / "c")
    _state(format=0)(tmp_path / "c")
    assert checkpoint.load(tmp_path / "c").record["format"] == 0
    for number in (-1, 2**31):
        _state(format=number)(tmp_path / "c")
        with pytest.raises(CheckpointError, match="its format is not a number of a format"):
            checkpoint.load(tmp_path / "c")
    _state(format=2**31 - 1)(tmp_path / "c")
    with pytest.raises(checkpoint.NewerFormatError):
        checkpoint.load(tmp_path / "c")
    for length, words in ((100, "found missing"), (101, "is not the name of a file")):
        _state(format=1, files={"w" * length: {"bytes": 3, "sha256": ""}})(tmp_path / "c")
        with pytest.raises(CheckpointError, match=words):
            checkpoint.load(tmp_path / "c")
    _state(files={"../w": {"bytes": 3, "sha256": ""}})(tmp_path / "c")
    with pytest.raises(CheckpointError, match="is not the name of a file"):
        checkpoint.load(tmp_path / "c")


def test_groups_have_the_digest_of_their_file(tmp_path):
    saved = save(tmp_path / "c")
    digest = hashlib.sha256((tmp_path / "c" / "weights.safetensors").read_bytes()).hexdigest()
    assert saved.digest("weights") == digest
    assert saved.has("empty")
    assert not saved.has("average")


def test_weights_of_another_architecture_are_refused_with_the_first_difference(tmp_path):
    with pytest.raises(CheckpointError, match=r"does not fit the configured model: Missing key\(s\).*bias"):
        checkpoint.load_into(torch.nn.Linear(2, 2), {"weight": torch.zeros(2, 2)}, tmp_path)
    module = torch.nn.Linear(2, 2)
    checkpoint.load_into(module, {"weight": torch.ones(2, 2), "bias": torch.zeros(2)}, tmp_path)
    assert module.weight.eq(1).all()


def test_a_stage_is_finished_with_its_final_weights(tmp_path):
    save(tmp_path / "step-00000001")
    assert not checkpoint.finished(tmp_path)
    save(tmp_path / "final")
    assert checkpoint.finished(tmp_path)


def test_a_missing_folder_and_a_file_are_no_checkpoints(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        with pytest.raises(CheckpointError, match=name):
            checkpoint.load(tmp_path / name)
        assert not checkpoint.exists(tmp_path / name)


def test_a_missing_group_is_named_with_those_that_exist(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no group 'average'; it has weights.safetensors, empty.safetensors"):
        save(tmp_path / "c").tensors("average")


def test_a_file_that_is_damaged_after_the_check_is_refused_too(tmp_path):
    opened = save(tmp_path / "c")
    (tmp_path / "c" / "weights.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(CheckpointError, match=r"weights.safetensors cannot be read"):
        opened.tensors("weights")


class Killed(BaseException):
    """Ends the program between two statements, as SIGKILL does."""


def interrupt(monkeypatch, target, name: str, at: int, error: BaseException) -> None:
    """Make the n-th call of a function raise in place of working."""
    function, count = getattr(target, name), [0]

    def call(*arguments, **options):
        count[0] += 1
        if count[0] == at:
            raise error
        return function(*arguments, **options)

    monkeypatch.setattr(target, name, call)


STEPS_OF_A_REPLACEMENT = [
    (checkpoint, "write_synced", 1),
    (checkpoint, "write_synced", 2),
    (checkpoint, "write_synced", 3),
    (Path, "rename", 1),
    (Path, "rename", 2),
]


@pytest.mark.parametrize(("target", "name", "at"), STEPS_OF_A_REPLACEMENT)
def test_a_replacement_killed_at_any_moment_leaves_the_older_state_readable(target, name, at, tmp_path, monkeypatch):
    save(tmp_path / "final", OLD)
    with monkeypatch.context() as patched:
        interrupt(patched, target, name, at, Killed())
        with pytest.raises(Killed):
            save(tmp_path / "final", NEW)
    assert checkpoint.exists(tmp_path / "final")
    assert torch.equal(weights_in(tmp_path / "final"), OLD)
    save(tmp_path / "final", NEW)
    assert torch.equal(weights_in(tmp_path / "final"), NEW)
    assert names(tmp_path) == ["final"]


def test_a_replacement_killed_after_its_renames_is_complete(tmp_path, monkeypatch):
    save(tmp_path / "final", OLD)
    with monkeypatch.context() as patched:
        # The first removal is of what lies aside, the second of the older state.
        interrupt(patched, shutil, "rmtree", 2, Killed())
        with pytest.raises(Killed):
            save(tmp_path / "final", NEW)
    assert torch.equal(weights_in(tmp_path / "final"), NEW)
    assert names(tmp_path) == ["final"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on the disk while writing .*final. Fix: free some space and try again$"),
        (errno.EDQUOT, "no space left"),
        (errno.EACCES, "no permission to write .*final"),
        (errno.EROFS, "no permission to write .*final"),
        (errno.EIO, "cannot write .*final: "),
    ],
)
@pytest.mark.parametrize(("target", "name", "at"), STEPS_OF_A_REPLACEMENT)
def test_a_write_that_fails_says_why_and_keeps_the_older_state(target, name, at, number, words, tmp_path, monkeypatch):
    save(tmp_path / "final", OLD)
    with monkeypatch.context() as patched:
        interrupt(patched, target, name, at, OSError(number, "of the test"))
        with pytest.raises(OutputError, match=words) as caught:
            save(tmp_path / "final", NEW)
    assert caught.value.exit_status == 1
    assert names(tmp_path) == ["final"]
    assert torch.equal(weights_in(tmp_path / "final"), OLD)


def test_a_place_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save(tmp_path / "file" / "final")
    with pytest.raises(OutputError, match="cannot write"), written_aside(tmp_path / "file" / "x.json") as a:
        a.write_text("")


def test_the_newest_whole_step_is_found_with_reasons_for_passing_over_others(tmp_path):
    assert checkpoint.newest(tmp_path / "nowhere") == (None, [])
    for step in (5, 20, 100):
        save(tmp_path / f"step-{step:08d}", step=step)
    _truncated(tmp_path / "step-00000100")
    _without_state(tmp_path / "step-00000020")
    found, reasons = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.record["step"] == 5
    assert ["step-00000100" in reasons[0], "step-00000020" in reasons[1]] == [True, True]
    _cut_state(tmp_path / "step-00000005")
    assert checkpoint.newest(tmp_path)[0] is None


def test_pruning_keeps_the_newest_steps_and_clears_what_cut_off_writes_left(tmp_path):
    for step in (1, 2, 3, 10):
        save(tmp_path / f"step-{step:08d}")
    save(tmp_path / "final")
    (tmp_path / ".step-00000004.partial").mkdir()
    (tmp_path / ".step-00000004.partial" / "main.safetensors").write_bytes(b"half")
    checkpoint.prune(tmp_path, keep=2)
    assert names(tmp_path) == ["final", "step-00000003", "step-00000010"]
    checkpoint.prune(tmp_path, keep=0)
    assert names(tmp_path) == ["final"]


def test_pruning_after_a_step_drops_later_ones_that_were_passed_over(tmp_path):
    for step in (1, 2, 3, 10, 11):
        save(tmp_path / f"step-{step:08d}")
    checkpoint.prune(tmp_path, keep=2, last="step-00000003")
    assert names(tmp_path) == ["step-00000002", "step-00000003"]


def test_a_file_written_aside_replaces_the_old_one_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "deep" / "metrics.json"
    with written_aside(path) as aside:
        aside.write_text("old")

    def fail(error: Exception) -> None:
        with written_aside(path) as aside:
            aside.write_text("half of the new")
            raise error

    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())
    with pytest.raises(OutputError, match=r"no space left.*metrics.json"):
        fail(OSError(errno.ENOSPC, "of the test"))
    assert path.read_text() == "old"
    assert names(path.parent) == ["metrics.json"]


def test_the_log_is_read_whole_but_for_a_line_that_was_cut_off(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    assert list(log.records()) == []
    log.rewind("a", 0)
    log.write("a", 10, {"loss": 0.5})
    log.write("b", 5, {"loss": 0.25, "kl": 2.0})
    with log.path.open("a") as stream:
        stream.write('{"stage": "b", "st')
    assert list(log.records()) == [
        {"stage": "a", "step": 10, "loss": 0.5},
        {"stage": "b", "step": 5, "loss": 0.25, "kl": 2.0},
    ]


def test_rewinding_drops_one_stage_s_later_records_and_the_cut_off_line(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    for stage, step in (("a", 10), ("a", 20), ("a", 30), ("b", 30)):
        log.write(stage, step, {"loss": 1.0})
    with log.path.open("a") as stream:
        stream.write('{"stage": "b", "st')
    log.rewind("a", 20)
    log.write("a", 30, {"loss": 2.0})
    assert [(r["stage"], r["step"], r["loss"]) for r in log.records()] == [
        ("a", 10, 1.0),
        ("a", 20, 1.0),
        ("b", 30, 1.0),
        ("a", 30, 2.0),
    ]
    assert names(tmp_path) == ["log.jsonl"]


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*log.jsonl"):
        Log(tmp_path / "nowhere" / "log.jsonl").write("a", 1, {})


def test_lines_without_a_stage_or_a_step_are_left_out_and_counted(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.path.write_text('{"note": 1}\n\n{"stage": "a"}\n{"stage": "a", "step": 1}\n{"stage": "a", "step": 0}\n')
    assert log.left_out() == 2
    assert log.rewind("a", 0) == 2
    assert log.path.read_text() == '{"stage": "a", "step": 0}\n'

"""`ddmi doctor RUN`: every damaged file of a run is named with a fix, and no damage passes for what was written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from attrs import asdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ddmi_core.cli.main import app
from ddmi_core.errors import CheckpointError, DdmiError
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model import run_folder
from ddmi_core.model.latent_cache import described
from ddmi_core.model.run_folder import RunFolder, read_config, read_head
from ddmi_core.runs.verify import verify
from ddmi_core.training import checkpoint

STATES = ("autoencoder/final/state.json", "denoiser/final/state.json")
SMALL = ("run.toml", "data.json", "metrics.json", *STATES)
WEIGHTS = ("denoiser/final/weights.safetensors", "latents/final/shard-000000.safetensors")


def damaged(run: Path) -> list[str]:
    return [one.name for one in verify(run) if one.damage]


def doctor(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *map(str, words)])
    return result.exit_code, result.output


def test_a_good_run_is_verified(finished_run):
    status, said = doctor(finished_run)
    assert status == 0
    for name in ("run.toml", "data.json", "log.jsonl", "autoencoder/final", "latents/final", "metrics.json", "samples"):
        assert f"+ {name}: " in said
    assert json.loads(doctor(finished_run, "--json")[1])[0]["name"] == "run.toml"


def test_no_run_is_an_error(tmp_path):
    status, said = doctor(tmp_path)
    assert status == 2
    assert "is not a run" in said


@pytest.mark.parametrize("name", [*SMALL, *WEIGHTS])
def test_each_damaged_file_is_named(copied_run, name):
    path = copied_run / name
    whole = path.read_bytes()
    place = whole.rindex(b"0")
    path.write_bytes(whole[:place] + b"1" + whole[place + 1 :])
    status, said = doctor(copied_run)
    assert status == 1
    (line,) = (line for line in said.splitlines() if line.startswith("! "))
    assert line.startswith(f"! {name.replace('/state.json', '').partition('/final/')[0]}")
    assert "Fix: " in line or "safetensors" in line


def test_an_edit_of_the_settings_is_refused_until_it_is_accepted(copied_run, formula_domain):
    run = RunFolder(copied_run)
    text = run.toml.read_text()
    run.toml.write_text(text.replace("clip = 1.0", "clip = 7.0"))
    with pytest.raises(DdmiError, match=r"edited or damaged.*accept it with ddmi doctor .* --accept"):
        read_config(run, formula_domain)
    assert doctor(copied_run)[0] == 1
    assert doctor(copied_run, "--accept")[0] == 0
    assert read_config(run, formula_domain).autoencoder.training.clip == 7.0


def test_comments_and_spaces_are_no_edits(copied_run, formula_domain):
    run = RunFolder(copied_run)
    before = read_config(run, formula_domain)
    run.toml.write_text("# mine\n" + run.toml.read_text().replace(" = ", "   =  "))
    assert read_config(run, formula_domain) == before


def test_a_bad_byte_in_the_log_costs_one_line(copied_run):
    log = copied_run / "log.jsonl"
    lines = log.read_bytes().splitlines()
    lines[1] = b'{"stage": "\xff"}'
    log.write_bytes(b"\n".join([*lines, b"[" * 10**5, b'{"stage": "a", "step": -1}', b'{"stage": "a", "step": null}']))
    (found,) = (one for one in verify(copied_run) if one.name == "log.jsonl")
    assert found.note == f"{len(lines) - 1} records, and 4 damaged lines, which are left out"


def meaning(run: RunFolder, domain) -> list[object]:
    """All that the small files of a run say to the program."""
    states = [checkpoint.load(stage / "final") for stage in (run.autoencoder, run.latents, run.denoiser)]
    return [
        read_head(run),
        read_config(run, domain),
        tomllib.loads(run.toml.read_text())["run"].get("extensions"),
        [asdict(figure) for figure in Evaluation.load(run.metrics).figures],
        *({key: value for key, value in state.record.items() if key != "checksum"} for state in states),
        *(described(state) for state in states[1:]),
    ]


@pytest.mark.parametrize("name", ["run.toml", "metrics.json", "denoiser/final/state.json", "latents/final/state.json"])
@settings(suppress_health_check=list(HealthCheck), max_examples=25)
@given(data=st.data())
def test_damage_of_a_small_file_is_an_error_or_changes_nothing(name, copied_run, formula_domain, data):
    path, run = copied_run / name, RunFolder(copied_run)
    whole = path.read_bytes()
    before = meaning(run, formula_domain)
    place = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "remove"]))
    changed = {
        "flip": whole[:place] + bytes([whole[place] ^ 1 << data.draw(st.integers(0, 7))]) + whole[place + 1 :],
        "cut": whole[:place],
        "insert": whole[:place] + data.draw(st.binary(min_size=1, max_size=3)) + whole[place:],
        "remove": whole[:place] + whole[place + data.draw(st.integers(1, 40)) :],
    }[kind]
    try:
        path.write_bytes(changed)
        found = meaning(run, formula_domain)
    except DdmiError:
        return
    finally:
        path.write_bytes(whole)
    assert found == before


@pytest.mark.parametrize("name", ["run.toml", "data.json", "metrics.json", "denoiser/final/state.json"])
def test_a_file_whose_name_of_the_checksum_was_damaged_is_named(name, copied_run, formula_domain):
    path = copied_run / name
    path.write_text(path.read_text().replace("checksum", "checksuM", 1))
    found = {one.name: one.damage for one in verify(copied_run)}
    assert "checksum" in found[name.removesuffix("/state.json")]


@pytest.mark.parametrize("damage", [lambda text: text.replace("[run]", "[ran]"), lambda text: "x = 1"])
def test_no_edit_of_a_file_that_describes_no_run_is_accepted(copied_run, formula_domain, damage):
    toml = copied_run / "run.toml"
    toml.write_text(damage(toml.read_text()))
    with pytest.raises(CheckpointError, match=r"no complete \[run\] table"):
        run_folder.accept(RunFolder(copied_run))

"""A network that is a program runs only if the user has named it, or trusts the run that names it."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from typer.testing import CliRunner

from ddmi_core.cli.main import app
from ddmi_core.conditions.text_network import check_trained
from ddmi_core.errors import CheckpointError, DdmiError, PluginError
from ddmi_core.evaluation.evaluate import evaluate_run
from ddmi_core.evaluation.networks.programs import check_programs, name_programs, programs_of
from ddmi_core.model import run_folder
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.registry import consent
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from feature_networks import NvidiaInception, Returning, scripted
from resealed import resealed

OWN = 'file = "net.pt"\ntakes = "pictures"\nrange = [0, 1]\nsize = 32\n'


@pytest.fixture(autouse=True)
def stranger(tmp_path, monkeypatch):
    """A user who has named nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    consent.trust(False)


@pytest.fixture
def config(tmp_path):
    """Settings with programs of each kind, and with weights that are none."""
    scripted(Returning(), tmp_path / "net.pt")
    (tmp_path / "own.toml").write_text(OWN)
    inception = scripted(NvidiaInception(), tmp_path / "inception.pt")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "dinov2.pth")
    config = resolve(domain_named("image"))
    networks = (f"inception:{inception}", str(tmp_path / "own.toml"), f"dinov2:{tmp_path / 'dinov2.pth'}", "i3d:none")
    return evolve(config, evaluation=evolve(config.evaluation, networks=networks))


def test_programs_are_told_from_weights(config, tmp_path):
    assert list(programs_of(config.evaluation)) == [tmp_path / "inception.pt", tmp_path / "net.pt"]


def test_a_run_may_name_only_programs_that_the_user_has_named(config, tmp_path):
    with pytest.raises(PluginError, match=r"a/run names the network .*inception\.pt, which is a program.*--trust"):
        check_programs(config, "a/run")
    name_programs(config)
    check_programs(config, "a/run")
    scripted(Returning(), tmp_path / "inception.pt")  # other contents
    with pytest.raises(PluginError, match=r"inception\.pt"):
        check_programs(config, "a/run")
    consent.trust(True)
    check_programs(config, "a/run")


def test_a_text_network_is_compared_with_that_of_training_before_it_is_opened(tmp_path):
    path = scripted(Returning(), tmp_path / "text.pt")
    check_trained("class", "")
    check_trained(str(tmp_path / "missing.pt"), "")
    with pytest.raises(CheckpointError, match="not the text network that this model was trained with"):
        check_trained(str(path), "another digest")
    with pytest.raises(PluginError, match="--trust"):
        check_trained(str(path), "")
    consent.give_consent(path)
    check_trained(str(path), "")


def test_commands_refuse_a_run_that_names_a_program_unless_it_is_trusted(copied_run, tmp_path):
    network = scripted(NvidiaInception(), tmp_path / "inception.pt")
    text = (copied_run / "run.toml").read_text()
    assert "networks = []" in text
    (copied_run / "run.toml").write_text(resealed(text.replace("networks = []", f'networks = ["inception:{network}"]')))
    with pytest.raises(PluginError, match="--trust"):
        evaluate_run(copied_run)
    name = run_folder.read_head(RunFolder(copied_run)).plugin
    for command in (["evaluate", copied_run], ["run", "--plugin", name, "--out", copied_run, "--resume"]):
        done = CliRunner().invoke(app, [str(word) for word in command])
        told = " ".join(done.stderr.split())
        assert done.exit_code == 2, told
        assert f"names the network {network}, which is a program" in told
        # Its opening is refused for another reason: this domain has no pictures.
        done = CliRunner().invoke(app, [str(word) for word in [*command, "--trust"]])
        assert "which is a program" not in done.stderr
        assert "pictures" in done.stderr
    with pytest.raises(DdmiError, match="pictures"):  # named by the user
        evaluate_run(copied_run, networks=[f"inception:{network}"])

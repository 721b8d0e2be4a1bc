"""Runs of a domain from a file: they keep the file, and execute it only for users who have given its contents."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.cli.main import app
from ddmi_core.errors import CheckpointError, DdmiWarning, PluginError, RequestError
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.model.run_plugin import domain_of
from ddmi_core.registry import registry
from resealed import resealed

EXAMPLE = Path(__file__).parents[2] / "examples" / "one_file.py"
TINY = Path(__file__).parents[1] / "tiny_grid.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a file, a run from it, and the state of the user who made it."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.chdir(folder)
        shutil.copyfile(EXAMPLE, "pond.py")
        ddmi("run", "--plugin", "./pond.py", "--config", str(TINY))
        registry.unregister("pond")
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A copy of it, as the working folder of that user; the file is not registered."""
    folder = Path(shutil.copytree(made, tmp_path / "here"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    yield folder
    registry.unregister("pond")


@pytest.fixture
def stranger(here, monkeypatch):
    """Another user, who has not given the file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "stranger"))


def ddmi(*arguments, status=0):
    """What a command prints; afterwards, as in a new process, no file is registered."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    registry.unregister("pond")
    return result.output


RUN = RunFolder(Path("runs/pond"))


def told(plugin=""):
    """The domain of the run, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        domain = domain_of(RUN, plugin)
    return domain, [str(warning.message) for warning in caught if warning.category is DdmiWarning]


def change(path="pond.py"):
    """Change the file."""
    Path(path).write_text(Path(path).read_text().replace("Heights of waves", "Changed heights"))


def test_a_run_keeps_the_file_and_its_digest(here):
    head = read_head(RUN)
    assert head.file == "../../pond.py"
    assert RUN.plugin.read_bytes() == EXAMPLE.read_bytes()
    assert head.sha256 == hashlib.sha256(EXAMPLE.read_bytes()).hexdigest()
    assert (head.plugin, head.distribution, head.api_version) == ("pond", "", 1)


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "runs/pond", "-n", "1", "--size", "5", "--out", "out"],
        ["report", "runs/pond"],
        ["evaluate", "runs/pond"],
        ["conditions", "runs/pond"],
        ["run", "--plugin", "pond", "--resume"],
    ],
    ids=" ".join,
)
def test_later_commands_need_no_plugin(here, command):
    ddmi(*command)


def test_a_run_that_has_moved_needs_no_plugin(here):
    shutil.move("runs/pond", "moved")
    Path("pond.py").unlink()
    ddmi("sample", "moved", "-n", "1", "--out", "out")
    assert not Path("moved/__pycache__").exists()


def test_the_run_draws_the_same_with_the_file_and_with_its_copy(here):
    ddmi("sample", "runs/pond", "-n", "1", "--out", "copy")
    ddmi("sample", "runs/pond", "-n", "1", "--out", "given", "--plugin", "./pond.py")
    assert Path("copy/sample-0000.png").read_bytes() == Path("given/sample-0000.png").read_bytes()


def test_after_a_change_of_the_file_the_run_uses_its_copy_and_says_so(here):
    change()
    domain, (text,) = told()
    assert domain.summary == "Heights of waves in a pond"
    assert text == (
        "pond.py has changed since runs/pond was made; its own copy runs/pond/plugin.py is used. "
        "To use the changed file: --plugin pond.py"
    )
    domain, (text,) = told("./pond.py")
    assert domain.summary == "Changed heights in a pond"
    assert text.startswith("runs/pond was made with another version of pond.py; the given one is used.")


def test_two_versions_of_a_file_in_one_program_do_not_mix(here):
    """The run keeps its own after the program has registered the changed file under the same name."""
    change()
    registry.domain_named("./pond.py")
    assert told()[0].summary == "Heights of waves in a pond"


def test_the_code_of_a_run_from_elsewhere_needs_consent(stranger):
    """Also if the original is still beside it: who made the folder chose both."""
    Path("runs/pond/plugin.py").write_text("from pathlib import Path\nPath('executed').write_text('')\n")
    Path("pond.py").write_bytes(RUN.plugin.read_bytes())
    digest = hashlib.sha256(RUN.plugin.read_bytes()).hexdigest()
    RUN.toml.write_text(resealed(RUN.toml.read_text().replace(read_head(RUN).sha256, digest)))
    for command in (["sample", "runs/pond", "--out", "out"], ["report", "runs/pond"], ["evaluate", "runs/pond"]):
        assert ddmi(*command, status=2) == (
            "error: runs/pond was made with the file pond.py. Its copy runs/pond/plugin.py is code that you have not "
            "run before. Fix: if you trust it, add --trust, or --plugin runs/pond/plugin.py (in a program: plugin=)\n"
        )
    with pytest.raises(PluginError, match="if you trust it"):
        ddmi_core.load("runs/pond")
    assert not Path("executed").exists()


def test_the_name_of_the_domain_of_a_run_selects_no_other_file(here):
    """Consent to the copy `plugin.py` is no consent to a file beside it that the name in `run.toml` would select."""
    Path("runs/pond/plugin.py:evil.py").write_text("raise SystemExit('executed')\n")
    toml = Path("runs/pond/run.toml")
    toml.write_text(resealed(toml.read_text().replace('plugin = "pond"', 'plugin = "evil.py:pond"')))
    text = ddmi("sample", "runs/pond", "--out", "drawn", status=2)
    assert "executed" not in text
    assert "does not describe a run" in text.replace("\n", " ")


def test_no_place_of_the_authors_machine_is_published(here):
    made = here / "elsewhere" / "run"
    shutil.copytree("runs/pond", made)
    toml = made / "run.toml"
    toml.write_text(resealed(toml.read_text().replace('\nfile = "', '\nfile = "../../client/')))
    ddmi("publish", str(made), "weights")
    texts = [path.read_text() for path in Path("weights").rglob("*") if path.suffix in (".toml", ".json", ".md")]
    assert len(texts) >= 4
    lines = [line for text in texts for line in text.splitlines()]
    assert not [line for line in lines if str(here.parent.parent) in line or "client" in line]
    assert any('file = "pond.py"' in text for text in texts)
    assert any("pond:Pond.field_features" in text for text in texts)


def test_consent_is_given_once(stranger):
    ddmi("report", "runs/pond", "--plugin", "runs/pond/plugin.py")
    ddmi("report", "runs/pond")


def test_a_copy_that_was_changed_needs_consent_again(here):
    change("runs/pond/plugin.py")
    with pytest.raises(PluginError, match="if you trust it"):
        domain_of(RUN)


def test_a_program_loads_a_run_with_a_file(stranger):
    model = ddmi_core.load("runs/pond", plugin="./pond.py", device="cpu")
    assert model.domain.summary == "Heights of waves in a pond"
    assert domain_of(RUN) is model.domain


def test_a_run_without_its_copy_asks_for_the_file(here):
    RUN.plugin.unlink()
    with pytest.raises(PluginError, match=r"has no copy of it\. Fix: add --plugin with the path .* \./pond\.py"):
        domain_of(RUN)
    assert told("./pond.py")[1] == []


def test_a_file_of_another_domain_is_refused(here):
    Path("sea.py").write_text(Path("pond.py").read_text().replace('name="pond"', 'name="sea"'))
    with pytest.raises(CheckpointError, match="is a run of plugin 'pond', not of 'sea'"):
        domain_of(RUN, "./sea.py")
    registry.unregister("sea")


def test_an_installed_plugin_takes_the_place_of_the_file(here, monkeypatch, tmp_path):
    info = tmp_path / "site" / "ddmi_pond-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ddmi-pond\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[ddmi.plugins]\npond = installed_pond\n")
    hook = "\nfrom ddmi_core.api import hookimpl\n\n@hookimpl\ndef ddmi_domains():\n    return [POND]\n"
    (tmp_path / "site" / "installed_pond.py").write_text(EXAMPLE.read_text() + hook)
    monkeypatch.syspath_prepend(tmp_path / "site")
    domain, (text,) = told()
    assert domain.load().__module__ == "installed_pond"
    assert "was made with the file pond.py; the installed plugin 'pond' comes from ddmi-pond 0.1.0" in text


def test_a_resumed_run_keeps_both_versions(here):
    old = RUN.plugin.read_bytes()
    ddmi("run", "--plugin", "./pond.py", "--resume")
    assert [path.name for path in RUN.path.glob("plugin*")] == ["plugin.py"]
    change()
    RUN.report.unlink()
    ddmi("run", "--plugin", "./pond.py", "--resume")
    assert RUN.report.exists()
    assert RUN.plugin.read_bytes() == Path("pond.py").read_bytes()
    assert read_head(RUN).sha256 == hashlib.sha256(RUN.plugin.read_bytes()).hexdigest()
    assert (RUN.path / f"plugin-{hashlib.sha256(old).hexdigest()[:12]}.py").read_bytes() == old
    assert told() == (domain_of(RUN), [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--plugin", "./pond.py", "--out", "o"], "./pond.py ships no weights. Fix: add the folder of a RUN"),
        (["bench", "--plugin", "./pond.py"], "./pond.py ships no weights"),
        (["sample", "runs/pond", "--plugin", "image", "--out", "o"], "not both"),
    ],
)
def test_a_file_has_no_weights(here, arguments, message):
    assert message in ddmi(*arguments, status=2)
    with pytest.raises(RequestError, match="a run folder and plugin="):
        ddmi_core.load(plugin="./pond.py")


def test_the_commands_for_files_of_signals_take_a_run_and_a_file(here):
    picture = "runs/pond/samples/sample-0000.png"
    ddmi("reconstruct", "runs/pond", picture, "--out", "again", "--plugin", "./pond.py")
    assert len(list(Path("again").glob("*.png"))) == 1
    complete = ["complete", "runs/pond", picture, "--hide", "x<0", "-n", "1", "--steps", "2", "--out", "whole"]
    ddmi(*complete, "--plugin", "./pond.py")
    assert len(list(Path("whole").glob("*.png"))) >= 1


def test_other_commands_take_a_file(here):
    assert "--data waves  Waves around two stones" in ddmi("data", "sources", "--plugin", "pond.py")
    few = ["--plugin", "pond.py", "--set", "domain.count=9"]
    assert "8 training signals, 1 held out" in ddmi("data", "check", "waves", *few)
    assert "domain.count" in ddmi("settings", "--plugin", "./pond.py", "--json")

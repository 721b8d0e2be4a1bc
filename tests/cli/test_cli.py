"""The command line checks requests before it works, calls the engine once, and ends with the right status."""

import ast
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated

import attrs
import pytest
import typer
from typer.testing import CliRunner

from bare_domain import BareParts, bare_domain
from ddmi_core.cli import commands
from ddmi_core.cli.commands import add_command
from ddmi_core.cli.errors import _sentence, show_warning
from ddmi_core.cli.main import app
from ddmi_core.cli.output import check_writable
from ddmi_core.errors import DdmiWarning, Interrupted, OutputError, RequestError, TrainingError
from ddmi_core.evaluation.results import Evaluation, Figure, SamplerFigure
from ddmi_core.model.initial import InitialWeights
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.registry import registry
from ddmi_core.registry.extensions import names
from ddmi_core.settings.config import Export, Sampling
from ddmi_core.settings.resolve import dumps, resolve
from resealed import resealed

COMMANDS = ", ".join(sorted(names("commands")))


@attrs.frozen
class TinySettings:
    """Settings of the domain of these tests.

    Args:
        size: cells.
    """

    size: int = 16


class TinyParts(BareParts[TinySettings]):
    """Has a preset, and nothing that runs."""

    @classmethod
    def presets(cls):
        return {"quick": "[domain]\nsize = 8\n"}


TINY = bare_domain(implementation=TinyParts, weights="tiny_cli:weights")
RUN = f'{dumps(resolve(TINY))}\n[run]\nformat = 1\nplugin = "tiny"\n'


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A domain named `tiny` with shipped weights, known to this process."""
    (tmp_path / "tiny_cli").mkdir()
    (tmp_path / "tiny_cli" / "__init__.py").write_text("")
    (tmp_path / "tiny_cli" / "weights").mkdir()
    (tmp_path / "tiny_cli" / "weights" / "run.toml").write_text(resealed(RUN))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    registry.register(TINY)
    yield TINY
    registry.unregister("tiny")
    sys.modules.pop("tiny_cli", None)


@pytest.fixture
def engine(monkeypatch):
    """Stand in for functions of modules of the engine; returns the calls that each received."""
    fakes = {}

    def _stand_in(module, name, result):
        calls = []

        def function(*arguments, **options):
            calls.append((arguments, options))
            if isinstance(result, BaseException):
                raise result
            return result

        package, _, leaf = module.rpartition(".")
        fake = fakes.setdefault(module, types.ModuleType(module))
        setattr(fake, name, function)
        monkeypatch.setitem(sys.modules, module, fake)
        __import__(package)
        monkeypatch.setattr(sys.modules[package], leaf, fake, raising=False)
        return calls

    return _stand_in


@pytest.fixture
def finished(tmp_path):
    folder = tmp_path / "done"
    folder.mkdir()
    (folder / "run.toml").write_text(resealed(RUN))
    return folder


class Result:
    def to_json(self):
        return {"a": {"b": 1.5}, "rows": [{"x": 1}, {"x": 2}]}

    def lines(self, every=False):
        return ["one", "two"]


def ddmi(*arguments, status=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def test_run_resolves_and_calls_the_pipeline(tiny, engine, tmp_path):
    report = tmp_path / "report.html"
    calls = engine("ddmi_core.runs.pipeline", "execute", report)
    text = ddmi(
        "run",
        "--plugin",
        "tiny",
        "--set",
        "domain.size=4",
        "--set",
        "seed=2",
        "--seed",
        3,
        "--data",
        "d",
        "--tracker",
        "tensorboard",
        "--resume",
    )
    ((config, domain, folder), options) = calls[0]
    assert domain is tiny
    assert (config.domain.size, config.seed, config.data, config.preset) == (4, 3, "d", "quick")
    assert folder == Path("runs/tiny")
    assert (options["resume"], options["trackers"], options["callbacks"]) == (True, ["tensorboard"], [])
    assert text.strip() == str(report)


@pytest.mark.parametrize(
    ("name", "value", "resumed"),
    [
        ("TORCHELASTIC_RESTART_COUNT", "1", True),
        ("SLURM_RESTART_COUNT", "2", True),
        ("SLURM_RESTART_COUNT", "0", False),
    ],
)
def test_run_continues_when_a_launcher_starts_it_again(tiny, engine, tmp_path, monkeypatch, name, value, resumed):
    monkeypatch.setenv(name, value)
    calls = engine("ddmi_core.runs.pipeline", "execute", tmp_path / "report.html")
    ddmi("run", "--plugin", "tiny", "--out", tmp_path / "runs" / "new")
    ((_, options),) = calls
    assert options["resume"] is resumed
    assert (tmp_path / "runs" / "new").is_dir() is resumed  # it may have failed before it made its folder


def test_run_prints_the_figures_of_its_evaluation_as_json(tiny, engine, tmp_path):
    engine("ddmi_core.runs.pipeline", "execute", tmp_path / "report.html")
    result = Evaluation((Figure("sample_distance", 1.5, {"n": 4}),), (SamplerFigure("ddim", 3, 3, 0.1, 2.0),))
    result.save(tmp_path / "out" / "metrics.json")
    printed = json.loads(ddmi("run", "--plugin", "tiny", "--out", tmp_path / "out", "--json"))
    assert printed == json.loads(result.to_json())


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_of_several_processes_only_the_main_one_prints(tiny, engine, tmp_path, monkeypatch, more):
    engine("ddmi_core.runs.pipeline", "execute", tmp_path / "report.html")
    monkeypatch.setattr("ddmi_core.training.distributed.is_main", lambda: False)
    assert ddmi("run", "--plugin", "tiny", *more) == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--plugin", "tinny"], ["unknown plugin 'tinny'", "did you mean 'tiny'"]),
        (["run", "--plugin", "tiny", "--preset", "quik"], ["did you mean 'quick'"]),
        (["run", "--plugin", "tiny", "--set", "domain.siez=3"], ["'domain.siez'", "did you mean 'size'"]),
        (["run", "--plugin", "tiny", "--seed", "-1"], ["--seed"]),
        (["run"], ["--plugin"]),
        (["sample", "--out", "o"], ["RUN or --plugin"]),
        (["sample", "done", "--plugin", "tiny", "--out", "o"], ["not both"]),
        (["sample", "nowhere", "--out", "o"], ["there is no run folder nowhere"]),
        (["sample", "tiny_cli", "--out", "o"], ["no run.toml"]),
        (["sample", "--plugin", "tiny", "--sampler", "dpmp_2m", "--out", "o"], ["did you mean 'dpmpp_2m'"]),
        (["sample", "--plugin", "tiny", "-n", "-4", "--out", "o"], ["-n"]),
        (["sample", "--plugin", "tiny", "-n", "1000000", "--out", "o"], ["-n"]),
        (["sample", "--plugin", "tiny", "--steps", "0", "--out", "o"], ["--steps"]),
        (["sample", "--plugin", "tiny", "--size", "9x-1", "--out", "o"], ["--size 9x-1"]),
        (["sample", "--plugin", "tiny", "--size", "100000", "--out", "o"], ["from 1 to 65536"]),
        (["sample", "--plugin", "tiny", "--faces", "100", "--out", "o"], ["--faces: domain 'tiny' cannot reduce"]),
        (["sample", "--plugin", "tiny"], ["--out"]),
        (["reconstruct", "done", "--out", "o"], ["at least one INPUT"]),
        (["reconstruct", "done", "missing.txt", "--out", "o"], ["missing.txt does not exist"]),
        (["evaluate", "nowhere"], ["there is no run folder nowhere"]),
        (["report", "nowhere"], ["there is no run folder nowhere"]),
        (["settings", "--plugin", "tiny", "--config", "none.toml"], ["none.toml does not exist"]),
        (["smaple"], ["smaple"]),
    ],
)
def test_a_wrong_request_ends_with_2_and_a_sentence(tiny, finished, arguments, words):
    text = " ".join(ddmi(*arguments, status=2).split())
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["data", "check"], "PATH|NAME is missing; see ddmi data check --help"),
        (["sample", "done"], "--out DIR is missing; see ddmi sample --help"),
        (["smaple"], "unknown command 'smaple'; did you mean 'sample'? Valid: " + COMMANDS),
        (["--bogus"], "no such option: --bogus; see ddmi --help"),
        (["report"], "RUN is missing; see ddmi report --help"),
    ],
)
def test_wrong_usage_is_one_sentence(tiny, arguments, text):
    assert ddmi(*arguments, status=2) == f"error: {text}\n"


def test_where_the_plugin_is_missing_the_installed_ones_are_named(tiny):
    text = ddmi("settings", status=2)
    message = r"error: --plugin NAME\|FILE is missing; installed: .*image.*, tiny.*; see ddmi settings --help\n"
    assert re.fullmatch(message, text)
    text = ddmi("run", status=2)
    assert re.fullmatch(r"error: give --plugin NAME \(.*image.*, tiny.*\), or finished weights.*--from WEIGHTS\n", text)


def every_help(app, monkeypatch):
    """The help of a program and of all its commands, each as one line."""
    monkeypatch.setenv("COLUMNS", "400")
    paths = [([], typer.main.get_command(app))]
    for path, command in paths:
        paths += [([*path, name], own) for name, own in getattr(command, "commands", {}).items()]
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0, result.output
        yield path, " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split())


def test_help_names_every_extra_of_the_commands(monkeypatch):
    shown = " ".join(text for _, text in every_help(app, monkeypatch))
    sources = [path.read_text() for path in Path(commands.__file__).parent.glob("*.py")]
    literals = [node.value for text in sources for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    texts = [text for text in literals if isinstance(text, str)]
    extras = {extra for text in texts for extra in re.findall(r"ddmi\[[a-z]+\]", text)}
    assert {"ddmi[tensorboard]", "ddmi[trackio]", "ddmi[hub]"} <= extras
    assert [extra for extra in extras if extra not in shown] == []


def test_help_texts_are_plain_in_commands_and_groups_of_extensions(monkeypatch):
    def dance(
        steps: Annotated[int, typer.Option(help="Steps [/] of ddmi[steps].")] = 3,
        song: Annotated[str, typer.Argument(help="See [link=x] and [bold]x[/bold].")] = "",
    ) -> None:
        """Dance; requires ddmi[shoes]."""

    group, sub = typer.Typer(), typer.Typer(help="About ddmi[group].")
    group.callback()(lambda: None)
    sub.callback()(lambda: None)
    sub.command()(dance)
    add_command(group, "dance", dance)
    inner = typer.Typer(help="About ddmi[inner].")
    inner.command("step")(dance)
    inner.callback()(lambda: None)
    sub.add_typer(inner, name="inner")
    add_command(group, "more", sub)
    helps = {" ".join(path): text for path, text in every_help(group, monkeypatch)}
    for path in ("dance", "more dance", "more inner step"):
        for words in ("Steps [/] of ddmi[steps].", "See [link=x] and [bold]x[/bold].", "requires ddmi[shoes]."):
            assert words in helps[path]
    for path in ("", "more", "more inner"):  # lists and pages
        assert "requires ddmi[shoes]." in helps[path]
    for path in ("", "more"):
        assert "About ddmi[group]." in helps[path]
    for path in ("more", "more inner"):
        assert "About ddmi[inner]." in helps[path]


def test_a_group_without_a_command_shows_its_help():
    for arguments in ([], ["data"]):
        assert "Usage" in CliRunner().invoke(app, arguments).output


def test_sample_passes_its_options_on(tiny, engine, tmp_path):
    loads = engine("ddmi_core.model.loading", "load", "the model")
    samples = engine("ddmi_core.runs.generate", "sample_files", [Path("a"), Path("b")])
    out = tmp_path / "drawn"
    text = ddmi("sample", "--plugin", "tiny", "-n", 2, "--size", "48x64", "--condition", "red", "--out", out)
    assert loads == [((None,), {"plugin": "tiny", "overrides": ()})]
    assert samples[0] == (("the model", 2, Sampling(condition="red"), Export(out=out, size=(48, 64))), {})
    assert text == f"wrote 2 files to {out}\n"
    ddmi("sample", "--plugin", "tiny", "--steps", 3, "--sampler", "ddim", "--guidance", 2, "--out", out)
    assert samples[1][0][2] == Sampling(steps=3, sampler="ddim", guidance=2.0)


def test_export_samples_with_both_guidances(tiny, engine, finished, tmp_path):
    engine("ddmi_core.model.loading", "load", "the model")
    engine("ddmi_core.runs.field_programs", "check_format", None)
    calls = engine("ddmi_core.runs.field_programs", "export_files", [])
    ddmi("export", finished, "--guidance", 2, "--autoguidance", 3, "--out", tmp_path / "programs")
    assert calls[0][0][2] == Sampling(guidance=2.0, autoguidance=3.0)


def test_run_starts_from_weights_without_a_plugin(tiny, engine, tmp_path, monkeypatch):
    initial = InitialWeights("here", RunFolder(tmp_path), tiny, resolve(tiny))
    monkeypatch.setattr("ddmi_core.model.initial.opened", lambda weights, plugin: initial)
    calls = engine("ddmi_core.runs.pipeline", "execute", tmp_path / "report.html")
    ddmi("run", "--from", "here", "--set", "autoencoder.training.steps=0")
    ((config, domain, folder), options) = calls[0]
    assert (domain, folder, options["initial"]) == (tiny, Path("runs/tiny"), initial)
    assert (config.weights, config.autoencoder.training.steps, config.diffusion.training.steps) == ("here", 0, 200)


def test_reconstruct_takes_a_run_or_a_plugin(tiny, engine, finished, tmp_path):
    loads = engine("ddmi_core.model.loading", "load", "the model")
    calls = engine("ddmi_core.runs.generate", "reconstruct_files", [])
    file = tmp_path / "in.txt"
    file.write_text("")
    ddmi("reconstruct", finished, file, "--out", "o")
    ddmi("reconstruct", file, "--plugin", "tiny", "--out", "o", "--size", 32, "--set", "domain.size=7")
    assert loads[0] == ((finished,), {"plugin": None, "overrides": ()})
    assert loads[1] == ((None,), {"plugin": "tiny", "overrides": ("domain.size=7",)})
    exports = [Export(out=Path("o"), size=size) for size in (None, (32,))]
    assert [given for given, _ in calls] == [("the model", [file], export, ()) for export in exports]


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
@pytest.mark.parametrize("written", ["txt", ".txt", "TXT"])
def test_the_type_of_files_is_passed_on_as_their_suffix(tiny, engine, finished, tmp_path, command, written):
    engine("ddmi_core.model.loading", "load", "the model")
    calls = engine("ddmi_core.runs.generate", f"{command}_files", [])
    (tmp_path / "in.txt").write_text("")
    inputs = ["in.txt"] if command == "reconstruct" else []
    ddmi(command, finished, *inputs, "--format", written, "--out", "o")
    ddmi(command, *inputs, "--plugin", "tiny", "--format", written, "--out", "o")
    assert [next(item for item in given if isinstance(item, Export)).suffix for given, _ in calls] == [".txt", ".txt"]


@pytest.mark.parametrize("command", [["sample"], ["reconstruct", "in.txt"]])
def test_a_type_of_files_that_is_not_written_is_refused_before_the_model_is_loaded(tiny, engine, tmp_path, command):
    loads = engine("ddmi_core.model.loading", "load", "the model")
    (tmp_path / "in.txt").write_text("")
    text = ddmi(*command, "--plugin", "tiny", "--format", ".tx", "--out", "o", status=2)
    assert text == "error: unknown file type '.tx'; did you mean '.txt'? Valid: .txt\n"
    assert not loads
    assert not Path("o").exists()


@pytest.mark.parametrize("command", [["sample"], ["reconstruct", "in.txt"]])
def test_a_plugin_whose_weights_are_not_there_asks_to_train(tiny, command, tmp_path):
    (tmp_path / "tiny_cli" / "weights" / "run.toml").unlink()
    text = ddmi(*command, "--plugin", "tiny", "--out", "o", status=2)
    assert text == "error: plugin 'tiny' ships no weights; train some: ddmi run --plugin tiny\n"


def test_files_are_replaced_only_if_that_is_asked_for(tiny, engine):
    engine("ddmi_core.model.loading", "load", "the model")
    calls = engine("ddmi_core.runs.generate", "sample_files", [])
    ddmi("sample", "--plugin", "tiny", "--out", "drawn")
    ddmi("sample", "--plugin", "tiny", "--out", "drawn", "--overwrite")
    assert [given[-1].overwrite for given, _ in calls] == [False, True]


def test_evaluate_and_bench_print_figures_or_json(engine, finished):
    engine("ddmi_core.evaluation.evaluate", "evaluate_run", Result())
    engine("ddmi_core.runs.bench.bench", "measure_speed", Result())
    assert ddmi("evaluate", finished) == "one\ntwo\n"
    assert json.loads(ddmi("evaluate", finished, "--json")) == Result().to_json()
    assert ddmi("bench") == "one\ntwo\n"
    assert json.loads(ddmi("bench", "--json")) == Result().to_json()


def test_evaluate_passes_what_is_asked_for(engine, finished):
    calls = engine("ddmi_core.evaluation.evaluate", "evaluate_run", Result())
    sweeps = engine("ddmi_core.evaluation.sweep", "sweep_run", Result())
    ddmi("evaluate", finished)
    ddmi("evaluate", finished, "--protocol", "paper")
    assert [options["protocol"] for _, options in calls] == ["", "paper"]
    ddmi("evaluate", finished, "--network", "inception:a.pt", "--network", "lpips:b.pth")
    assert [list(options["networks"]) for _, options in calls] == [[], [], ["inception:a.pt", "lpips:b.pth"]]
    assert ddmi("evaluate", finished, "--sweep") == "one\ntwo\n"
    assert len(sweeps) == 1


def test_an_interrupted_evaluation_says_how_to_go_on(engine, finished):
    engine("ddmi_core.evaluation.evaluate", "evaluate_run", KeyboardInterrupt())
    text = ddmi("evaluate", finished, status=130)
    assert text.startswith("stopped: the samples drawn so far are kept")


def test_evaluate_of_several_runs_compares_them(engine, finished):
    calls = engine("ddmi_core.evaluation.compare", "compare_runs", Result())
    assert ddmi("evaluate", finished, finished, "--across", "steps", "--protocol", "paper") == "one\ntwo\n"
    assert calls == [(([finished, finished],), {"paper": True, "across": ["steps"]})]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["RUN", "--sweep"], "apply to one run"),
        (["--across", "n"], "applies to the comparison of runs"),
        (["--sweep", "--protocol", "paper"], "--sweep has no protocol of a paper"),
        (["--sweep", "--network", "inception:a.pt"], "--sweep uses the plugin's own features alone"),
        (["RUN", "--network", "inception:a.pt"], "apply to one run"),
    ],
)
def test_options_of_evaluate_that_do_not_go_together_are_refused(finished, more, words):
    text = ddmi("evaluate", finished, *(finished if part == "RUN" else part for part in more), status=2)
    assert words in text


def test_report_prints_where_it_is(engine, finished):
    engine("ddmi_core.report.report", "build_report", finished / "report.html")
    assert ddmi("report", finished).strip() == str(finished / "report.html")


@pytest.mark.parametrize("error", ["", "there: empty"])
def test_data_check_passes_the_domains_settings(tiny, engine, error):
    found = Result()
    found.error = error
    engine("ddmi_core.runs.rehearsal", "try_metrics", None)
    checks = engine("ddmi_core.model.data", "check_data", found)
    more = {"status": 2} if error else {}
    assert ddmi("data", "check", "there", "--plugin", "tiny", "--set", "domain.size=2", **more).startswith("one\ntwo\n")
    (((parts, config, trial), _),) = checks
    assert trial.args == (parts, config)
    assert (parts.domain, parts.settings, config.data) == (tiny, TinySettings(size=2), "there")


def test_sources_are_listed(tiny, engine):
    calls = engine("ddmi_core.model.data", "list_sources", Result())
    assert ddmi("data", "sources", "--plugin", "tiny") == "one\ntwo\n"
    assert [parts.domain for (parts,), _ in calls] == [tiny]


@pytest.mark.parametrize(
    ("classes", "examples", "text", "names"),
    [
        (2, None, "red\nblue\n", ["red", "blue"]),
        (0, None, "this model was trained without conditions, so it accepts no --condition\n", []),
        (0, ["a cat", "a dog"], "a cat\na dog\n", ["a cat", "a dog"]),
        (0, [], "this model accepts texts as --condition; see the plugin's documentation\n", []),
    ],
)
def test_conditions_are_the_classes_or_texts_that_a_model_was_trained_with(
    classes, examples, text, names, finished, engine
):
    model = types.SimpleNamespace(
        classes=("red", "blue"),
        diffusion=types.SimpleNamespace(classes=classes),
        condition=None if examples is None else types.SimpleNamespace(examples=lambda: examples),
    )
    engine("ddmi_core.model.loading", "load", model)
    assert ddmi("conditions", finished) == text
    assert json.loads(ddmi("conditions", finished, "--json")) == {"values": names, "words": []}


def test_long_lines_of_data_check_continue_indented_only_where_a_width_is_known(tiny, engine, monkeypatch):
    lines = ["warning: " + "several words " * 6 + "and\x1b[31m", "  below: " + "other words " * 6, "x" * 70]
    engine("ddmi_core.runs.rehearsal", "try_metrics", None)
    engine("ddmi_core.model.data", "check_data", types.SimpleNamespace(lines=lambda every: lines, error=""))
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = [lines[0].replace("\x1b", "\\x1b"), *lines[1:]]
    assert ddmi("data", "check", "there", "--plugin", "tiny").splitlines() == shown
    monkeypatch.setenv("COLUMNS", "50")
    wrapped = ddmi("data", "check", "there", "--plugin", "tiny").splitlines()
    assert " ".join(" ".join(wrapped).split()) == " ".join(" ".join(shown).split())
    assert max(len(line) for line in wrapped[:-1]) <= 50
    assert [len(line) - len(line.lstrip()) for line in wrapped] == [0, 2, 2, 2, 4, 0]


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_settings_cut_no_value_in_a_narrow_terminal(tiny, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = ddmi("settings", "--plugin", "tiny")
    assert max(len(line) for line in text.splitlines() if line.startswith("    ")) <= columns
    shown = " ".join(text.split())
    for row in json.loads(ddmi("settings", "--plugin", "tiny", "--json")):
        assert f"{row['summary']} Takes {row['takes']}." in shown
        assert f"{row['key']} =" in shown
    words = {word.rstrip(".,") for word in text.split()}
    assert {"'variance_preserving'", "'rectified_flow'", "9223372036854775808"} <= words


def test_the_list_of_plugins_cuts_no_name_in_a_narrow_terminal(tiny, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert "\N{HORIZONTAL ELLIPSIS}" not in ddmi("plugins")


def test_settings_lists_keys_and_writes_a_file(tiny, tmp_path):
    rows = {row["key"]: row for row in json.loads(ddmi("settings", "--plugin", "tiny", "--json"))}
    assert rows["domain.size"] == {
        "key": "domain.size",
        "value": 8,
        "takes": "an integer",
        "summary": "cells.",
    }
    assert "domain.size = 8\n    cells. Takes an integer.\n" in ddmi("settings", "--plugin", "tiny")
    file = tmp_path / "mine.toml"
    file.write_text(ddmi("settings", "--plugin", "tiny", "--set", "seed=5", "--toml"))
    again = ddmi("settings", "--plugin", "tiny", "--config", file, "--toml")
    assert again == file.read_text()
    assert "seed = 5" in again


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (TrainingError("the loss is not finite at step 3"), 1, "error: the loss is not finite at step 3"),
        (OutputError("no space left"), 1, "error: no space left"),
        (RequestError("no"), 2, "error: no"),
        (Interrupted("at step 3; go on with --resume", 2), 130, "stopped: at step 3; go on with --resume"),
        (Interrupted("at step 3; go on with --resume", 15), 143, "stopped: at step 3; go on with --resume"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_ends_with_its_status_and_its_sentence(tiny, engine, error, status, text):
    engine("ddmi_core.runs.pipeline", "execute", error)
    assert ddmi("run", "--plugin", "tiny", status=status) == f"{text}\n"


def test_debug_shows_the_traceback(tiny, engine):
    engine("ddmi_core.runs.pipeline", "execute", TrainingError("the loss is not finite"))
    assert "Traceback" in ddmi("--debug", "run", "--plugin", "tiny", status=1)


def test_plugins_lists_and_narrows(tiny, monkeypatch):
    monkeypatch.setenv("DDMI_PLUGINS", "unset by the switch")
    records = {record["name"]: record for record in json.loads(ddmi("plugins", "--json"))}
    assert records["tiny"]["status"] == "ready"
    assert records["image"]["status"] == "disabled"
    text = ddmi("--no-plugins", "plugins")
    assert "Fix: unset DDMI_PLUGINS" in text


def test_what_only_loading_tells_has_a_footnote():
    text = ddmi("plugins")
    assert re.search(r"image +\S+ +ddmi +- +- +found", text)
    assert "use --check" in text
    text = ddmi("plugins", "--check")
    assert re.search(r"image +\S+ +ddmi +1 +x y +ready", text)
    assert "use --check" not in text


def test_doctor_reports_as_lines_and_json():
    every = json.loads(ddmi("doctor", "--json"))
    findings = {finding["name"]: finding for finding in every}
    assert len(findings) == len(every)  # nothing is listed twice
    assert "for image" in findings["lpips"]["note"]
    assert {"python", "torch", "device", "processors", "memory", "cache", "fonts", "lpips"} <= findings.keys()
    assert "pytest" not in findings
    assert "--tracker mlflow" in findings["mlflow"]["note"]
    assert "--format onnx" in findings["onnxruntime"]["note"]
    assert "+ python: " in ddmi("doctor")


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        check_writable(tmp_path / "file" / "out")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user without all permissions")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission"):
        check_writable(tmp_path / "out")


def shell(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


_QUIET = """
import atexit, sys
sys.argv = ["ddmi", *{arguments!r}]
HEAVY = {{"torch", "numpy", "ddmi_image"}}
atexit.register(lambda: print("HEAVY", sorted(HEAVY & sys.modules.keys())))
from ddmi_core.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["plugins"],
        ["run", "--help"],
        ["run", "--plugin", "imaeg"],
        ["sample", "x", "--out", "o"],
    ],
)
def test_help_lists_and_wrong_requests_import_no_torch_and_no_plugin(arguments):
    assert "HEAVY []" in shell(_QUIET.format(arguments=arguments)).stdout


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("ddmi run --plugin im", "image"),
        ("ddmi run --preset qu", "quick"),
        ("ddmi sample --sampler dpm", "dpmpp_2m"),
        ("ddmi evalu", "evaluate"),
    ],
)
def test_completion_imports_no_torch_and_no_plugin(words, value):
    result = shell(
        _QUIET.format(arguments=[]),
        _DDMI_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert value in result.stdout.split()
    assert "HEAVY []" in result.stdout


RECORD = '[run]\nformat = 1\nplugin = "sphere"\ndistribution = "ddmi-sphere"\nversion = "0.1.0"\napi_version = 1\n'


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "done", "--out", "o"],
        ["sample", "done", "--size", "8", "--out", "o"],
        ["reconstruct", "done", "in.txt", "--out", "o"],
        ["complete", "done", "in.txt", "--observe", "x<0", "--out", "o"],
        ["conditions", "done"],
        ["evaluate", "done"],
        ["report", "done"],
        ["view", "done", "--no-open", "--port", "0"],
        ["run", "--plugin", "sphere", "--out", "done", "--resume"],
    ],
    ids=" ".join,
)
def test_every_command_that_takes_a_run_says_how_to_get_its_plugin(tiny, finished, command):
    (finished / "run.toml").write_text(resealed(RECORD))
    Path("in.txt").write_text("")
    assert ddmi(*command, status=2) == (
        "error: done needs plugin 'sphere' of ddmi-sphere 0.1.0, which is not installed. "
        "Fix: pip install ddmi-sphere==0.1.0\n"
    )
    assert not Path("o").exists()


def test_a_warning_of_ddmi_is_one_line_without_code(capsys, monkeypatch):
    others = []
    monkeypatch.setattr("ddmi_core.cli.errors._show_other", lambda *given: others.append(given))
    show_warning("told", DdmiWarning, "file.py", 3)
    assert capsys.readouterr().err == "warning: told\n"
    show_warning("told", UserWarning, "file.py", 3)
    assert others == [("told", UserWarning, "file.py", 3)]


def test_publish_push_and_fetch_call_the_engine_and_print_where_it_is(engine, finished, monkeypatch):
    (finished / "run.toml").write_text(resealed(RECORD))
    monkeypatch.chdir(finished.parent)
    published = engine("ddmi_core.runs.publish", "publish", 3_210_000)
    pushed = engine("ddmi_core.runs.hub", "push", "https://hub.test/me/x")
    fetched = engine("ddmi_core.runs.hub", "fetch", finished)
    assert "wrote out, 3.2 MB" in ddmi("publish", finished, "out", "--license", "mit", "--task", "other")
    assert published == [((finished, Path("out")), {"license_name": "mit", "task": "other"})]
    assert ddmi("push", finished, "me/x", "--private") == "https://hub.test/me/x\n"
    assert pushed == [((finished, "me/x"), {"private": True})]
    text = ddmi("fetch", "me/x", "there", "--revision", "v1")
    assert fetched == [(("me/x", Path("there")), {"revision": "v1"})]
    assert f"wrote {finished}; sample it with: ddmi sample {finished} --out samples" in text
    assert "first install its plugin 'sphere': pip install ddmi-sphere==0.1.0" in text
    (finished / "run.toml").write_text(resealed(RECORD + 'file = "../mine.py"\n'))
    text = ddmi("fetch", "me/x", "there")
    assert "its domain is in the file mine.py, which is not downloaded; get it and add --plugin ./mine.py" in text
    assert "pip install" not in text


def test_an_argument_without_a_metavar_is_named():
    app = typer.Typer()
    add_command(app, "greet", lambda name: None)
    add_command(app, "other", lambda: None)
    command = typer.main.get_command(app).commands["greet"]
    with pytest.raises(typer.BadParameter) as caught:
        command.make_context("greet", [])
    assert _sentence(caught.value).startswith("NAME is missing; see")


def test_completion_of_a_plugin_offers_names_or_python_files(tmp_path, monkeypatch):
    from ddmi_core.cli.options import plugins

    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    for name in ("mine.py", "mine.txt", "more/other.py"):
        Path(name).write_text("")
    assert "image" in plugins("im")
    assert plugins("./m") == ["./mine.py", "./more/"]
    assert plugins("more/") == ["more/other.py"]
    assert plugins(f"{tmp_path}/mi") == [f"{tmp_path}/mine.py"]


@pytest.mark.parametrize("command", [["status"], ["sample", "-n", "1", "--out", "out"]])
def test_a_run_whose_run_toml_is_a_folder_is_named_so(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "run.toml").mkdir(parents=True)
    name, *options = command
    done = CliRunner().invoke(app, [name, "run", *options])
    assert (done.exit_code, done.output.strip()) == (2, "error: run is not a run: its run.toml is a folder")

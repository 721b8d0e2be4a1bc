"""Any exception that is not ours ends in one sentence with the place, whose bug it is, and a file for a report."""

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ddmi_core.cli import unexpected
from ddmi_core.cli.commands import ExtensibleCommands
from ddmi_core.cli.main import app as program
from ddmi_core.errors import PluginError


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Reports are written to the folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def recursing():
    return recursing()


def raising(error):
    def function() -> None:
        if callable(error):
            error()
        raise error

    return function


def told(function, *options):
    """What the program says, without the path of the report, and the report."""
    app = typer.Typer(cls=ExtensibleCommands, pretty_exceptions_enable=False)

    @app.callback()
    def _options(debug: bool = False) -> None: ...

    app.command("work")(function)
    result = CliRunner().invoke(app, [*options, "work"])
    assert isinstance(result.exception, SystemExit | None)
    files = re.findall(r"the file (\S+?\.txt)", result.output)
    return result.exit_code, result.output, Path(files[0]).read_text(encoding="utf-8") if files else ""


def in_module(name, text):
    """A function `broken` of a module with a name, as that of a plugin."""
    module = types.ModuleType(name)
    exec(compile(text, f"/somewhere/{name}.py", "exec"), module.__dict__)
    return module.broken


BROKEN = "def broken() -> None:\n    {}['key']\n"


@pytest.mark.parametrize(
    ("module", "owner", "place"),
    [
        ("ddmi_core.somewhere", "ddmi", "ddmi_core/somewhere.py, line 2, in broken"),
        ("ddmi_image.parts", "the plugin 'image' of ddmi", "ddmi_image/parts.py, line 2, in broken"),
    ],
)
def test_the_sentence_names_the_place_and_whose_bug_it_is(module, owner, place):
    status, said, report = told(in_module(module, BROKEN))
    assert status == 1
    assert said.startswith(
        f"error: unexpected KeyError: 'key' ({place}). This is a bug in {owner}. Fix: report it with "
    )
    assert "--debug" in said
    assert said.count("\n") == 1
    assert "Traceback (most recent call last)" in report
    for words in ("KeyError: 'key'", f"whose bug: {owner}", "python: ", "torch: ", "command: "):
        assert words in report


def test_a_fault_of_ours_below_a_plugin_is_of_one_of_both(monkeypatch):
    inner = in_module("ddmi_core.inner", BROKEN)
    monkeypatch.setitem(sys.modules, "inner_of_this_test", types.SimpleNamespace(broken=inner))
    outer = in_module(
        "ddmi_video.outer", "def broken() -> None:\n    import inner_of_this_test\n    inner_of_this_test.broken()\n"
    )
    _, said, _ = told(outer)
    assert "This is a bug in ddmi or in the plugin 'video' of ddmi." in said


class Panic(BaseException):
    """As compiled extensions raise it."""


@pytest.mark.parametrize(
    "error", [ValueError("v"), RuntimeError(), Panic("p"), recursing, UnicodeError("x"), AssertionError(), OSError("o")]
)
def test_every_exception_is_a_sentence(error):
    status, said, report = told(raising(error))
    assert status == 1
    assert said.startswith("error: unexpected ")
    assert "Traceback" not in said
    assert "Traceback" in report


def test_debug_shows_the_traceback_before_the_sentence():
    _, said, _ = told(raising(ValueError("v")), "--debug")
    assert said.index("Traceback") < said.index("error: unexpected ValueError: v")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x", "/there/a"), "error: no space left on device while using /there/a. Fix: free some"),
        (OSError(errno.ENAMETOOLONG, "x", "a" * 5000), "error: file name too long while using aaa"),
        (OSError(errno.EMFILE, "x"), "error: too many open files. Fix: raise the limit"),
        (MemoryError(), "error: out of memory: this process holds "),
    ],
)
def test_an_exhausted_machine_is_no_bug(error, words):
    status, said, report = told(raising(error))
    assert (status, report) == (1, "")
    assert said.startswith(words)


def test_long_and_controlling_texts_are_shortened_and_escaped():
    _, said, _ = told(raising(ValueError("\x1b[2J" + "x" * 10**6)))
    assert len(said) < 2000
    assert "\x1b" not in said


def test_the_report_is_private_and_has_no_secrets(monkeypatch, tmp_path):
    (tmp_path / "run.toml").write_text('plugin = "image"\nseed = 77\n')
    monkeypatch.setattr(sys, "argv", ["ddmi", "push", str(tmp_path), "https://anna:pass1@there", "--token=abc123"])
    monkeypatch.setenv("HF_TOKEN", "hf_hidden")
    monkeypatch.setenv("DDMI_PLUGINS", "image,video,nerf,occupancy")
    error = ValueError("hf_inmessage")
    file = unexpected.write_report(error)
    text = file.read_text(encoding="utf-8")
    for secret in ("pass1", "abc123", "hf_hidden", "hf_inmessage"):
        assert secret not in text
    assert "seed = 77" in text
    assert "DDMI_PLUGINS=image" in text
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0


def test_without_a_place_for_the_file_the_sentence_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    status, said, _ = told(raising(ValueError("v")))
    assert status == 1
    assert "which --debug shows" in said
    assert "Traceback" not in said


def test_the_cause_of_a_broken_plugin_is_in_a_file_and_not_on_the_screen():
    def fail():
        try:
            in_module("ddmi_image.parts", BROKEN)()
        except KeyError as cause:
            raise PluginError("plugin 'image' is broken. Fix: reinstall it") from cause

    status, said, report = told(raising(fail))
    assert status == 2
    assert said.startswith("error: plugin 'image' is broken. Fix: reinstall it\nnote: for its authors, the file ")
    assert "Traceback" not in said
    assert "KeyError" in report


def test_a_thread_ends_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    unexpected.install_thread_hook()
    thread = threading.Thread(target=in_module("ddmi_nerf.reading", BROKEN), name="reader")
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    assert said.startswith("error: in the thread 'reader': unexpected KeyError: 'key' (ddmi_nerf/reading.py, line 2")
    assert "Traceback" not in said


INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10**6): pass

sys.meta_path.insert(0, Finder())
sys.argv = ["ddmi", *{arguments!r}]
from ddmi_core.__main__ import main
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("ddmi_core.cli.main", ["--version"]),
        ("typer", ["--version"]),
        ("ddmi_core.registry.loader", ["plugins"]),
        ("torch", ["settings", "--plugin", "image"]),
    ],
)
def test_an_interrupt_while_modules_are_imported_is_a_word(module, arguments):
    program = INTERRUPTED.format(module=module, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's jobs in the background ignore it
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_ignored_interrupt_stays_ignored():
    program = INTERRUPTED.format(module="typer", arguments=["--version"])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert done.returncode == 0
    assert done.stdout.startswith("ddmi ")


def test_the_line_of_a_worker_process_is_found_in_the_notes():
    error = KeyError("key")
    error.add_note(
        'In the process that reads ahead:\n  File "/x/ddmi_occupancy/data/a.py", line 7, in points\nKeyError'
    )
    _, said, report = told(raising(error))
    assert "(ddmi_occupancy/data/a.py, line 7, in points). This is a bug in the plugin 'occupancy' of ddmi." in said
    assert "In the process that reads ahead" in report


def test_the_program_itself_reports():
    """The group of the program is the class that these tests use."""
    assert program.info.cls is ExtensibleCommands

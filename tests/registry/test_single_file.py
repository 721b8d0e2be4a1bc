"""A file is a domain: it is found by its path, in this process and in others, and its errors name the line."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest

import ddmi_core
from ddmi_core.errors import PluginError
from ddmi_core.registry import limit, registry
from ddmi_core.registry.consent import has_consent
from ddmi_core.registry.registry import argument, domain_named, file_domain, listed, loaded
from ddmi_core.registry.single_file import is_file, load_file

FILE = '''"""One line."""
from ddmi_core import Domain, Layout


class Mine:
    """Stands for an implementation."""

    def __init__(self, number):
        self.number = number


DOMAIN = Domain(
    name="mine",
    summary="Of tests.",
    layout=Layout(axes=("t",), planes=(("t",),)),
    values=("v",),
    implementation=Mine,
    api_version=1,
)
'''
NO_MODULE = "./mine.py, line 1: ModuleNotFoundError: No module named"
SECOND = "\nimport attrs\nOTHER = attrs.evolve(DOMAIN, name='other')\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder, and a state folder of the user; afterwards no file is registered."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "here"
    for name in ("mine", "other"):
        registry.unregister(name)


def write(text=FILE, name="mine.py"):
    Path(name).write_text(text)
    return f"./{name}"


def refusal(plugin):
    with pytest.raises(PluginError) as caught:
        domain_named(plugin)
    return caught.value


@pytest.mark.parametrize(
    ("plugin", "expected"),
    [
        ("mine", False),
        ("my-own_2", False),
        ("mine.py", True),
        ("./mine.py", True),
        ("../a folder/mine.py:NAME", True),
        ("mine.py:other", True),
        ("folder/mine", True),
        (r"C:\mine.py", True),
        ("", False),
    ],
)
def test_a_path_is_told_from_a_name(plugin, expected):
    assert is_file(plugin) == expected


def test_a_file_is_registered_under_the_name_of_its_domain(here):
    domain = domain_named(write())
    assert domain.name == "mine"
    assert domain_named("mine") is domain
    assert argument("mine") == "./mine.py"
    assert argument("image") == "image"
    (record,) = [record for record in listed() if record.name == "mine"]
    assert record.file == str(here / "mine.py")
    assert record.origin == f"the file {here / 'mine.py'}"
    assert file_domain("mine").source == FILE.encode()
    registry.unregister("mine")
    assert file_domain("mine") is None


def test_a_file_is_executed_again_only_after_a_change():
    """Also if the change has the same size and the same time, by which stored compilations are told apart."""
    first = domain_named(write())
    assert domain_named("mine.py") is first
    stamp = Path("mine.py").stat()
    write(FILE.replace("Of tests.", "Of doubts"))
    os.utime("mine.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = domain_named("./mine.py")
    assert (first.summary, second.summary) == ("Of tests.", "Of doubts")
    assert domain_named("mine") is second
    assert not Path("__pycache__").exists()


def test_giving_a_file_is_consent_to_its_contents():
    assert not has_consent(FILE.encode())
    domain_named(write())
    assert has_consent(FILE.encode())
    assert not has_consent(FILE.encode() + b"\n")


def test_a_home_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert domain_named(write()).name == "mine"
    assert not has_consent(FILE.encode())


@pytest.mark.parametrize("name", ["mine.py", "a b/per%cent.dir/random.py"])
def test_classes_of_a_file_are_found_by_spawned_processes(name):
    """Whatever the path, and if a module of Python has the file's name."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    cls = domain_named(write(name=name)).load()
    with get_context("spawn").Pool(1) as pool:
        (number,) = pool.map(pickled_number, [pickle.dumps(cls(3))])
    assert number == 3
    import random

    assert random.random() < 1


def pickled_number(data: bytes) -> int:
    """The attribute of an object of the file's class."""
    return pickle.loads(data).number


def test_the_implementation_may_be_a_reference_to_the_file():
    domain = domain_named(write(FILE.replace("=Mine", '="mine:Mine"')))
    assert domain.load().__name__ == "Mine"


def test_a_reference_to_a_missing_class_of_the_file_is_refused():
    message = str(refusal(write(FILE.replace("=Mine", '="mine:Yours"'))))
    assert message == (
        "./mine.py: domain 'mine' has the implementation 'mine:Yours', and the file defines no class Yours"
    )


def test_one_of_several_domains_is_named_by_its_name_or_variable():
    plugin = write(FILE + SECOND)
    assert str(refusal(plugin)) == (
        "./mine.py defines several domains: mine, other. Fix: name one, --plugin ./mine.py:mine"
    )
    assert domain_named(f"{plugin}:other") is domain_named(f"{plugin}:OTHER")
    assert argument("other") == "./mine.py:other"
    assert str(refusal(f"{plugin}:third")).startswith("./mine.py defines no domain 'third'; it defines mine, other.")


def test_two_names_of_one_domain_are_one_domain():
    assert domain_named(write(FILE + "\nSAME = DOMAIN\n")).name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "./mine.py defines no domain. Fix: create one at the top level of the file, "),
        (FILE.replace("class Mine:", "class Mine(Bas):"), "./mine.py, line 5: NameError: name 'Bas' is not defined"),
        (FILE.replace("Domain(", "Doman("), "./mine.py, line 12: NameError: name 'Doman' is not defined; did you mean"),
        (FILE.replace("Mine:", "Mine::"), "./mine.py, line 5: SyntaxError: invalid syntax"),
        (FILE.replace('"mine"', '"Mine"'), "./mine.py, line 12: ValueError: "),
        ("def f():\n    1 / 0\n\n\nf()\n", "./mine.py, line 2: ZeroDivisionError: division by zero"),
        ("import nowhere_at_all\n", f"{NO_MODULE} 'nowhere_at_all'. Fix: pip install"),
        ("import json.nothing\n", f"{NO_MODULE} 'json.nothing'"),
        ("import near\n", f"{NO_MODULE} 'near'. A domain in a single file cannot import near beside it. Fix: "),
        ("import sys\nsys.exit(3)\n", "./mine.py, line 2: it called sys.exit(3)"),
        (FILE.replace('"mine"', '"image"'), "the name 'image' is taken by ddmi "),
        (FILE.replace("version=1", "version=99"), "domain 'mine' was written for API version 99; this ddmi has "),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(text, message):
    Path("near.py").write_text("")
    assert str(refusal(write(text))).startswith(message)


def test_the_traceback_begins_in_the_file(here):
    cause = refusal(write("def f():\n    1 / 0\n\n\nf()\n")).__cause__
    assert isinstance(cause, ZeroDivisionError)
    trace = cause.__traceback__
    assert {trace.tb_frame.f_code.co_filename, trace.tb_next.tb_frame.f_code.co_filename} == {str(here / "mine.py")}


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("./mime.py", "there is no file ./mime.py. Python files in .: mine.py. Fix: give the path of a .py file"),
        ("nowhere/mine.py", "there is no file nowhere/mine.py. Fix: give the path of a .py file"),
        (".", "--plugin ./. is a folder. Fix: give a .py file"),
        ("notes.txt", "--plugin ./notes.txt is not a Python file. Fix: give a .py file"),
    ],
)
def test_a_wrong_path_is_told(plugin, message):
    write()
    Path("notes.txt").write_text("")
    plugin = plugin if "mi" in plugin else f"./{plugin}"
    assert str(refusal(plugin)).startswith(message)


def test_a_folder_with_a_project_is_to_be_installed():
    Path("ddmi-mine").mkdir()
    Path("ddmi-mine/pyproject.toml").write_text("")
    assert "pip install -e ./ddmi-mine" in str(refusal("./ddmi-mine"))


def test_a_slow_file_is_stopped(monkeypatch):
    monkeypatch.setenv("DDMI_TIME_FACTOR", "0.01")
    limit.set_limit()
    try:
        message = str(refusal(write("import time\ntime.sleep(5)\n")))
    finally:
        monkeypatch.setenv("DDMI_TIME_FACTOR", "0")
        limit.set_limit()
    assert message.startswith(
        "./mine.py, line 2: it waited longer than 0.3 s without using the processor. Fix: move slow work into functions"
    )


def test_a_file_with_an_error_is_read_again_after_its_correction():
    refusal(write(FILE.replace("class Mine:", "class Mine(Bas):")))
    assert domain_named(write()).name == "mine"


def test_a_registered_domain_replaces_that_of_a_file():
    domain = domain_named(write())
    ddmi_core.register(domain)
    assert file_domain("mine") is None
    assert loaded("mine").record.origin == "registered by this program"
    assert argument("mine") == "mine"


def test_names_of_plugins_need_no_import_of_files():
    """The module that imports files imports neither pluggy nor torch: the command line imports it at its start."""
    code = "import sys, ddmi_core.registry.single_file; print([m for m in ('pluggy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_may_be_loaded_without_registration():
    assert load_file(write()).domain.name == "mine"
    assert all(record.name != "mine" for record in listed())

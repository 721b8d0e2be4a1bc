"""`ddmi plugins new` writes a folder of its own or nothing, and says in a sentence what is wrong with a request."""

from __future__ import annotations

import ast
import errno
import os
import re
import tomllib
from pathlib import Path

import pytest
from made_plugins import AXES
from typer.testing import CliRunner

from ddmi_core.cli.main import app
from ddmi_core.errors import OutputError, RequestError
from ddmi_core.parts import GridDomain
from ddmi_core.scaffold.choices import DURATION
from ddmi_core.scaffold.names import LONGEST, Names
from ddmi_core.scaffold.writing import LONGEST_SUMMARY, python_text, write_plugin
from known_plugins import make_known


def new(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["plugins", "new", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def refusal(*arguments: object, status: int = 2) -> str:
    return " ".join(new(*arguments, status=status).split())


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_it_writes_a_distribution_and_says_what_to_do_next(tmp_path: Path) -> None:
    text = new("my-sonar", "--axes", "t", "--out", tmp_path / "not" / "there")
    folder = tmp_path / "not" / "there" / "ddmi-my-sonar"
    assert files(folder) == [
        ".gitignore",
        "LICENSE",
        "README.md",
        "ddmi_my_sonar/__init__.py",
        "ddmi_my_sonar/files.py",
        "ddmi_my_sonar/formulas.py",
        "ddmi_my_sonar/parts.py",
        "ddmi_my_sonar/picture.py",
        "ddmi_my_sonar/plugin.py",
        "ddmi_my_sonar/presets/quick.toml",
        "ddmi_my_sonar/py.typed",
        "ddmi_my_sonar/settings.py",
        "ddmi_my_sonar/source.py",
        "pyproject.toml",
        "tests/test_my_sonar.py",
    ]
    assert [line.strip() for line in text.splitlines()[1:]] == [
        f"pip install -e '{folder}[test]'",
        "ddmi plugins test my-sonar",
        "ddmi run --plugin my-sonar",
        f"pytest {folder}",
    ]


def test_the_place_is_the_working_directory_and_the_axes_those_of_a_plane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "pip install -e './ddmi-sonar[test]'" in new("sonar")
    assert 'axes=("x", "y")' in (tmp_path / "ddmi-sonar" / "ddmi_sonar" / "plugin.py").read_text()


@pytest.mark.parametrize("axes", AXES)
def test_every_module_opens_with_a_sentence(made: dict[str, Path], axes: str) -> None:
    for path in made[axes].rglob("*.py"):
        opening = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert opening.endswith("."), path
        assert "\n" not in opening, path


@pytest.mark.parametrize("axes", AXES)
def test_the_author_is_told_what_to_replace(made: dict[str, Path], axes: str) -> None:
    telling = {path.name for path in made[axes].rglob("*") if path.is_file() and "Replace:" in path.read_text()}
    package = {"plugin.py", "parts.py", "settings.py", "formulas.py", "source.py", "files.py", "picture.py"}
    assert telling == package | {"quick.toml", "pyproject.toml", "LICENSE", "README.md"}


@pytest.mark.parametrize("axes", AXES)
def test_the_readme_names_every_file_and_only_methods_that_exist(made: dict[str, Path], axes: str) -> None:
    text = (made[axes] / "README.md").read_text(encoding="utf-8")
    for path in files(made[axes]):
        if path.endswith(".py") and "__init__" not in path:
            assert f"| `{path}` |" in text
    methods = text.partition("| methods | purpose |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`[,| ]", "".join(row.split(" | ")[0] for row in methods.splitlines()))
    assert len(named) > 15
    assert [name for name in named if not hasattr(GridDomain, name)] == []


def test_all_texts_state_the_same_duration_of_a_run(made: dict[str, Path]) -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "start-a-plugin.md"
    help_text = new("--help")
    texts = [help_text, guide.read_text()]
    texts += [(made["t"] / name).read_text() for name in ("README.md", "ddmi_made_t/presets/quick.toml")]
    for text in (" ".join(text.split()) for text in texts):
        durations = re.findall(r"(?:\w+ to )?\w+ minutes?\b(?: on two CPU cores)?", text)
        assert set(durations) == {DURATION}


@pytest.mark.parametrize(
    "summary", ['Echoes called "pings"', "A diver's echoes", "Back\\slashes", "Both \" and '", "Écho [x]"]
)
def test_a_summary_may_hold_any_character(summary: str, tmp_path: Path) -> None:
    folder = write_plugin("sonar", "t", tmp_path, summary)
    assert tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["description"] == summary
    tree = ast.parse((folder / "ddmi_sonar" / "plugin.py").read_text(encoding="utf-8"))
    assert summary in [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert summary in (folder / "README.md").read_text(encoding="utf-8")
    assert ast.literal_eval(python_text(summary)) == summary


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Sonar", ["'Sonar'", "did you mean 'sonar'?", "lower-case letters"]),
        ("3d scans", ["did you mean 'd-scans'?"]),
        ("my.sound", ["did you mean 'my-sound'?"]),
        ("sonar-", ["did you mean 'sonar'?"]),
        ("_", ["is not a valid plugin name", "starting with a letter"]),
        ("", ["is not a valid plugin name"]),
        ("../sonar", ["did you mean 'sonar'?"]),
        ("s" * (LONGEST + 1), [f"up to {LONGEST}"]),
        ("ddmi-sonar", ["begins with ddmi", "omit it"]),
        ("ddmi_core", ["begins with ddmi"]),
        ("core", ["package ddmi_core", "choose another name"]),
        ("lambda", ["a keyword of Python"]),
        ("image", ["taken by the plugin 'image' from ddmi 0.", "choose another name"]),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name: str, words: list[str], tmp_path: Path) -> None:
    text = refusal("--out", tmp_path, "--", name)
    for word in words:
        assert word in text
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    assert write_plugin("s" * LONGEST, "t", tmp_path).is_dir()


@pytest.mark.parametrize("disabled", [False, True])
def test_the_name_of_an_installed_plugin_is_refused(
    disabled: bool, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_known(made["t"], tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if disabled:
        monkeypatch.setenv("DDMI_PLUGINS", "")
    for name in ("made-t", "made_t"):
        text = refusal(name, "--out", tmp_path / "new")
        assert f"the name {name!r} is taken by the plugin 'made-t' from ddmi-made-t 0.1.0" in text


def test_the_name_of_another_distribution_or_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "ddmi_extras-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ddmi-extras\nVersion: 2.0\n")
    (tmp_path / "ddmi_module.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "the distribution ddmi-extras 2.0" in refusal("extras", "--out", tmp_path)
    assert "the package ddmi_module" in refusal("module", "--out", tmp_path)


@pytest.mark.parametrize("axes", ["xz", "yx", "", "XYZT", "xy-z", "xyz1", "abcdefg"])
def test_unknown_axes_are_refused_with_the_valid_ones(axes: str, tmp_path: Path) -> None:
    text = refusal("sonar", "--axes", axes, "--out", tmp_path)
    assert f"unknown axes {axes!r}" in text
    assert "Valid: t, xy, xyt, xyz, or four to six different lower-case letters" in text


def test_axes_of_ones_own_are_of_different_letters(tmp_path: Path) -> None:
    assert "repeat a letter" in refusal("sonar", "--axes", "xyzx", "--out", tmp_path)


@pytest.mark.parametrize("axes", ["xyzt", "uvwst", "abcdef"])
def test_axes_of_ones_own_have_a_plane_for_each_pair(axes: str, tmp_path: Path) -> None:
    folder = write_plugin("sonar", axes, tmp_path)
    tree = ast.parse((folder / "ddmi_sonar" / "plugin.py").read_text(encoding="utf-8"))
    layout = {
        keyword.arg: ast.literal_eval(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Layout"
        for keyword in call.keywords
    }
    assert layout["axes"] == tuple(axes)
    assert set(map(frozenset, layout["planes"])) == {frozenset((a, b)) for a in axes for b in axes if a != b}
    assert len(layout["planes"]) == len(axes) * (len(axes) - 1) // 2


def test_near_axes_are_offered(tmp_path: Path) -> None:
    assert "did you mean 'xyt'?" in refusal("sonar", "--axes", "yxt", "--out", tmp_path)


@pytest.mark.parametrize("summary", ["two\nlines", "s" * (LONGEST_SUMMARY + 1)])
def test_a_summary_is_one_short_line(summary: str, tmp_path: Path) -> None:
    assert "one line" in refusal("sonar", "--summary", summary, "--out", tmp_path)


def test_a_folder_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "ddmi-sonar").mkdir()
    (tmp_path / "ddmi-sonar" / "mine").write_text("kept")
    assert f"{tmp_path / 'ddmi-sonar'} exists already" in refusal("sonar", "--out", tmp_path)
    assert files(tmp_path) == ["ddmi-sonar/mine"]


def test_a_place_that_cannot_be_written_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal("sonar", "--out", tmp_path / "file" / "below", status=1)
    with pytest.raises(OutputError, match="ddmi-sonar"):
        write_plugin("sonar", "t", tmp_path / "file")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_nothing_is_left_of_a_folder_that_could_not_be_finished(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def failing(path: Path, *arguments: str, **options: str) -> int:
        if path.name == "settings.py":
            raise failure
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", failing)
    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_plugin("sonar", "t", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_request_of_the_library_is_an_error_of_requests(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="unknown axes"):
        write_plugin("sonar", "tx", tmp_path)


def test_a_text_is_written_in_the_quotes_that_formatters_want() -> None:
    written = [python_text(text) for text in ("plain", "it's", 'say "hi"', 'it\'s "so"')]
    assert written == ['"plain"', '"it\'s"', "'say \"hi\"'", "'it\\'s \"so\"'"]


def test_names_follow_from_the_plugins() -> None:
    names = Names("my-own_sound2")
    assert (names.distribution, names.package) == ("ddmi-my-own_sound2", "ddmi_my_own_sound2")
    assert (names.module, names.title) == ("my_own_sound2", "MyOwnSound2")

"""The tree is the architecture: arrows, sizes, opening sentences, and a core that names no domain."""

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "ddmi_core").rglob("*.py"))
MODULES = CORE + sorted((ROOT / "plugins").rglob("*.py"))
DOMAINS = {"image", "occupancy", "video", "nerf"} | {
    point.name for point in entry_points(group="ddmi.plugins") if point.dist and point.dist.name == "ddmi"
}
# media types and properties of style sheets are words of the web: image/png, image-rendering
WORD = re.compile(rf"(?<![\w/-])({'|'.join(sorted(DOMAINS))})(?![\w/-])")


def name(path):
    return str(path.relative_to(ROOT))


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def docstrings(node):
    """The string nodes of a module that document it."""
    for inner in ast.walk(node):
        for statement in getattr(inner, "body", []) if isinstance(getattr(inner, "body", []), list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield statement.value


def words_of(path):
    """What a module names outside its documentation: identifiers, imports and strings."""
    documentation = set(map(id, docstrings(tree(path))))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value
        for field in ("id", "attr", "arg", "name", "module", "asname"):
            if isinstance(value := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), value


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_names_no_domain(path):
    named = [f"line {line}: {text[:60]!r}" for line, text in words_of(path) if WORD.search(text)]
    assert not named


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_opens_with_one_sentence(path):
    opening = (ast.get_docstring(tree(path)) or "").split("\n\n")[0]
    assert opening.endswith(".")
    assert "\n" not in opening


def test_modules_are_short():
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: n for path, n in lengths.items() if n > 500} == {}
    long = sorted(path for path, n in lengths.items() if n > 300)
    assert len(long) <= len(lengths) / 10, f"more than a tenth of the modules have over 300 lines: {long}"


def test_imports_point_one_way():
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if program is None:
        pytest.skip("import-linter is not installed")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("block", ["run", "test"])
def test_the_readme_has_each_command_on_one_line(block):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"<!-- ci: {block} -->\s*```bash\n(.+?)\n```", text, re.DOTALL)
    assert len(found) == 1
    assert "\n" not in found[0]

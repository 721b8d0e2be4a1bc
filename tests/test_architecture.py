"""The tree is the architecture: import directions, cycles, sizes, names, words, and a core that names no domain."""

import ast
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
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

PACKAGES = [ROOT / "ddmi_core", *sorted(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))]
CONTRACT = ROOT / "ddmi_core" / "testing" / "contract"  # its modules have the names of what they check
MAP = ROOT / "docs" / "explanation" / "code.md"  # generated from docstrings
WRITTEN = ("ddmi_core", "plugins", "examples", "benchmarks", "studies", "tools", "tests", "docs")
TEXTS = {".py", ".md", ".toml", ".jinja", ".html", ".js", ".css"}
MENDED = re.compile(r"(?<![a-z])mend", re.IGNORECASE)

# Modules of fewer than 40 lines, and why each is one.
SMALL = {
    "ddmi_core/_lazy.py": "the mechanism of lazy exports, which every package shares",
    "ddmi_core/_version.py": "the version, which must import nothing",
    "ddmi_core/bounds.py": "bounds of settings, which every package of the core shares, importable without torch",
    "ddmi_core/blocks.py": "the base class of parts of networks in fields, stages and denoisers",
    "ddmi_core/fields/config.py": "settings of the readout, importable without torch",
    "plugins/ddmi_image/plugin.py": "the description, which imports nothing heavy",
    "plugins/ddmi_nerf/plugin.py": "the description, which imports nothing heavy",
    "plugins/ddmi_nerf/signal.py": "the signal class",
    "plugins/ddmi_occupancy/evaluation/prompt_adherence.py": "the evaluation, apart from the furniture",
    "plugins/ddmi_occupancy/plugin.py": "the description, which imports nothing heavy",
    "plugins/ddmi_occupancy/signal.py": "the signal class",
    "plugins/ddmi_video/plugin.py": "the description, which imports nothing heavy",
    "plugins/ddmi_video/reading/centre_crop.py": "the crop that videos and folders of pictures share",
    "plugins/ddmi_video/sky_timelapse.py": "the published data set, apart from folders of videos",
}
# Names that several modules have, and what each means everywhere.
ONE_MEANING = {
    "data": "data sources: what `--data` names, and a domain's own",
    "folder": "the data source `folder`",
    "mesh": "triangle meshes",
    "renderer": "a renderer",
    "captions": "captions of signals",
    "conditions": "what samples are conditioned on: the interface, and ready conditions",
    "config": "the settings classes of a package",
    "distances": "distances between sets: of features, and of points",
    "embeddings": "maps of inputs to what networks take: of a field's coordinates, and of a denoiser's conditions",
    "errors": "the exceptions, and in the command line their exit status",
    "evaluate": "evaluation of a run: the command, and the measurements",
    "evaluation": "evaluation of trained models: the interface for domains, and the engine",
    "evaluations": "a domain's own evaluations",
    "export": "a domain's exporters",
    "features": "features that Fréchet distances are computed on",
    "generate": "samples and reconstructions as files: the commands, and the functions that they call",
    "grids": "domains whose signals are regular grids: their parts, and what checks know of them",
    "metrics": "metrics of reconstructions and completions",
    "networks": "neural networks: blocks of those that are trained, and feature networks that users bring",
    "objective": "objectives of the trainer: the interface, and that of the D2C-VAE",
    "packing": "signals as rows of bytes",
    "panels": "panels of the viewer: the interface, and ready ones",
    "parameters": "the parameters that a procedural signal is drawn from",
    "parts": "parts of a domain: ready ones, and a plugin's own",
    "perceptual": "the perceptual distance LPIPS, as a metric and as a term",
    "plugin": "a plugin's description and hook",
    "prompt_adherence": "whether samples match the text that they were conditioned on",
    "reading": "from files to arrays",
    "rendering": "a domain's renderer",
    "settings": "settings of a run: the engine's, and a domain's own",
    "signal": "a domain's signal class",
    "signals": "signals and sets of signals: the interface, and those on grids",
    "solids": "analytic solids, of which procedural signals consist",
    "source": "a procedural source of signals",
    "tune": "choice of the options of sampling: the command, and the search",
}


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


def imports_of(package: Path) -> dict[str, set[str]]:
    """What each module of a package imports of the package: at the top and in functions, for type checkers alone not.

    A name that a package exports lazily stands for the module that it comes from.
    """
    files = {module(path): path for path in sorted(package.rglob("*.py"))}
    return {
        importer: {target for target in map(resolved, imported(tree(path))) if target in files and target != importer}
        for importer, path in files.items()
    }


def module(path: Path) -> str:
    """Dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "plugins" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a syntax tree imports."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


@cache
def known_modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    return {module(path): path for path in MODULES}


def resolved(target: str) -> str:
    """The module that an imported name comes from."""
    if target in known_modules():
        return target
    package, _, attribute = target.rpartition(".")
    if package in known_modules():
        for node in ast.walk(tree(known_modules()[package])):
            if isinstance(node, ast.ImportFrom) and attribute in [alias.name for alias in node.names]:
                return resolved(f"{node.module}.{attribute}")
    return package


def narrows(test: ast.expr) -> bool:
    """Whether an assertion tells a type checker what it cannot see: `x is not None`, or `isinstance(x, C)`."""
    if isinstance(test, ast.Compare):
        return ast.unparse(test).endswith(" is not None")
    return isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance"


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
    long = sorted(path for path, n in lengths.items() if n > 400)
    assert len(long) <= len(lengths) / 10, f"more than a tenth of the modules have over 400 lines: {long}"


def test_no_module_is_too_small_to_be_one():
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    small = {path for path, n in lengths.items() if n < 40 and Path(path).stem not in ("__init__", "__main__")}
    assert small - set(SMALL) == set(), "merge each with the module that it is read with, or say in SMALL why not"
    assert set(SMALL) - small == set(), "remove these from SMALL"


def test_a_name_of_modules_means_one_thing():
    places = defaultdict(list)
    for path in MODULES:
        package = path.parent
        if path.stem == "__init__":
            places[package.name].append(name(package))
        elif path.stem not in ("__main__", package.name) and package != CONTRACT:
            places[path.stem].append(name(path))
    shared = {word: found for word, found in places.items() if len(found) > 1 and word not in ONE_MEANING}
    assert shared == {}, "rename one, or say in ONE_MEANING what the name means everywhere"


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_no_modules_import_each_other_in_a_circle(package):
    graph = imports_of(package)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")


def test_asserts_only_narrow_types():
    found = {
        (name(path), ast.unparse(node.test))
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert) and not narrows(node.test)
    }
    assert found == set(), "raise an error of ddmi_core.errors, or move the assertion to the tests"


def test_errors_are_fixed_and_not_mended():
    files = [path for folder in WRITTEN for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    files = [path for path in [*files, *ROOT.glob("*.md")] if path not in (Path(__file__), MAP)]
    found = {name(path) for path in files if MENDED.search(f"{path.name}\n{path.read_text(encoding='utf-8')}")}
    assert found == set(), "write fix, repair or change"


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

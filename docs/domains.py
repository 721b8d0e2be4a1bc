"""Tables that compare the domains, generated from their descriptions, implementations and weights."""

from __future__ import annotations

import ast
import io
import json
import sys
import tokenize
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from importlib.util import find_spec
from inspect import isabstract
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "examples" / "ddmi-audio"
ORDER = ("image", "occupancy", "video", "nerf")  # other domains follow, sorted by name
PARTS = ("encoder", "decoder", "sampler", "renderer", "readout")
METHODS = (
    *("loss", "perceptual", "preflight", "features", "field_features", "ground_truth", "report_views", "parse_view"),
    *("contact_sheet", "panel"),
)
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

Cell = Callable[[Any], str]


@cache
def domains() -> tuple[Any, ...]:
    """The built-in domains and the domain of the example plugin."""
    from ddmi_core.registry.hooks import GROUP
    from ddmi_core.registry.registry import domain_named

    names = sorted(point.name for point in distribution("ddmi").entry_points.select(group=GROUP))
    names.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    if str(EXAMPLE) not in sys.path:
        sys.path.append(str(EXAMPLE))
    from ddmi_audio.plugin import AUDIO

    return (*(domain_named(name) for name in names), AUDIO)


@cache
def implemented(name: str) -> Any:
    """The implementation of one of `domains`, with the settings of its preset `quick`."""
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.settings.resolve import resolve

    domain = next(domain for domain in domains() if domain.name == name)
    return build_parts(domain, resolve(domain, "quick").domain)


def descriptions() -> str:
    """Table of the descriptions and of what the implementations offer: axes, values, sources, metrics, files."""
    described: dict[str, Callable[[Any], Iterable[str]]] = {
        "axes": lambda domain: domain.layout.axes,
        "planes": lambda domain: map("".join, domain.layout.planes),
        "further inputs of the readout": lambda domain: domain.layout.extra,
        "values": lambda domain: domain.values,
    }
    offered: dict[str, Callable[[Any], Iterable[str]]] = {
        "observed values, if different": observed,
        "data": lambda parts: parts.sources(),
        "reconstruction metrics": lambda parts: parts.metrics(),
        "other evaluations": lambda parts: parts.evaluations(),
        "conditions besides classes": lambda parts: parts.conditions(),
        "files": lambda parts: parts.exporters(),
        "presets": lambda parts: parts.presets(),
    }
    rows: dict[str, Cell] = {
        name: lambda domain, names=names: _codes(names(domain)) for name, names in described.items()
    } | {name: lambda domain, names=names: _codes(names(implemented(domain.name))) for name, names in offered.items()}
    return _table(rows)


def observed(parts: Any) -> tuple[str, ...]:
    """Names of observed values, if they are not the channels."""
    names: tuple[str, ...] = parts.observed()
    return () if names == parts.channels() else names


def parts() -> str:
    """Table of the parts in the preset `quick`, and of the classes whose methods a domain uses."""
    made = {domain.name: built_parts(domain) for domain in domains()}
    rows: dict[str, Cell] = {
        name: lambda domain, name=name: _class(type(made[domain.name][name])) for name in PARTS
    } | {f"`{name}` of": lambda domain, name=name: _defined(type(implemented(domain.name)), name) for name in METHODS}
    return _table(rows)


def built_parts(domain: Any) -> dict[str, Any]:
    """Parts of a domain in its preset `quick`, by name."""
    from ddmi_core.model.build import build_autoencoder
    from ddmi_core.settings.resolve import resolve

    some = implemented(domain.name)
    model = build_autoencoder(some, resolve(domain, "quick"))
    return {name: getattr(some if name in ("sampler", "renderer") else model, name) for name in PARTS}


def code() -> str:
    """Table of the lines of code of each domain, and those of the core."""
    counts = {domain.name: lines_of(domain) for domain in domains()}
    rows: dict[str, Cell] = {
        "data sources": lambda domain: f"{counts[domain.name][0]:,}",
        "everything else": lambda domain: f"{counts[domain.name][1]:,}",
    }
    core = Path(__file__).parents[1] / "ddmi_core"
    total = sum(lines_of_code(path.read_text(encoding="utf-8")) for path in core.rglob("*.py"))
    return f"{_table(rows)}\n\nThe core, which all domains share, has {total:,}."


def lines_of(domain: Any) -> tuple[int, int]:
    """Lines of code of a domain's data sources, and of everything else in its package."""
    modules = modules_of(package_of(domain))
    data = data_sources(domain, modules)
    counts = {name: lines_of_code(path.read_text(encoding="utf-8")) for name, path in modules.items()}
    return sum(counts[name] for name in data), sum(counts[name] for name in modules.keys() - data)


def package_of(domain: Any) -> str:
    """The package of a domain's own parts."""
    return str(domain.package).partition(".")[0]


def data_sources(domain: Any, modules: Mapping[str, Path]) -> set[str]:
    """Modules that only the methods `sources` and `read` use, directly or not, and no part of the domain.

    Imports through the settings do not count, since settings check options of sources. Metrics and evaluations do not
    count either: they may use what a source of toy data knows about its signals.
    """
    kind = type(implemented(domain.name))
    settings, classes = kind.settings_type.__module__, {base.__module__ for base in kind.__mro__} & modules.keys()
    own: set[str] = set()
    others = {f"{package_of(domain)}.plugin"}
    for module in classes:
        tree = ast.parse(modules[module].read_text(encoding="utf-8"))
        methods = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        reading = [method for method in methods if method.name in ("sources", "read")]
        judging = [method for method in methods if method.name in ("metrics", "evaluations")]
        own |= used(tree, reading, modules)
        others |= used(tree, _without(tree, [*reading, *judging]), modules)
    without = {settings, *classes}
    return reached(own, modules) - reached(others, modules, without) - without


def used(module: ast.Module, nodes: Iterable[ast.AST], modules: Collection[str]) -> set[str]:
    """Modules whose names, or the names of whose functions, occur in some nodes of a module."""
    inside = [child for node in nodes for child in ast.walk(node)]
    bound: dict[str, set[str]] = {}
    for node in (*module.body, *inside):
        if isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                bound.setdefault(name, set()).update(_imported(node, alias, modules))
    return {module for node in inside if isinstance(node, ast.Name) for module in bound.get(node.id, ())}


def _imported(node: ast.ImportFrom | ast.Import, alias: ast.alias, modules: Collection[str]) -> list[str]:
    """The module that a name of an import stands for, or the module that defines it; none for other packages."""
    names = [f"{node.module}.{alias.name}", node.module] if isinstance(node, ast.ImportFrom) else [alias.name]
    return [name for name in names if name in modules][:1]


def _without(node: ast.AST, left_out: Collection[ast.AST]) -> Iterator[ast.AST]:
    """Statements and expressions below a node that contain none of some nodes."""
    for child in ast.iter_child_nodes(node):
        if child in left_out:
            continue
        if any(inner in left_out for inner in ast.walk(child)):
            yield from _without(child, left_out)
        else:
            yield child


def modules_of(package: str) -> dict[str, Path]:
    """Modules of a package by name."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    found = {}
    for path in sorted(root.rglob("*.py")):
        names = [package, *path.relative_to(root).with_suffix("").parts]
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


def reached(start: Iterable[str], modules: Mapping[str, Path], without: Collection[str] = ()) -> set[str]:
    """Modules that `start` imports, directly or not, including `start`; paths through `without` do not count."""
    found: set[str] = set()
    waiting = [name for name in start if name in modules]
    while waiting:
        name = waiting.pop()
        if name in found or name in without:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(modules[name].read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [
                    one for one in (node.module, *(f"{node.module}.{a.name}" for a in node.names)) if one in modules
                ]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names if alias.name in modules]
    return found


def lines_of_code(source: str) -> int:
    """Number of lines with code, without blank lines, comments and docstrings."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in SILENT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def weights() -> str:
    """Table of the shipped weights: sizes and figures."""
    from ddmi_core.errors import RequestError
    from ddmi_core.model.run_folder import pretrained

    places = {}
    for domain in domains():
        try:
            places[domain.name] = pretrained(domain).path
        except RequestError:
            continue
    lines = ["| domain | weights | figure | value |", "| --- | --- | --- | --- |"]
    for name, place in places.items():
        size = sum(path.stat().st_size for path in place.rglob("*.safetensors"))
        first = [f"`{name}`", f"{size / 1e6:.1f} MB"]
        for figure in figures(place):
            value = figure["value"]
            shown = f"{value:.1f} dB" if figure["name"].endswith("_db") else f"{value:.3g}"
            lines.append(f"| {' | '.join(first)} | `{figure['name']}` | {shown} |")
            first = ["", ""]
    without = [f"`{domain.name}`" for domain in domains() if domain.name not in places]
    listed = " and ".join(filter(None, [", ".join(without[:-1]), *without[-1:]]))
    return "\n".join([*(lines if places else ()), "", f"No weights ship for {listed}." if without else ""])


def figures(place: Path) -> list[dict[str, Any]]:
    """Figures of shipped weights, without those that break down another figure by a property."""
    text = (place / "metrics.json").read_text(encoding="utf-8")
    every: list[dict[str, Any]] = json.loads(text)["figures"]
    names = {figure["name"] for figure in every}
    return [figure for figure in every if figure["name"].rpartition("_")[0] not in names]


def _table(rows: Mapping[str, Cell]) -> str:
    every: Sequence[Any] = domains()
    lines = [f"| | {' | '.join(f'`{domain.name}`' for domain in every)} |", f"| --- |{' --- |' * len(every)}"]
    lines += [f"| {name} | {' | '.join(cell(domain) for domain in every)} |" for name, cell in rows.items()]
    return "\n".join(lines)


def _class(kind: type) -> str:
    """A class, in bold if it is the domain's own, with the core class from which it derives."""
    if kind.__module__.startswith("ddmi_core"):
        return f"`{kind.__name__}`"
    ready = [
        base.__name__ for base in kind.__mro__[1:] if base.__module__.startswith("ddmi_core.") and not isabstract(base)
    ]
    return f"**`{kind.__name__}`**" + (f", from `{ready[0]}`" if ready else "")


def _defined(kind: type, method: str) -> str:
    """The class that defines a method of an implementation, in bold if it is the domain's own; empty for none."""
    for base in kind.__mro__:
        if method in vars(base):
            return f"`{base.__name__}`" if base.__module__.startswith("ddmi_core.") else f"**`{base.__name__}`**"
    return ""


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)

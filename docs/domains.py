"""Tables that compare the domains, generated from their descriptions, code and weights."""

from __future__ import annotations

import ast
import io
import json
import sys
import tokenize
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from importlib.util import find_spec
from inspect import isabstract
from pathlib import Path
from typing import Any

from attrs import evolve

EXAMPLE = Path(__file__).parents[1] / "examples" / "ddmi-audio"
ORDER = ("image", "occupancy", "video", "nerf")  # other domains follow, sorted by name
PARTS = ("encoder", "decoder", "sampler", "renderer", "readout")
REFERENCES = ("loss", "field_features", "parse_view", "report_views", "ground_truth", "panel")
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

Cell = Callable[[Any], str]


@cache
def domains() -> tuple[Any, ...]:
    """The built-in domains and the domain of the example plugin."""
    from ddmi_core.registry.records import DOMAINS
    from ddmi_core.registry.registry import domain_named

    names = sorted(point.name for point in distribution("ddmi").entry_points.select(group=DOMAINS))
    names.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    if str(EXAMPLE) not in sys.path:
        sys.path.append(str(EXAMPLE))
    from ddmi_audio.plugin import AUDIO

    return (*(domain_named(name) for name in names), AUDIO)


def descriptions() -> str:
    """Table of the descriptions: axes, planes, values, sources, metrics, files."""
    rows: dict[str, Cell] = {
        "axes": lambda domain: _codes(domain.layout.axes),
        "planes": lambda domain: _codes("".join(plane) for plane in domain.layout.planes),
        "further inputs of the readout": lambda domain: _codes(domain.layout.extra),
        "values": lambda domain: _codes(domain.values),
        "observed values, if different": lambda domain: _codes(domain.observed),
        "data": lambda domain: _codes(domain.sources),
        "reconstruction metrics": lambda domain: _codes(domain.metrics),
        "other evaluations": lambda domain: _codes(domain.evaluations),
        "conditions besides classes": lambda domain: _codes(domain.conditions),
        "files": lambda domain: _codes(domain.exporters),
        "presets": lambda domain: _codes(domain.presets),
    }
    return _table(rows)


def parts() -> str:
    """Table of the parts in the preset `quick`: those from the core, and the domain's own."""
    made = {domain.name: built_parts(domain) for domain in domains()}
    rows: dict[str, Cell] = {
        name: lambda domain, name=name: _class(type(made[domain.name][name])) for name in PARTS
    } | {name: lambda domain, name=name: _reference(getattr(domain, name)) for name in REFERENCES}
    return _table(rows)


def built_parts(domain: Any) -> dict[str, Any]:
    """Parts of a domain in its preset `quick`, by name."""
    from ddmi_core.model.build import build_autoencoder, build_parts
    from ddmi_core.settings.resolve import resolve

    config = resolve(domain, "quick")
    some, model = build_parts(domain, config), build_autoencoder(domain, config)
    found = {name: getattr(some, name, None) or getattr(model, name, None) for name in PARTS}
    return {name: part for name, part in found.items() if part is not None}


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
    return str(domain.settings).partition(":")[0].partition(".")[0]


def data_sources(domain: Any, modules: Mapping[str, Path]) -> set[str]:
    """Modules that only the functions in `sources` and `read` import, directly or not, and no part of the domain.

    Imports through the settings do not count, since settings check options of sources. Metrics and evaluations do not
    count either: they may use what a source of toy data knows about its signals.
    """
    settings = domain.settings.partition(":")[0]
    own = {domain.read.partition(":")[0], *(reference.partition(":")[0] for reference in domain.sources.values())}
    parts = evolve(domain, evaluations={}, metrics={})
    others = {*_modules_named(parts), f"{package_of(domain)}.plugin"} - own
    return reached(own, modules) - reached(others, modules, without=settings) - {settings}


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


def reached(start: Iterable[str], modules: Mapping[str, Path], without: str = "") -> set[str]:
    """Modules that `start` imports, directly or not, including `start`; paths through `without` do not count."""
    found: set[str] = set()
    waiting = [name for name in start if name in modules]
    while waiting:
        name = waiting.pop()
        if name in found or name == without:
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


def _modules_named(domain: Any) -> set[str]:
    """Modules of all references in a description."""
    found = set()
    for name in (field.name for field in domain.__attrs_attrs__):
        value = getattr(domain, name)
        texts: Collection[Any] = value.values() if isinstance(value, Mapping) else [value]
        found |= {text.partition(":")[0] for text in texts if isinstance(text, str) and ":" in text}
    return found


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


def _reference(reference: str) -> str:
    module, _, name = reference.partition(":")
    if not name:
        return ""
    return f"`{name}`" if module.startswith("ddmi_core") else f"**`{name}`**"


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)

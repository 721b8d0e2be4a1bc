"""The page that compares the domains agrees with descriptions, implementations, code and weights."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "domains.md"


@pytest.fixture(scope="module")
def domains() -> ModuleType:
    """The module that makes the tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        return importlib.import_module("domains")


def table(text: str) -> dict[str, dict[str, str]]:
    """Cells of a table by row and column."""
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    return {row[0]: dict(zip((name.strip("`") for name in head[1:]), row[1:], strict=True)) for row in rows}


def words(cell: str) -> list[str]:
    """Names in a cell."""
    return re.findall(r"`([^`]*)`", cell)


def test_every_built_in_domain_is_described_as_it_is(domains):
    cells = table(domains.descriptions())
    assert {domain.name for domain in domains.domains()} >= {"image", "occupancy", "video", "nerf", "audio"}
    for domain in domains.domains():
        column = {row: words(cell[domain.name]) for row, cell in cells.items()}
        parts = domains.implemented(domain.name)
        assert column["axes"] == list(domain.layout.axes)
        assert column["planes"] == ["".join(plane) for plane in domain.layout.planes]
        assert column["values"] == list(domain.values)
        assert column["observed values, if different"] in ([], list(parts.observed()))
        assert column["data"] == list(parts.sources())
        assert column["reconstruction metrics"] == list(parts.metrics())
        assert column["other evaluations"] == list(parts.evaluations())
        assert column["files"] == list(parts.exporters())
        assert "quick" in column["presets"]
    assert words(cells["observed values, if different"]["nerf"]) == ["red", "green", "blue"]


def test_bold_parts_are_those_of_the_domain(domains):
    cells = table(domains.parts())
    for domain in domains.domains():
        for name, part in domains.built_parts(domain).items():
            cell = cells[name][domain.name]
            assert words(cell)[0] == type(part).__name__
            assert cell.startswith("**") == type(part).__module__.startswith(domains.package_of(domain))
        kind = type(domains.implemented(domain.name))
        for name in domains.METHODS:
            method = getattr(kind, name, None)
            own = method is not None and method.__module__.startswith(domains.package_of(domain))
            cell = cells[f"`{name}` of"][domain.name]
            assert words(cell) == ([method.__qualname__.partition(".")[0]] if method else [])
            assert cell.startswith("**") == own


def test_lines_of_all_modules_are_counted_once(domains):
    cells = table(domains.code())
    for domain in domains.domains():
        paths = domains.modules_of(domains.package_of(domain)).values()
        assert set(paths) == set(next(iter(paths)).parent.rglob("*.py"))
        every = sum(domains.lines_of_code(path.read_text()) for path in paths)
        counts = [int(cells[row][domain.name].replace(",", "")) for row in ("data sources", "everything else")]
        assert sum(counts) == every
        assert min(counts) > 0


def test_data_sources_are_told_apart(domains):
    by_name = {domain.name: domain for domain in domains.domains()}
    sound, radiance = (
        domains.data_sources(by_name[name], domains.modules_of(f"ddmi_{name}")) for name in ("audio", "nerf")
    )
    assert sound == {f"ddmi_audio.{name}" for name in ("notes", "instruments", "folder", "reading")}
    assert radiance >= {"ddmi_nerf.data.cars.source", "ddmi_nerf.cameras.transforms", "ddmi_nerf.data.folder"}
    assert radiance.isdisjoint(
        f"ddmi_nerf.{name}" for name in ("cameras.camera", "rendering.renderer", "settings", "plugin", "signal")
    )


def test_modules_are_found_behind_aliases_functions_and_imports_in_methods(domains):
    tree = ast.parse("""
from pack import folder as files, other
from pack.made import load
import pack.deep

class Parts:
    def sources(self):
        from pack import lazy
        return {"folder": files.load, "made": load, "lazy": lazy.load, "deep": pack.deep.load}

    def renderer(self):
        return other.Renderer()
""")
    names = ("pack", "pack.deep", "pack.folder", "pack.lazy", "pack.made", "pack.other")
    methods = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert domains.used(tree, [methods["sources"]], names) == {"pack.folder", "pack.made", "pack.lazy", "pack.deep"}
    rest = domains._without(tree, [methods["sources"]])
    assert domains.used(tree, rest, names) == {"pack.other"}


def test_figures_are_those_beside_the_weights(domains):
    page, shown = domains.weights(), 0
    for path in ROOT.glob("plugins/*/weights/metrics.json"):
        name = path.parents[1].name.removeprefix("ddmi_")
        part = re.split(r"^\| `", page.partition(f"| `{name}` |")[2], flags=re.MULTILINE)[0]
        for figure in json.loads(path.read_text())["figures"]:
            if figure["name"].startswith("reconstruction_"):
                shown += 1
                found = re.search(rf"`{figure['name']}` \| ([\d.]+)", part)
                assert found
                assert float(found[1]) == pytest.approx(figure["value"], rel=5e-3)
    assert shown or not list(ROOT.glob("plugins/*/weights"))


def test_domains_without_weights_are_named(domains, monkeypatch):
    from attrs import evolve

    bare = tuple(evolve(domain, weights="") for domain in domains.domains())
    monkeypatch.setattr(domains, "domains", lambda: bare)
    assert "No weights ship for `image`, `occupancy`, `video`, `nerf` and `audio`." in domains.weights()


def test_the_page_tells_of_every_domain(domains):
    text = PAGE.read_text(encoding="utf-8")
    for domain in domains.domains():
        assert f"### `{domain.name}`" in text
        assert text.count(f"| `{domain.name}` |") == 3

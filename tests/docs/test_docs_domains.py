"""The page that compares the domains agrees with descriptions, parts, code and weights."""

from __future__ import annotations

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
        assert column["axes"] == list(domain.layout.axes)
        assert column["planes"] == ["".join(plane) for plane in domain.layout.planes]
        assert column["values"] == list(domain.values)
        assert column["observed values, if different"] == list(domain.observed)
        assert column["data"] == list(domain.sources)
        assert column["reconstruction metrics"] == list(domain.metrics)
        assert column["other evaluations"] == list(domain.evaluations)
        assert column["files"] == list(domain.exporters)


def test_bold_parts_are_those_of_the_domain(domains):
    cells = table(domains.parts())
    for domain in domains.domains():
        for name, part in domains.built_parts(domain).items():
            cell = cells[name][domain.name]
            assert words(cell)[0] == type(part).__name__
            assert cell.startswith("**") == type(part).__module__.startswith(domains.package_of(domain))
        for name in domains.REFERENCES:
            reference = getattr(domain, name)
            assert cells[name][domain.name].startswith("**") == reference.startswith(domains.package_of(domain))


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
    assert radiance >= {"ddmi_nerf.cars.source", "ddmi_nerf.formats.transforms", "ddmi_nerf.folder"}
    assert radiance.isdisjoint(f"ddmi_nerf.{name}" for name in ("cameras", "rendering", "settings", "plugin", "signal"))


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
        assert text.count(f"| `{domain.name}` |") == 2

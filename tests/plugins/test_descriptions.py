"""The descriptions of the built-in plugins: light to import, complete, and without private imports from the core."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import attrs
import pytest

POINTS = distribution("ddmi").entry_points.select(group="ddmi.plugins")
PUBLIC = ("ddmi_core.api", "ddmi_core.errors", "ddmi_core.parts")
HEAVY = ("torch", "PIL", "scipy", "skimage", "trimesh")
RESOURCES = ("presets", "weights", "optional")  # files and modules, not parts

each_plugin = pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)


def described(point):
    """The one domain of a plugin."""
    (domain,) = point.load().ddmi_domains()
    return domain


def references(domain):
    """Where a description says that a part is."""
    for field in attrs.fields(type(domain)):
        value = getattr(domain, field.name)
        values = value.values() if isinstance(value, Mapping) else [value]
        if field.name not in RESOURCES:
            yield from (text for text in values if isinstance(text, str) and text.startswith("ddmi_"))


@each_plugin
def test_a_description_imports_nothing_heavy(point):
    program = f"import sys, {point.value}; sys.exit(bool({set(HEAVY)} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@each_plugin
def test_the_entry_point_has_the_name_of_its_domain(point):
    assert described(point).name == point.name


@each_plugin
def test_every_part_that_a_description_names_exists(point):
    domain = described(point)
    found = list(references(domain))
    assert len(found) >= 10
    assert [reference for reference in found if not callable(domain.resolve(reference))] == []


@each_plugin
def test_every_preset_that_a_description_names_is_a_file(point):
    for reference in described(point).presets.values():
        package, _, path = reference.partition(":")
        assert files(package).joinpath(path).is_file(), reference


@each_plugin
def test_only_public_names_of_the_core_are_imported(point):
    package = Path(import_module(point.value.partition(".")[0]).__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith("ddmi_core") or name in PUBLIC, f"{path.name} imports {name}"

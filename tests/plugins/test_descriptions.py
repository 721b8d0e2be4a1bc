"""The descriptions of the built-in plugins: light to import, complete, and without private imports from the core."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path

import pytest

from ddmi_core.parts.domain_parts import implementation

POINTS = distribution("ddmi").entry_points.select(group="ddmi.plugins")
PUBLIC = ("ddmi_core.api", "ddmi_core.errors", "ddmi_core.parts")
HEAVY = ("torch", "PIL", "scipy", "skimage", "trimesh")

each_plugin = pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)


def described(point):
    """The one domain of a plugin."""
    (domain,) = point.load().ddmi_domains()
    return domain


@each_plugin
def test_a_description_imports_nothing_heavy(point):
    program = f"import sys, {point.value}; sys.exit(bool({set(HEAVY)} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@each_plugin
def test_the_entry_point_has_the_name_of_its_domain(point):
    assert described(point).name == point.name


@each_plugin
def test_the_presets_are_the_files_beside_the_implementation(point):
    domain = described(point)
    folder = Path(import_module(domain.package).__file__).parent / "presets"
    presets = implementation(domain).presets()
    assert {"quick", "base", "paper"} <= presets.keys()
    assert set(presets.values()) == set(folder.glob("*.toml"))


@each_plugin
def test_only_public_names_of_the_core_are_imported(point):
    package = Path(import_module(point.value.partition(".")[0]).__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith("ddmi_core") or name in PUBLIC, f"{path.name} imports {name}"

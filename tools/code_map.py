"""Generates the map of the code, `docs/explanation/code.md`, from docstrings and from traced journeys.

    python tools/code_map.py           # write the page
    python tools/code_map.py --check   # exit with 1 if the page differs from what would be written

Sentences are read from the syntax trees, without imports. Packages of the core stand in the order of the layers that
import-linter checks (`pyproject.toml`), then the plugins.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "code.md"
CORE = ROOT / "ddmi_core"
OPENING = """\
# Map of the code

Every module in one sentence, and four journeys through the code, as lists of the functions that they call. Read the
packages from the top, from commands down to fields, or follow a journey with the editor beside it.

This page is generated: `python tools/code_map.py` writes it again after modules or functions have moved.

"""
# Frequent changes, and the files where each begins.
TASKS = {
    "a sampler": ("ddmi_core/diffusion/samplers.py", "ddmi_core/settings/config.py"),
    "a reconstruction loss": ("ddmi_core/autoencoder/losses.py", "ddmi_core/parts/__init__.py"),
    "a denoising network": ("ddmi_core/diffusion/denoisers/denoiser.py", "ddmi_core/diffusion/latent_diffusion.py"),
    "a setting, its default or its help": ("ddmi_core/settings/config.py", "ddmi_core/autoencoder/config.py"),
    "the error for a wrong setting": ("ddmi_core/settings/convert.py", "ddmi_core/settings/schema.py"),
    "the optimiser or the learning rate": ("ddmi_core/training/trainer.py",),
    "what is held out": ("ddmi_core/sources/splits.py",),
    "completions and their defaults": ("ddmi_core/completion/solve.py", "ddmi_core/settings/config.py"),
    "the report": ("ddmi_core/report/report.py", "ddmi_core/report/templates/report.html"),
    "a command": ("ddmi_core/cli/main.py", "ddmi_core/cli/generate.py"),
    "the page of `ddmi view`": ("ddmi_core/viewer/session.py", "ddmi_core/viewer/page/stage.js"),
    "a method of the plugin contract": ("ddmi_core/parts/domain_parts.py", "ddmi_core/parts/grid_domain.py"),
    "a check of the plugin contract": ("ddmi_core/testing/check_list.py", "ddmi_core/testing/contract/data.py"),
    "the public names": ("ddmi_core/api/__init__.py", "ddmi_core/parts/__init__.py"),
    "a file format of a domain": ("plugins/ddmi_image/parts.py", "plugins/ddmi_image/export.py"),
    "the glb of radiance fields": ("plugins/ddmi_nerf/rendering/mesh.py", "plugins/ddmi_nerf/rendering/export.py"),
    "a plugin's defaults": ("plugins/ddmi_image/presets/quick.toml", "plugins/ddmi_image/settings.py"),
    "how planes are joined": ("ddmi_core/fields/interpolate.py", "ddmi_core/fields/fast/folding.py"),
    "the plugin that `ddmi plugins new` writes": (
        "ddmi_core/scaffold/writing.py",
        "ddmi_core/scaffold/templates/shared/plugin.py.jinja",
    ),
    "inside tests of meshes": ("plugins/ddmi_occupancy/geometry/winding_number.py",),
}
JOURNEYS = """\
## Journeys

Each list follows one run of the code (`python tools/trace.py`). An item is a visit to a module, with the functions that
are called for the first time on that visit. Imports and the discovery of plugins happen before a journey begins.

"""


def tasks() -> Iterator[str]:
    """Yield the table of frequent changes, with the files where each begins.

    Raises:
        FileNotFoundError: if a file is not there any more.
    """
    yield "| to change | look at |"
    yield "| --- | --- |"
    for change, paths in TASKS.items():
        for path in paths:
            if not (ROOT / path).is_file():
                raise FileNotFoundError(f"{path} ({change}) does not exist. Fix: TASKS in tools/code_map.py")
        yield f"| {change} | {', '.join(f'`{path}`' for path in paths)} |"


def layers() -> Iterator[str]:
    """Yield the names of the core's packages and modules, from the top layer down."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    for layer in contract["layers"]:
        yield from (name.strip() for name in layer.split("|"))


def sentence(path: Path) -> str:
    """The first paragraph of a module's docstring, which is one sentence."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def rows(folder: Path) -> Iterator[str]:
    """Yield a row of the table for each module below a package, sub-packages before their modules."""
    for path in sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        parts = path.relative_to(folder).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if parts:
            yield f"| `{'.'.join(parts)}` | {sentence(path)} |"


def package(folder: Path) -> str:
    """The section of a package."""
    name = folder.relative_to(folder.parent if folder.parent.name == "plugins" else ROOT)
    table = ["| module | what it is |", "| --- | --- |", *rows(folder)]
    return "\n".join([f"### {'.'.join(name.parts)}", "", sentence(folder / "__init__.py"), "", *table, "", ""])


def journeys() -> str:
    """The lists of the journeys, from a process of their own."""
    command = [sys.executable, str(ROOT / "tools" / "trace.py"), "--markdown"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def page() -> str:
    """The whole page."""
    names = list(layers())
    single = [f"| `{path.stem}` | {sentence(path)} |" for path in sorted(CORE.glob("*.py")) if path.stem != "__init__"]
    own = ["### ddmi_core", "", sentence(CORE / "__init__.py"), "", "| module | what it is |", "| --- | --- |", *single]
    plugins = sorted(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))
    return "".join(
        [
            OPENING,
            "\n".join(["## Where to begin", "", *tasks(), "", ""]),
            "## The core\n\n",
            *(package(CORE / name) for name in names if (CORE / name).is_dir()),
            "\n".join([*own, "", ""]),
            "## Plugins\n\n",
            *map(package, plugins),
            JOURNEYS,
            journeys(),
        ]
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Generates the map of the code, docs/explanation/code.md.")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the page differs; write nothing")
    options = parser.parse_args()
    text = page()
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.relative_to(ROOT)} differs from the code. Fix: python tools/code_map.py")


if __name__ == "__main__":
    main()

"""Makes plugins known without an installer."""

from __future__ import annotations

import tomllib
from pathlib import Path

AUDIO = Path(__file__).parents[1] / "examples" / "ddmi-audio"
EXTRAS = AUDIO.with_name("ddmi-extras")


def make_known(folder: Path, site: Path) -> None:
    """Write metadata of a distribution to `site`, as an installer takes them from its pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"]
    lines = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items())
    (info / "entry_points.txt").write_text("\n".join(lines))

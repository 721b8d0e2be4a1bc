"""The map of the code is the one that its generator writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_map_of_the_code_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "tools" / "code_map.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_map_has_every_package_and_the_journeys() -> None:
    page = (ROOT / "docs" / "explanation" / "code.md").read_text(encoding="utf-8")
    packages = [path.parent for path in ROOT.glob("ddmi_core/*/__init__.py")]
    assert [path.name for path in packages if f"### ddmi_core.{path.name}\n" not in page] == []
    assert page.index("### ddmi_core.cli") < page.index("### ddmi_core.fields") < page.index("### ddmi_image")
    assert page.count(" functions in ") == 4

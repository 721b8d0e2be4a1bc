"""Twenty plugins in one folder, seven of which cannot be used; as a program it times what users wait for.

python tests/registry/twenty.py DIR
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

GOOD = """
from ddmi_core.api import Domain, Layout, hookimpl
import {module}_heavy

DOMAIN = Domain(
    name="{name}", summary="Of tests", layout=Layout(axes=("t",), planes=(("t",),)), values=("v",),
    implementation="ddmi_image.parts:ImageParts", api_version={version},
)

@hookimpl
def ddmi_domains():
    return [DOMAIN]
"""
HEAVY = "import time; time.sleep(1)  # stands for a plugin that imports much"
# name -> code, and a word of the reason and of the fix
BROKEN = {
    "import-error": ("raise RuntimeError('bang')", "RuntimeError: bang", "report this"),
    "syntax-error": ("def broken(:", "SyntaxError", "report this"),
    "missing-dependency": ("import not_installed_at_all", "not_installed_at_all", "install the missing module"),
    "wrong-api": (GOOD, "API version 99", "--upgrade ddmi"),
    "endless": ("while True: pass", "took longer than", "report this"),
}
CLASHING = ("ddmi-first", "ddmi-second")
COUNT = 20


def install(folder: Path) -> list[str]:
    """Write the distributions, and return the names of the good plugins."""
    good = [f"good-{number:02d}" for number in range(COUNT - len(BROKEN) - len(CLASHING))]
    for name in good:
        write(folder, name, GOOD, f"ddmi-{name}")
    for name, (code, _, _) in BROKEN.items():
        write(folder, name, code, f"ddmi-{name}", version=99)
    for distribution in CLASHING:
        write(folder, "clash", GOOD, distribution)
    return good


def write(folder: Path, name: str, code: str, distribution: str, version: int = 1) -> None:
    """One distribution with one module, which imports a slow one."""
    module = f"twenty_{distribution.replace('-', '_')}"
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ddmi.plugins]\n{name} = {module}\n")
    filled = code.format(name=name, module=module, version=version) if code is GOOD else code
    (folder / f"{module}.py").write_text(filled)
    (folder / f"{module}_heavy.py").write_text(HEAVY)


def ddmi(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these plugins installed beside the project's own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "DDMI_TIME_FACTOR": "0.1",
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("DDMI_PLUGINS", None)
    environment |= variables
    command = [sys.executable, "-m", "ddmi_core", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    install(place)
    for words in (("--help",), ("plugins",), ("run", "--plugin", "import-error")):
        taken = []
        for _ in range(5):
            started = time.perf_counter()
            status = ddmi(place, *words).returncode
            taken.append(time.perf_counter() - started)
        print(f"ddmi {' '.join(words)}: {sorted(taken)[2]:.2f} s (median of 5), status {status}")

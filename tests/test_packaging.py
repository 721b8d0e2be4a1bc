"""The archives of a release hold the tracked files of the packages, and no stray file of a working folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BESIDE = {"README.md", "CHANGELOG.md", "LICENSE", "NOTICE", "pyproject.toml"}
STRAY = (
    ".env",
    "scratch.png",
    "notes.txt",
    "scratch.py",
    "runs/image/run.toml",
    "runs/image/denoiser/final/weights.safetensors",
    "old/ddmi_core/left.py",
    "old/plugins/ddmi_image/left.py",
    "old/README.md",
    "ddmi_core/notes.txt",
    "ddmi_core/.env",
    "ddmi_core/model/scratch.png",
    "ddmi_core/model/__pycache__/model.cpython-311.pyc",
    "ddmi_core/model/model.py.orig",
    "plugins/notes.txt",
    "plugins/scratch.py",
    "plugins/ddmi_image/notes.txt",
    "plugins/ddmi_image/weights/scratch.png",
    "plugins/ddmi_image/weights/denoiser/step-000100/weights.safetensors",
)
MEGABYTE = 1e6


def tracked() -> set[str]:
    """Tracked files of the packages and beside them."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = (name for name in listed.splitlines() if name.startswith(("ddmi_core/", "plugins/")) or name in BESIDE)
    return {name for name in names if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, Path]:
    """Source archive and wheel of a copy of the project with stray files."""
    pytest.importorskip("hatchling")
    copy, out = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("archives")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    for name in STRAY:
        assert not (copy / name).exists()
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("stray")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def test_the_source_archive_holds_the_tracked_files_alone(archives):
    with tarfile.open(archives["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == tracked() | {"PKG-INFO"}


def test_the_wheel_holds_the_packages_alone(archives):
    with zipfile.ZipFile(archives["wheel"]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name.removeprefix("plugins/") for name in tracked() - BESIDE}


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_the_archives_are_small(archives, kind):
    assert archives[kind].stat().st_size < 25 * MEGABYTE

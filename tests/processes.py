"""Scripts of the tests in processes of their own, on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent


def environment() -> dict[str, str]:
    """That of a process which imports the modules of the tests, with one thread and without GPUs."""
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run(script: Path, *arguments: object, processes: int, timeout: float) -> None:
    """Run a script to its end: by torchrun if there are several processes."""
    launch = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    done = subprocess.run(
        [sys.executable, *(["-m", *launch] if launch else []), str(script), *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def two_processes(script: Path, timeout: float) -> tuple[Any, Any]:
    """Fixtures of a module: the folder that a script leaves behind as two processes, and what each told of itself.

    Args:
        script: takes a folder, in which process `RANK` writes `told-RANK.json`.
        timeout: seconds.
    """

    @pytest.fixture(scope="module")
    def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
        out = tmp_path_factory.mktemp(script.stem)
        run(script, out, processes=2, timeout=timeout)
        return out

    @pytest.fixture(scope="module")
    def told(place: Path) -> list[dict[str, Any]]:
        return [json.loads((place / f"told-{rank}.json").read_text()) for rank in (0, 1)]

    return place, told

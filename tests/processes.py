"""Scripts of the tests in processes of their own, on the CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import preloaded

TESTS = Path(__file__).parent


def environment() -> dict[str, str]:
    """That of a process which imports the modules of the tests, with one thread and without GPUs."""
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def started(script: Path, *arguments: object, processes: int) -> list[subprocess.Popen[str]]:
    """Processes that run a script together, without a launcher; each of them is forked, with torch imported."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [preloaded.python(), str(script), *map(str, arguments)],
            env=environment() | (group | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]


def run(script: Path, *arguments: object, processes: int, timeout: float) -> None:
    """Run a script to its end."""
    together = started(script, *arguments, processes=processes)
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in together]
    finally:
        for process in together:
            process.kill()
    assert [process.returncode for process in together] == [0] * processes, "\n".join(errors)


def launched(script: Path, out: Path, timeout: float) -> None:
    """Run a script to its end in two processes that `torchrun` starts."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, out]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr


def two_processes(script: Path, timeout: float, launcher: bool = False) -> tuple[Any, Any]:
    """Fixtures of a module: the folder that a script leaves behind as two processes, and what each told of itself.

    Args:
        script: takes a folder, in which process `RANK` writes `told-RANK.json`.
        timeout: seconds.
        launcher: whether `torchrun` starts them.
    """

    @pytest.fixture(scope="module")
    def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
        out = tmp_path_factory.mktemp(script.stem)
        if launcher:
            launched(script, out, timeout)
        else:
            run(script, out, processes=2, timeout=timeout)
        return out

    @pytest.fixture(scope="module")
    def told(place: Path) -> list[dict[str, Any]]:
        return [json.loads((place / f"told-{rank}.json").read_text()) for rank in (0, 1)]

    return place, told

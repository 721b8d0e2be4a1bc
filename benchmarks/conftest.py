"""What the benchmarks of `test_speed.py` record of a machine, and the one thread that they compute on."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from ddmi_core import __version__
from ddmi_core.allowance import cores

torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Record what times depend on, without the name of the host."""
    processor = machine_info["cpu"]["brand_raw"]
    machine_info.clear()
    machine_info |= {"processor": processor, "cores": cores(), "threads": torch.get_num_threads()}
    machine_info |= {"torch": torch.__version__, "ddmi": __version__}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Record how many programs ran at the same time, which make times longer."""
    output_json["load"] = round(os.getloadavg()[0], 1)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any]:
    """Record no commit: the baseline is stored with one."""
    return {}

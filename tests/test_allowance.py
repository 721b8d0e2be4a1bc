"""Memory and processors are those of the machine, or of a narrower control group."""

from __future__ import annotations

import os

import pytest
import torch

from ddmi_core import allowance
from ddmi_core.allowance import cores, free_memory


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """The folder of control groups, in which this process is in `slurm/job`."""
    (tmp_path / "own").write_text("0::/slurm/job\n")
    monkeypatch.setattr(allowance, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(allowance, "OWN", tmp_path / "own")
    (tmp_path / "groups" / "slurm" / "job").mkdir(parents=True)
    return tmp_path / "groups"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"slurm/job": ("1000", 700, 100)}, 400),
        ({"": ("500", 450, 50), "slurm/job": ("max", 700, 0)}, 100),
        ({"slurm": ("9", 12, 0)}, 0),
    ],
)
def test_free_memory_is_that_of_the_narrowest_control_group(limits, expected, groups):
    assert free_memory() > 2**20
    for name, (most, used, cached) in limits.items():
        (groups / name / "memory.max").write_text(f"{most}\n")
        (groups / name / "memory.current").write_text(f"{used}\n")
        (groups / name / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
    assert free_memory() == expected


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({}, 8),
        ({"slurm/job": "max 100000"}, 8),
        ({"slurm/job": "350000 100000"}, 3),
        ({"slurm": "50000 100000"}, 1),
        ({"": "200000 100000", "slurm/job": "600000 100000"}, 2),
    ],
)
def test_cores_are_those_of_the_mask_or_of_the_narrowest_quota(quotas, expected, groups, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name, quota in quotas.items():
        (groups / name / "cpu.max").write_text(f"{quota}\n")
    assert cores() == expected


@pytest.mark.parametrize(("before", "own", "after"), [(8, 3, 3), (2, 3, 2)])
def test_torch_gets_no_more_threads_than_cores(before, own, after, monkeypatch):
    threads = [before]
    monkeypatch.setattr(allowance, "cores", lambda: own)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    allowance.limit_threads()
    assert threads[-1] == after


def test_a_machine_without_control_groups_is_used_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(allowance, "OWN", tmp_path / "none")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()
    assert free_memory() > 0

"""The device that `--device` names is used, and one that torch cannot use is refused with a fix."""

import pytest
import torch

from ddmi_core.cli.options import _device
from ddmi_core.errors import RequestError
from ddmi_core.training.distributed import DEVICE, default_device


@pytest.mark.parametrize(
    ("name", "gpus", "device"),
    [("", 0, "cpu"), ("", 1, "cuda"), ("cpu", 1, "cpu"), ("cuda", 1, "cuda"), ("cuda:1", 2, "cuda")],
)
def test_a_name_chooses_among_the_devices_that_there_are(name, gpus, device, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv(DEVICE, "")
    _device(name)
    assert default_device() == torch.device(device)
    assert chosen == ([1] if name == "cuda:1" else [])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cuda", r"there is no device cuda: torch can use 0 GPUs. Fix: use --device cpu"),
        ("cuda:3", r"there is no device cuda:3"),
        ("tpu", r"unknown device 'tpu'. Fix: use cpu, cuda, or cuda:N"),
        ("cuda:x", r"unknown device 'cuda:x'"),
    ],
)
def test_another_device_is_refused(name, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(DEVICE, name)
    with pytest.raises(RequestError, match=words):
        default_device()

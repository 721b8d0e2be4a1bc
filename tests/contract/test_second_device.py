"""The second device without hardware: it computes as the CPU does, and refuses what a GPU refuses."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.testing.other_device import WrongDevice, held, second_device


def on_it(device, *shape):
    return torch.arange(float(torch.tensor(shape).prod())).reshape(shape).to(device)


def test_values_are_those_of_the_cpu():
    network = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv1d(3, 1, 1))
    signal = torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(signal)
        with second_device() as device:
            found = network.to(device)(signal.to(device))
            assert held(found)
            assert found.device == device
            assert torch.equal(found.cpu(), wanted)


@pytest.mark.parametrize(
    "make",
    [
        lambda device: torch.zeros(3, device=device),
        lambda device: torch.tensor([1.0, 2.0, 3.0], device=device),
        lambda device: torch.as_tensor([1.0, 2.0, 3.0], device=device),
        lambda device: torch.arange(3, device=device),
        lambda device: on_it(device, 3).new_tensor([1.0, 2.0, 3.0]),
        lambda device: on_it(device, 3).new_zeros(3),
        lambda device: torch.rand_like(on_it(device, 3)),
        lambda device: on_it(device, 3)[torch.tensor([0, 1, 2])],
        lambda device: on_it(device, 3) * 2.0 + torch.tensor(1.0),
    ],
)
def test_what_follows_the_device_is_allowed(make):
    with second_device() as device:
        found = make(device) + on_it(device, 3)
        assert held(found)
        assert not held(found.cpu())


@pytest.mark.parametrize(
    "mix",
    [
        lambda there: there + torch.ones(3),
        lambda there: torch.stack([there, torch.ones(3)]),
        lambda there: there.where(torch.tensor([True, False, True]), 0),
        lambda there: there.gather(0, torch.zeros(3, dtype=torch.long)),
        lambda there: there.numpy(),
        lambda there: torch.nn.Linear(3, 1)(there),
    ],
)
def test_what_a_gpu_refuses_is_refused(mix):
    with torch.no_grad(), second_device() as device, pytest.raises(WrongDevice):
        mix(on_it(device, 3))


def test_changes_in_place_stay_on_it():
    with second_device() as device:
        there = on_it(device, 3)
        again = there.add_(1)
        there[0] = 5.0
        assert again is there
        assert there.tolist() == [5.0, 2.0, 3.0]
        here = torch.zeros(3)
        here.copy_(there)
        assert not held(here)
        assert here.tolist() == [5.0, 2.0, 3.0]
        assert float(there.sum()) == 10


def test_inference_mode_works_in_it_and_is_itself_afterwards():
    with second_device() as device:
        with torch.inference_mode():
            assert held(on_it(device, 2) + 1)
            assert not torch.is_grad_enabled()
        assert torch.is_grad_enabled()
    with torch.inference_mode():
        assert torch.ones(2).is_inference()
    assert torch.zeros(2, device="meta").is_meta
    assert not held(torch.zeros(2, device="meta"))


def test_lists_of_indices_select_on_a_second_device():
    values = torch.arange(12.0).view(3, 4)
    with torch.no_grad(), second_device() as device:
        for _ in range(50):  # torch would read memory that nobody has written
            moved = values.to(device)
            assert torch.equal(moved[:, [2, 0]].cpu(), values[:, [2, 0]])
            assert torch.equal(moved[[True, False, True]].cpu(), values[[0, 2]])
            assert moved[[]].shape == (0, 4)
            moved[[1]] = -1.0
            assert torch.equal(moved.cpu()[1], torch.full((4,), -1.0))

"""Number formats of training: `auto` becomes the faster one, and stays what it became."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from ddmi_core.errors import Interrupted
from ddmi_core.training import checkpoint, precision, trainer
from ddmi_core.training.checkpoint import FINAL
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Losses, Objective, StepContext
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import Stage, train

CPU = torch.device("cpu")
CONFIG = TrainingConfig(steps=6, batch=4, rate=1e-2, warmup=1, checkpoint=2, log=2, precision="auto")


class Products(Objective):
    """A linear map, whose products have the type of autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.trained, self.size = nn.Linear(4, 4), 8
        for number, weight in enumerate(self.trained.parameters()):
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(number))
        self.types: list[torch.dtype] = []
        self.seen: list[StepContext] = []

    def forward(self, context: StepContext) -> Losses:
        self.seen.append(context)
        values = self.trained(torch.eye(4)[[i % 4 for i in context.indices]])
        self.types.append(values.dtype)
        return Losses(values.float().square().mean())


def trained(folder: Path, config: TrainingConfig = CONFIG, **changes) -> Products:
    folder.mkdir(exist_ok=True)
    objective = Products()
    train(Stage("stage", folder / "stage", config, 0, Log(folder / "log.jsonl"), **changes), {"main": objective})
    return objective


@pytest.mark.parametrize("chosen", ["fp32", "bf16"])
def test_auto_is_as_if_its_choice_had_been_set(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "faster", lambda module, loss, device: (chosen, 1.5))
    notices: list[str] = []
    auto, fixed = (
        trained(tmp_path / "auto", notice=notices.append),
        trained(tmp_path / "fixed", evolve(CONFIG, precision=chosen)),
    )
    assert torch.equal(auto.trained.weight, fixed.trained.weight)
    assert set(auto.types) == {torch.bfloat16 if chosen == "bf16" else torch.float32}
    assert notices == [f"stage 'stage' trains in {chosen}: bf16 is 1.5 times as fast as fp32 here"]
    assert checkpoint.load(tmp_path / "auto" / "stage" / FINAL).record["precision"] == chosen


def test_a_resumed_run_keeps_what_auto_became(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "faster", lambda module, loss, device: ("bf16", 1.5))
    undisturbed, stop = trained(tmp_path / "undisturbed"), StopRequest()
    with pytest.raises(Interrupted):
        trained(tmp_path / "stopped", stop=stop, progress=lambda report: setattr(stop, "signal_number", 15))
    monkeypatch.setattr(trainer, "faster", lambda module, loss, device: pytest.fail("measured again"))
    resumed = trained(tmp_path / "stopped")
    assert set(resumed.types) == {torch.bfloat16}
    assert torch.equal(resumed.trained.weight, undisturbed.trained.weight)


@pytest.mark.parametrize(("fp32", "bf16", "chosen"), [(3, 2, "bf16"), (2, 3, "fp32"), (1.05, 1, "fp32")])
def test_the_faster_format_is_chosen_and_nothing_is_changed(fp32, bf16, chosen, monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda device: True)
    clock = [0.0]
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def loss() -> Tensor:
        clock[0] += bf16 if torch.is_autocast_enabled("cpu") else fp32
        return module(torch.randn(5, 3)).float().square().sum()

    found, ratio = precision.faster(module, loss, CPU)
    assert found == chosen
    assert ratio == pytest.approx(fp32 / bf16)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(weight.grad is None for weight in module.parameters())


def test_formats_are_measured_for_two_seconds_after_a_first_step_of_each(monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda device: True)
    clock, rounds = [0.0], []
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    module = nn.Linear(1, 1)

    def loss() -> Tensor:
        bf16 = torch.is_autocast_enabled("cpu")
        rounds.append(bf16)
        # The first steps are slow and do not count. Later ones vary: the fastest of each format does.
        clock[0] += 100.0 if len(rounds) <= 2 else (0.25 if bf16 else 0.5) * (1 + (len(rounds) == 3))
        return module(torch.ones(1, 1)).sum()

    assert precision.faster(module, loss, CPU) == ("bf16", 2.0)
    assert rounds == [False, True] * 3  # 1.25 s and 0.75 s after the first


def test_a_gpu_is_asked_for_bf16_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert not precision.native_bf16(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert precision.native_bf16(torch.device("cuda"))


@pytest.mark.parametrize(("accumulation", "signals"), [(1, 4), (2, 2), (4, 1)])
def test_precisions_are_compared_by_one_part_of_a_step(accumulation, signals, tmp_path, monkeypatch):
    sizes = []

    def measured(module, loss, device):
        loss()
        sizes.append(len(module.seen[-1].indices))
        return "fp32", 0.0

    monkeypatch.setattr(trainer, "faster", measured)
    notices: list[str] = []
    trained(tmp_path, evolve(CONFIG, accumulation=accumulation), notice=notices.append)
    assert sizes == [signals]
    assert notices == ["stage 'stage' trains in fp32: this processor has no bf16"]


def test_nothing_is_measured_without_bf16(monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda device: False)
    assert precision.faster(nn.Linear(1, 1), lambda: pytest.fail("measured"), CPU) == ("fp32", 0.0)


def test_a_processor_without_bf16_is_recognised(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not precision.native_bf16(CPU)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert precision.native_bf16(CPU)
    assert not precision.native_bf16(torch.device("meta"))

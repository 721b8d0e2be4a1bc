"""What the training of a configuration requires, beside what this machine has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import asdict, frozen

from ddmi_core.allowance import free_memory
from ddmi_core.model.needs import StageNeeds, stage_needs
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.progress import doing
from ddmi_core.runs.bench.products import product_rate
from ddmi_core.settings.config import RunConfig
from ddmi_core.training.distributed import default_device
from ddmi_core.training.precision import native_bf16


@frozen
class TrainingNeeds:
    """What training requires, and what a device has.

    Args:
        stages: by the name of their section in the settings.
        device: name of the device.
        free: its free memory in bytes.
        rate: floating-point operations a second of its matrix products.
        products: what these are, for people.
    """

    stages: Mapping[str, StageNeeds]
    device: str
    free: int
    rate: float
    products: str

    def to_json(self) -> dict[str, Any]:
        """JSON values; memory in bytes, time in seconds."""
        stages = {
            name: {**asdict(stage), "memory": stage.memory, "seconds": round(stage.seconds(self.rate), 1)}
            for name, stage in self.stages.items()
        }
        return {"stages": stages, "device": self.device, "free": self.free, "rate": self.rate}

    def lines(self) -> list[str]:
        """A table of the stages, and whether they fit."""
        rows: list[tuple[str, ...]] = [
            ("training", "parameters", "memory", "of it activations", "batch", "TFLOP a step", "at least")
        ]
        rows += [_row(name, stage, self.rate) for name, stage in self.stages.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join((f"{row[0]:<{widths[0]}}", *map(str.rjust, row[1:], widths[1:]))) for row in rows]
        large = [name for name, stage in self.stages.items() if stage.memory > self.free]
        fits = f"{' and '.join(large)} {'does' if len(large) == 1 else 'do'} not fit" if large else "both stages fit"
        return [
            *lines,
            f"{self.device}: {self.free / 2**30:.1f} GiB of memory free, {fits}; {self.rate / 1e9:,.0f} GFLOP/s in "
            f"{self.products} (measured), in which the stages take at least the time above in one process.",
            "Memory counts 32-bit numbers, without temporary ones, libraries and data, which add about a sixth; bf16 "
            "halves most activations. Where it does not fit: more training.accumulation, or a smaller width.",
        ]


@doing("counting")
def training_needs(parts: AnyParts, config: RunConfig) -> TrainingNeeds:
    """Count both stages, and measure the device that would train them, which takes about a second.

    Raises:
        PluginError: if a part requires values, which counting does not have.
    """
    stages, device = stage_needs(parts, config), default_device()
    precisions = {stage.training.precision for stage in (config.autoencoder, config.diffusion)}
    low = "fp32" not in precisions and ("auto" not in precisions or native_bf16(device))
    if device.type == "cpu":
        name, free = "CPU", free_memory()
    else:
        name, (free, _) = torch.cuda.get_device_name(), torch.cuda.mem_get_info()
    rate = product_rate(torch.bfloat16 if low else torch.float32, device)
    return TrainingNeeds(stages, name, free, rate, f"matrix products of {'16' if low else '32'}-bit numbers")


def _row(name: str, stage: StageNeeds, rate: float) -> tuple[str, ...]:
    activations = f"{stage.signals} x {stage.activations / 2**30:.2f} GiB"
    work = stage.batch * stage.flops / 1e12
    return (
        *(name, f"{stage.parameters / 1e6:,.1f} M", f"{stage.memory / 2**30:.1f} GiB", activations, str(stage.batch)),
        *(f"{work:,.0f}" if work >= 10 else f"{work:.2g}", _length(stage.seconds(rate))),
    )


def _length(seconds: float) -> str:
    unit, length = next(((u, n) for u, n in (("days", 86400), ("h", 3600), ("min", 60)) if seconds >= 2 * n), ("s", 1))
    return f"{seconds / length:,.0f} {unit}"

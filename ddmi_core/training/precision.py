"""Number formats of training: autocast, and the choice of `precision = "auto"` by measurement."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor, nn

SECONDS = 2.0  # of measurement, after a first step of each format, which allocates memory
LEAST = 1.1  # times as fast as fp32: below, the formats are taken as equally fast
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which losses are computed: `fp32`, `bf16` or `fp16`."""
    dtype = _TYPES.get(precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def native_bf16(device: torch.device) -> bool:
    """Whether the device computes with bf16 numbers itself: GPUs, and CPUs with AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cpu" and supported


def faster(module: nn.Module, loss: Callable[[], Tensor], device: torch.device) -> tuple[str, float]:
    """The precision in which gradients take less time, `fp32` or `bf16`, and how many times as fast bf16 is.

    Without native bf16, nothing is measured, and the ratio is 0. Weights and buffers are not changed.

    Args:
        module: the module of the loss.
        loss: computes the loss of a batch, a scalar with gradients.
        device: of the module.
    """
    if not native_bf16(device):
        return "fp32", 0.0
    kept = [buffer.detach().clone() for buffer in module.buffers()]
    seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    end = 0.0
    for number in count():
        for precision, times in seconds.items():
            started = time.perf_counter()
            with autocast(precision, device):
                total = loss()
            torch.autograd.backward(total)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                times.append(time.perf_counter() - started)
            module.zero_grad()
        if not number:
            end = time.perf_counter() + SECONDS
        elif time.perf_counter() >= end:
            break
    with torch.no_grad():
        for buffer, before in zip(module.buffers(), kept, strict=True):
            buffer.copy_(before)
    ratio = min(seconds["fp32"]) / min(seconds["bf16"])
    return "bf16" if ratio >= LEAST else "fp32", ratio

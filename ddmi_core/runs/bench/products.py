"""The rate of matrix products, which bounds that of networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.runs.bench.bench_result import repeated

CPU = torch.device("cpu")
SIZES, GPU_SIZES = (256, 512, 1024, 2048), (4096, 8192)  # rows of square matrices
LONG = 0.1  # seconds


def product_rate(dtype: torch.dtype, device: torch.device = CPU) -> float:
    """Operations per second of the fastest square matrix product."""
    return max(product_rates(dtype, device)[1])


def product_rates(dtype: torch.dtype, device: torch.device = CPU) -> tuple[str, list[float]]:
    """Operations per second of each repetition of the fastest square matrix product, and how it is computed.

    Torch computes products as `matmul` and as convolutions of size 1, by different libraries on CPUs, of which either
    may be the faster one. Sizes grow until a product takes a tenth of a second: processors without bf16 take minutes
    for the larger ones.
    """
    best: tuple[str, list[float]] = ("", [0.0])
    for n in SIZES if device.type == "cpu" else GPU_SIZES:
        generator = torch.Generator().manual_seed(0)
        a, b = (torch.randn(n, n, generator=generator).to(device, dtype) for _ in range(2))
        longest = 0.0
        for name, work in _ways(a, b).items():
            times = repeated(work, LONG / 5, device, first=work)
            longest = max(longest, min(times))
            rates = [2 * n**3 / seconds for seconds in times]
            if max(rates) > max(best[1]):
                best = f"{name} of {n} x {n}", rates
        if longest > LONG:
            break
    return best


def _ways(a: Tensor, b: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The product of two square matrices, as torch offers it."""
    cells, kernel = a.t().reshape(1, len(a), len(a), 1), b.t().reshape(*b.shape, 1, 1)
    cells = cells.contiguous(memory_format=torch.channels_last)
    return {"matmul": lambda: a @ b, "convolution": lambda: F.conv2d(cells, kernel)}

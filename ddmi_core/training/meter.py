"""What operating a training needs to know: waiting for data, and memory."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil
import torch

from ddmi_core.training.read_ahead import Reader

# Figures of the log that tell of the machine and not of the losses.
OPERATING = ("steps_per_second", "waiting_percent", "memory_gib")


class Meter:
    """Measures a process between two looks.

    Args:
        readers: of its batches; they may be added later.
        device: that trains.
    """

    def __init__(self, readers: Sequence[Reader], device: torch.device) -> None:
        self._readers, self._device = readers, device
        self._since, self._waited = 0.0, 0.0

    def read(self) -> dict[str, float]:
        """Waiting since the last call, and memory.

        `waiting_percent` is the share of the time in which steps waited for a batch, in percent, from the first batch
        on: waiting for that one includes the start of workers. `memory_gib` is the resident memory of the process now,
        or on a GPU the most that tensors took.
        """
        now, waited = time.perf_counter(), sum(reader.waited for reader in self._readers)
        since = self._since or min((reader.began for reader in self._readers if reader.began), default=now)
        share = (waited - self._waited) / max(now - since, 1e-9)
        self._since, self._waited = now, waited
        if self._device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(self._device)
        else:
            memory = psutil.Process().memory_info().rss
        return {"waiting_percent": round(100 * share, 2), "memory_gib": round(memory / 2**30, 3)}

"""What the tests share: few threads, and sounds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def write_pcm(tmp_path):
    """A function that writes values in [-1, 1], `(n,)` or `(n, channels)`, as a WAV file of any depth."""

    def write(name: str, values, rate: int, depth: int = 16) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.asarray(values, dtype=np.float64)
        whole = np.rint(values * (2 ** (depth - 1) - 1)).astype("<i8")
        if depth == 8:
            raw = (whole + 128).astype(np.uint8).tobytes()
        else:
            raw = whole.reshape(-1, 1).view(np.uint8)[:, : depth // 8].tobytes()
        with wave.open(str(path), "wb") as file:
            file.setparams((1 if values.ndim == 1 else values.shape[1], depth // 8, rate, 0, "NONE", ""))
            file.writeframes(raw)
        return path

    return write


@pytest.fixture
def sine():
    """A function for a sine of a frequency, at the centres of samples."""

    def make(hertz: float, samples: int, rate: float, amplitude: float = 0.5):
        return amplitude * np.sin(2 * np.pi * hertz * (np.arange(samples) + 0.5) / rate)

    return make

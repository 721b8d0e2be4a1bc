"""Sound features without learned weights: the log power of half-octave bands over time."""

from __future__ import annotations

import torch
from torch import Tensor

SEGMENTS = 6
BANDS = 12  # half-octave bands below the highest frequency
FLOOR = 1e-5  # power of silence, 47 dB below a full-scale sine


# --8<-- [start:features]
def features(sounds: Tensor) -> Tensor:
    """Logarithm of the power in 12 half-octave bands and 6 segments of time.

    The lowest band includes all lower frequencies.

    Args:
        sounds: `(B, 1, n)`, in [-1, 1].

    Returns:
        `(B, 72)`
    """
    parts = []
    for segment in sounds.flatten(1).tensor_split(SEGMENTS, dim=1):
        power = torch.fft.rfft(segment, norm="forward").abs().square()
        place = torch.linspace(0, 1, power.shape[1]).clamp_min(1e-9)
        band = (BANDS - 1 + 2 * place.log2()).ceil().clamp(0, BANDS - 1).long()
        sums = power.new_zeros(len(power), BANDS).index_add_(1, band, power)
        parts.append((sums + FLOOR).log10())
    return torch.cat(parts, dim=1)


# --8<-- [end:features]

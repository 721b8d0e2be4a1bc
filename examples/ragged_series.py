"""Irregular series of different lengths: padding, a mask for the encoder, and weights of queries.

`python examples/ragged_series.py` shows that padding has no influence, and that gaps count for nothing in the loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api import CoordinateSampler, Layout, Queries
from ddmi_core.parts import EncoderConfig, PointEncoder

LAYOUT = Layout(axes=("t",), planes=(("t",),))


# --8<-- [start:signal]
LONGEST = 60.0  # seconds, from -1 to 1 on the axis


@frozen(eq=False)
class Series:
    """Measurements at irregular times. Rows of shorter series are padded, so that a batch is one tensor."""

    seconds: Tensor  # (B, M), increasing, from 0 to LONGEST
    values: Tensor  # (B, M)
    real: Tensor  # (B, M), False for padding
    length: Tensor  # (B,), in seconds


def padded(rows: Sequence[tuple[Tensor, Tensor]]) -> Series:
    """A batch of rows of seconds and values, padded to the row with the most measurements."""
    most = max(len(seconds) for seconds, _ in rows)
    batch = Series(
        seconds=torch.full((len(rows), most), LONGEST),
        values=torch.zeros(len(rows), most),
        real=torch.zeros(len(rows), most, dtype=torch.bool),
        length=torch.stack([seconds[-1] for seconds, _ in rows]),
    )
    for number, (seconds, values) in enumerate(rows):
        batch.seconds[number, : len(seconds)] = seconds
        batch.values[number, : len(seconds)] = values
        batch.real[number, : len(seconds)] = True
    return batch


# --8<-- [end:signal]


# --8<-- [start:encoder]
def places(series: Series) -> Tensor:
    """Times as coordinates of the common axis, `(B, M, 1)`, in [-1, 1]."""
    return (2 * series.seconds / LONGEST - 1)[..., None]


def encoder(latent_channels: int, config: EncoderConfig) -> PointEncoder:
    """Encoder of any number of measurements at any times."""
    return PointEncoder(
        places,
        lambda series: series.values[..., None],
        1,
        LAYOUT,
        64,
        latent_channels,
        config,
        mask=lambda series: series.real,
    )


# --8<-- [end:encoder]


# --8<-- [start:sampler]
class GapSampler(CoordinateSampler):
    """Draws times of the whole axis. Targets are interpolated; in gaps and after the end they are unknown.

    Args:
        gap: seconds between two measurements above which the values between them are unknown.
    """

    def __init__(self, gap: float) -> None:
        self.gap = gap

    def sample(self, signal: Series, n: int, generator: torch.Generator) -> Queries:
        """Draw `n` times for each series."""
        drawn = torch.rand(len(signal.seconds), n, generator=generator).to(signal.seconds) * LONGEST
        right = torch.searchsorted(signal.seconds, drawn).clamp(1, signal.seconds.shape[1] - 1)
        start, end = (signal.seconds.gather(1, index) for index in (right - 1, right))
        before, after = (signal.values.gather(1, index) for index in (right - 1, right))
        share = ((drawn - start) / (end - start).clamp(min=1e-6)).clamp(0, 1)
        known = signal.real.gather(1, right) & (end - start <= self.gap) & (start <= drawn) & (drawn <= end)
        coords = (2 * drawn / LONGEST - 1)[..., None]
        return Queries(
            coords=coords,
            extra=coords[..., :0],
            targets=torch.lerp(before, after, share)[..., None],
            weights=known.float(),
        )


# --8<-- [end:sampler]


# --8<-- [start:own]
def own_places(series: Series) -> Tensor:
    """Times as shares of each series' own length, `(B, M, 1)`; padding is beyond the border."""
    return (2 * series.seconds / series.length[:, None] - 1)[..., None]


def own_features(series: Series) -> Tensor:
    """Values, and the length that the coordinates lack, `(B, M, 2)`."""
    length = (series.length / LONGEST)[:, None].expand_as(series.values)
    return torch.stack([series.values, length], dim=-1)


# --8<-- [end:own]


def row(seconds: Tensor) -> tuple[Tensor, Tensor]:
    """A wave of six seconds, measured at the given times."""
    return seconds, torch.sin(torch.pi * seconds / 3)


def main() -> None:
    """Encode a ragged batch, and draw queries from it."""
    draw = torch.Generator().manual_seed(0)
    short = row(torch.linspace(0, 20, 41))
    holed = row(torch.cat([torch.linspace(0, 25, 51), torch.linspace(40, 60, 41)]))
    torch.manual_seed(0)
    network = encoder(4, EncoderConfig(widths=(16, 32)))
    # --8<-- [start:run]
    batch, alone = padded([short, holed]), padded([short])
    (together,), (single,) = network(batch).mean, network(alone).mean
    print(f"padding: {batch.seconds.shape[1] - len(short[0])} of {batch.seconds.shape[1]} measurements")
    print(f"largest difference of the latents: {(together[:1] - single).abs().max().item():.6f}")

    queries = GapSampler(gap=2.0).sample(batch, 6000, draw)
    for seconds, weights in zip(batch.length, queries.weights, strict=True):
        print(f"{seconds:.0f} s long: {weights.mean():.0%} of the axis known")
    # --8<-- [end:run]


if __name__ == "__main__":
    main()

"""Metrics of completions: PSNR or intersection over union, and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from ddmi_core.api.observations import Observations
from ddmi_core.completion.measurement import MeasurementModel
from ddmi_core.errors import RequestError
from ddmi_core.fields.field import Field


def with_cells(whole: Observations, size: Sequence[int]) -> Observations:
    """Average known values over the cells of a coarse grid.

    Args:
        whole: values at single places.
        size: cells along each axis, slowest first.

    Raises:
        RequestError: if there are fewer than two known values per cell.
    """
    coords = whole.queries.coords[0]
    count = prod(size)
    if 2 * count > len(coords):
        shape = "x".join(map(str, size))
        raise RequestError(
            f"a grid of {shape} is not coarse: {count} cells for {len(coords)} known values. Fix: give fewer cells"
        )
    number = torch.zeros(len(coords), dtype=torch.long, device=coords.device)
    for column, length in zip(reversed(range(coords.shape[1])), size, strict=True):
        cell = ((coords[:, column] + 1) / 2 * length).long().clamp(0, length - 1)
        number = number * length + cell
    occupied = number.bincount(minlength=count) > 0
    cells = (occupied.cumsum(0) - 1)[number]  # cells without a known value are excluded
    count = int(occupied.sum())
    sums = whole.values.new_zeros(count, whole.values.shape[1]).index_add(0, cells, whole.values)
    means = sums / cells.bincount(minlength=count)[:, None]
    return Observations(whole.queries, means, cells)


def hidden(whole: Observations, observed: Tensor) -> Observations | None:
    """Known values at the places that are not observed, mask `(N,)`; `None` if all are observed."""
    return None if bool(observed.all()) else whole.kept(~observed)


@torch.no_grad()
def predicted(measurement: MeasurementModel, fields: Field, places: Observations) -> Tensor:
    """Values of fields at places, `(B, M, V)`: clipped to the range of signals, or thresholded to labels."""
    low, high = measurement.limits

    def convert(values: Tensor) -> Tensor:
        return (values > 0).float() if measurement.bernoulli else values.clamp(low, high)

    return measurement.expected(fields, places, convert)


def score_name(measurement: MeasurementModel) -> str:
    """Name of the metric that `scores` computes."""
    return "iou" if measurement.bernoulli else "psnr_db"


def scores(measurement: MeasurementModel, fields: Field, places: Observations) -> list[float]:
    """One score per field: intersection over union of labels, or peak signal-to-noise ratio in decibels.

    For means of labels `a` and `b` it is `sum min(a, b) / sum max(a, b)`, which equals IoU for labels.
    """
    values, truth = predicted(measurement, fields, places), places.values
    if measurement.bernoulli:
        intersection = torch.minimum(values, truth).sum(dim=(1, 2))
        union = torch.maximum(values, truth).sum(dim=(1, 2))
        return torch.where(union > 0, intersection / union.clamp_min(1e-12), 1.0).tolist()
    low, high = measurement.limits
    error = (values - truth).square().mean(dim=(1, 2)).clamp_min((high - low) ** 2 * 1e-10)
    return (10 * torch.log10((high - low) ** 2 / error)).tolist()


def spread(measurement: MeasurementModel, fields: Field, places: Observations) -> float:
    """Standard deviation between fields, as root mean square over places, in units of the values."""
    return float(predicted(measurement, fields, places).var(dim=0).mean().sqrt())

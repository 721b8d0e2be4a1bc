"""Metrics of completions: PSNR or intersection over union at observed and hidden places, and spread over seeds."""

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
    """Means over the cells of a coarse grid, of the values that are known in each.

    Args:
        whole: values at single places.
        size: cells along each axis, slowest first.

    Raises:
        RequestError: if there are not two known values a cell.
    """
    coords = whole.queries.coords[0]
    count = prod(size)
    if 2 * count > len(coords):
        shape = "x".join(map(str, size))
        raise RequestError(
            f"a grid of {shape} is not coarse: its {count} cells are for {len(coords)} known values; give fewer cells"
        )
    number = torch.zeros(len(coords), dtype=torch.long, device=coords.device)
    for column, length in zip(reversed(range(coords.shape[1])), size, strict=True):
        cell = ((coords[:, column] + 1) / 2 * length).long().clamp(0, length - 1)
        number = number * length + cell
    occupied = number.bincount(minlength=count) > 0
    cells = (occupied.cumsum(0) - 1)[number]  # cells without a known value are left out
    count = int(occupied.sum())
    sums = whole.values.new_zeros(count, whole.values.shape[1]).index_add(0, cells, whole.values)
    means = sums / cells.bincount(minlength=count)[:, None]
    return Observations(whole.queries, means, cells)


def hidden(whole: Observations, observed: Tensor) -> Observations | None:
    """What is known at the other places than the observed ones, `(N,)`; `None` if there are none."""
    return None if bool(observed.all()) else whole.kept(~observed)


@torch.no_grad()
def predicted(measurement: MeasurementModel, fields: Field, places: Observations) -> Tensor:
    """What fields show there as values of a signal, `(B, M, V)`: clipped to the range, and thresholded for labels."""
    low, high = measurement.limits

    def convert(values: Tensor) -> Tensor:
        return (values > 0).float() if measurement.bernoulli else values.clamp(low, high)

    return measurement.expected(fields, places, convert)


def score_name(measurement: MeasurementModel) -> str:
    """Name of the figure that `scores` gives."""
    return "iou" if measurement.bernoulli else "psnr_db"


def scores(measurement: MeasurementModel, fields: Field, places: Observations) -> list[float]:
    """One figure per field: intersection over union of labels, or peak signal-to-noise ratio in decibels.

    Shares of labels, `a` and `b`, overlap as `sum min(a, b) / sum max(a, b)`, which for labels is the same.
    """
    values, truth = predicted(measurement, fields, places), places.values
    if measurement.bernoulli:
        common = torch.minimum(values, truth).sum(dim=(1, 2))
        joint = torch.maximum(values, truth).sum(dim=(1, 2))
        return torch.where(joint > 0, common / joint.clamp_min(1e-12), 1.0).tolist()
    low, high = measurement.limits
    error = (values - truth).square().mean(dim=(1, 2)).clamp_min((high - low) ** 2 * 1e-10)
    return (10 * torch.log10((high - low) ** 2 / error)).tolist()


def spread(measurement: MeasurementModel, fields: Field, places: Observations) -> float:
    """Root mean square over places of the deviation between fields, in units of the values."""
    return float(predicted(measurement, fields, places).var(dim=0).mean().sqrt())

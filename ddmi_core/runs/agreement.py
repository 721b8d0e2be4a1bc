"""How well fields agree with a signal at places: what is known there, what fields show, and one figure a field."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.interfaces import CoordinateSampler
from ddmi_core.api.observations import Observations
from ddmi_core.errors import RequestError
from ddmi_core.fields.field import Field
from ddmi_core.runs.build import build_parts
from ddmi_core.runs.complete import is_bernoulli, limits_of, on_device, shown
from ddmi_core.runs.model import Model
from ddmi_core.training.objective import generator_for


def sampler_of(model: Model) -> CoordinateSampler:
    """What chooses places of a model's signals."""
    return build_parts(model.domain, model.config).sampler


def places_of(model: Model, signal: Any, most: int | None = None) -> Observations:
    """All that is known of one signal (B = 1), or at most so many places of it, as observations."""
    sampler = sampler_of(model)
    queries = sampler.places(signal, most or sampler.most_places, generator_for(0, "places"))
    return on_device(model, Observations(queries, queries.targets[0]))


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
def shown_at(model: Model, fields: Field, places: Observations) -> Tensor:
    """What fields show there as values of a signal, `(B, M, V)`: within its range, and decided where it has labels."""
    low, high = limits_of(model)
    bernoulli = is_bernoulli(model)
    return shown(model, fields, places, lambda values: (values > 0).float() if bernoulli else values.clamp(low, high))


def measure_of(model: Model) -> str:
    """Name of the figure that `agreement` gives."""
    return "iou" if is_bernoulli(model) else "psnr_db"


def agreement(model: Model, fields: Field, places: Observations) -> list[float]:
    """A figure a field: intersection over union of labels, or peak signal-to-noise ratio in decibels.

    Shares of labels, `a` and `b`, overlap as `sum min(a, b) / sum max(a, b)`, which for labels is the same.
    """
    values, truth = shown_at(model, fields, places), places.values
    if is_bernoulli(model):
        common = torch.minimum(values, truth).sum(dim=(1, 2))
        joint = torch.maximum(values, truth).sum(dim=(1, 2))
        return torch.where(joint > 0, common / joint.clamp_min(1e-12), 1.0).tolist()
    low, high = limits_of(model)
    error = (values - truth).square().mean(dim=(1, 2)).clamp_min((high - low) ** 2 * 1e-10)
    return (10 * torch.log10((high - low) ** 2 / error)).tolist()


def spread(model: Model, fields: Field, places: Observations) -> float:
    """Root mean square over places of the deviation between fields, in units of the values."""
    return float(shown_at(model, fields, places).var(dim=0).mean().sqrt())

"""The measurement model: expected measurements of fields, and validation of observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ddmi_core.api.interfaces import Renderer
from ddmi_core.api.observations import Observations, expand, select
from ddmi_core.completion.likelihoods import Bernoulli, Gaussian, Likelihood
from ddmi_core.errors import RequestError
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.nested import move

POINTS = 65536  # field evaluations whose activations are in memory at once


@frozen(eq=False)
class MeasurementModel:
    """Forward model of measurements for the fields of one model.

    Args:
        renderer: its `observe` is the forward model.
        layout: axes, and extra columns of queries.
        columns: names of the measured values.
        bernoulli: whether fields give logits, and measured values are labels 0 and 1, or means of labels.
        limits: lowest and highest valid measured value.
        device: of the fields.
    """

    renderer: Renderer[Any, Any]
    layout: Layout
    columns: tuple[str, ...]
    bernoulli: bool
    limits: tuple[float, float]
    device: torch.device

    def likelihood(self, noise: float) -> Likelihood:
        """The likelihood of measured values.

        Raises:
            RequestError: if the noise is out of range for it.
        """
        return Bernoulli(noise) if self.bernoulli else Gaussian(noise)

    def on_device(self, observations: Observations) -> Observations:
        """The observations on the device, with zeros for missing extra columns.

        Raises:
            RequestError: if the number of coordinates or values differs from the domain's.
        """
        axes = self.layout.axes
        columns, values = observations.queries.coords.shape[2], observations.values.shape[1]
        if values != len(self.columns):
            raise RequestError(
                f"observed values have {values} columns; this model's have {len(self.columns)}: "
                f"{', '.join(self.columns)}"
            )
        if columns != len(axes):
            raise RequestError(
                f"observed places have {columns} coordinates; this model's have {len(axes)}: {', '.join(axes)}"
            )
        queries, extras = observations.queries, len(self.layout.extra)
        if queries.extra.shape[2] == 0 != extras:
            zeros = queries.coords.new_zeros(1, observations.places, extras)
            observations = evolve(observations, queries=evolve(queries, extra=zeros))
        return move(observations, self.device)

    def accept(self, observations: Observations) -> Observations:
        """Validate observations, and move them to the device as `on_device` does.

        Raises:
            RequestError: as for `on_device`, or if a value is out of range.
        """
        found = self.on_device(observations)
        low, high = self.limits
        if bool((wrong := (found.values < low) | (found.values > high)).any()):
            row, column = wrong.nonzero()[0].tolist()
            raise RequestError(
                f"observed value {row + 1}, {self.columns[column]} = {found.values[row, column]:g}, is out of range; "
                f"values of this model lie from {low:g} to {high:g}"
            )
        return found

    def expected(self, fields: Field, observations: Observations, convert: Callable[[Tensor], Tensor]) -> Tensor:
        """Expected measurements of fields, `(B, M, V)`; differentiable, in bounded memory.

        Args:
            fields: a batch.
            observations: on the device.
            convert: maps observed values to those that are averaged over cells.
        """
        step = max(1, POINTS // (len(fields) * self.renderer.evaluations))

        def part(start: int) -> Tensor:
            queries = expand(select(observations.queries, slice(start, start + step)), len(fields))
            return convert(self.renderer.observe(fields, queries))

        starts = range(0, observations.places, step)
        if len(starts) == 1 or not torch.is_grad_enabled():
            parts = [part(start) for start in starts]
        else:
            parts = [checkpoint(part, start, use_reentrant=False) for start in starts]
        return observations.mean(torch.cat(parts, dim=1))

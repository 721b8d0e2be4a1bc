"""Features for distances between sets: the moments of the channels; and a section of the report with the same."""

from __future__ import annotations

from html import escape
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api import FeatureNetwork, Field, ReportContext
from ddmi_core.parts import GridRenderer, GridSignal


class Moments(FeatureNetwork):
    """Mean and standard deviation of each channel, `(B, 2 V)`, for signals on grids."""

    def of_fields(self, fields: Field, renderer: GridRenderer) -> Tensor:
        """Moments at the native size."""
        return _moments(renderer.native_values(fields))

    def of_signals(self, signal: GridSignal) -> Tensor:
        """Moments of the signals."""
        return _moments(signal.values)


def section(context: ReportContext) -> str:
    """A table with the moments of the samples in the report, averaged over them."""
    renderer: Any = context.model.renderer  # a GridRenderer in the domains that the hook names
    found = Moments().of_fields(context.samples, renderer).mean(dim=0)
    names = [f"{moment} of {channel}" for moment in ("mean", "deviation") for channel in context.model.parts.channels()]
    rows = (f"<tr><th>{escape(name)}</th><td>{value:.3f}</td></tr>" for name, value in zip(names, found, strict=True))
    return f"<table>{''.join(rows)}</table>"


def _moments(values: Tensor) -> Tensor:
    values = values.flatten(2)
    return torch.cat([values.mean(dim=2), values.std(dim=2)], dim=1)

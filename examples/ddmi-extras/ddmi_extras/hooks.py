"""The hooks of the extension: names and references, without imports of torch."""

from __future__ import annotations

from ddmi_core.api import Contribution, hookimpl


@hookimpl
def ddmi_samplers() -> dict[str, str]:
    """The sampler for `--sampler midpoint`."""
    return {"midpoint": "ddmi_extras.midpoint:midpoint"}


@hookimpl
def ddmi_denoisers() -> dict[str, str]:
    """The denoiser for `diffusion.denoiser.kind=convnet`."""
    return {"convnet": "ddmi_extras.convnet:PlaneConvNet"}


@hookimpl
def ddmi_trackers() -> dict[str, Contribution]:
    """The tracker for `--tracker csv`."""
    return {"csv": Contribution("ddmi_extras.csv_tracker:CsvTracker", summary="Figures of training as a CSV file.")}

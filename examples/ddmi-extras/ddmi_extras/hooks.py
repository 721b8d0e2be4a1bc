"""The hooks of the extension: names and references, without imports of torch."""

from __future__ import annotations

from ddmi_core.api import Contribution, hookimpl

api_version = 1


@hookimpl
def ddmi_samplers() -> dict[str, str]:
    """For `--sampler midpoint`."""
    return {"midpoint": "ddmi_extras.midpoint:midpoint"}


@hookimpl
def ddmi_denoisers() -> dict[str, str]:
    """For `diffusion.denoiser.kind=convnet`."""
    return {"convnet": "ddmi_extras.convnet:PlaneConvNet"}


@hookimpl
def ddmi_paths() -> dict[str, str]:
    """For `diffusion.path.kind=cosine`."""
    return {"cosine": "ddmi_extras.cosine:cosine"}


@hookimpl
def ddmi_targets() -> dict[str, str]:
    """For `diffusion.target=displacement`."""
    return {"displacement": "ddmi_extras.displacement:Displacement"}


@hookimpl
def ddmi_trackers() -> dict[str, str]:
    """For `--tracker csv`."""
    return {"csv": "ddmi_extras.csv_tracker:CsvTracker"}


@hookimpl
def ddmi_callbacks() -> dict[str, str]:
    """For `--callback weight-norm`."""
    return {"weight-norm": "ddmi_extras.weight_norm:write_norm"}


@hookimpl
def ddmi_metrics() -> dict[str, Contribution]:
    """For `evaluation.metrics=["edges"]`, in domains whose axes are x and y."""
    return {"edges": Contribution("ddmi_extras.edges:edges", axes=("x", "y"))}


@hookimpl
def ddmi_features() -> dict[str, Contribution]:
    """For `evaluation.networks=moments`, in two domains."""
    return {"moments": Contribution("ddmi_extras.moments:Moments", domains=("image", "video"))}


@hookimpl
def ddmi_exporters() -> dict[str, Contribution]:
    """For `--format npy`, in two domains."""
    return {".npy": Contribution("ddmi_extras.npy:write_npy", domains=("image", "video"))}


@hookimpl
def ddmi_report_sections() -> dict[str, Contribution]:
    """For every report of two domains; the summary is the heading."""
    return {
        "moments": Contribution(
            "ddmi_extras.moments:section", summary="Moments of the samples", domains=("image", "video")
        )
    }


@hookimpl
def ddmi_commands() -> dict[str, Contribution]:
    """For `ddmi parameters RUN`; the summary is for `ddmi --help`."""
    return {"parameters": Contribution("ddmi_extras.parameters:parameters", summary="Count the parameters of a run.")}

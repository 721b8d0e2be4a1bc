"""The hook specifications of plugins and extensions, in their own module because pluggy reads them from one.

A plugin (entry-point group `ddmi.plugins`) implements `ddmi_domains`. An extension (group `ddmi.extensions`) implements
any of the others. Each of these returns names with references, `"package.module:attribute"`, or `Contribution`s, which
add a summary, a filter or a requirement. The module with the hooks must be light: references are imported when used.
That of an extension also states the API version that it was written for: `api_version = 1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy

from ddmi_core.api.domain import Domain
from ddmi_core.registry.records import Contribution

hookspec = pluggy.HookspecMarker("ddmi")
hookimpl = pluggy.HookimplMarker("ddmi")

Contributions = Mapping[str, str | Contribution]


@hookspec
def ddmi_domains() -> Iterable[Domain]:  # type: ignore[empty-body]
    """Return the domains of this plugin.

    Example:
        >>> from ddmi_core.api import hookimpl
        >>> @hookimpl
        ... def ddmi_domains():
        ...     return [IMAGE]
    """


@hookspec
def ddmi_samplers() -> Contributions:  # type: ignore[empty-body]
    """Return samplers for `--sampler NAME` and `sampling.sampler`: functions with the signature of `Sampler.__call__`.

    Example:
        >>> @hookimpl
        ... def ddmi_samplers():
        ...     return {"midpoint": "ddmi_extras.midpoint:midpoint"}
    """


@hookspec
def ddmi_denoisers() -> Contributions:  # type: ignore[empty-body]
    """Return networks for `diffusion.denoiser.kind`: subclasses of `PlaneDenoiser`, or functions with its arguments.

    Example:
        >>> @hookimpl
        ... def ddmi_denoisers():
        ...     return {"mixer": "ddmi_extras.mixer:PlaneMixer"}
    """


@hookspec
def ddmi_paths() -> Contributions:  # type: ignore[empty-body]
    """Return paths for `diffusion.path.kind`: functions `(config: PathConfig) -> Path`.

    Example:
        >>> @hookimpl
        ... def ddmi_paths():
        ...     return {"cosine": "ddmi_cosine.path:cosine"}
    """


@hookspec
def ddmi_targets() -> Contributions:  # type: ignore[empty-body]
    """Return prediction targets for `diffusion.target`: functions `(path: Path) -> Target`.

    Example:
        >>> @hookimpl
        ... def ddmi_targets():
        ...     return {"score": "ddmi_score.target:ScoreTarget"}
    """


@hookspec
def ddmi_trackers() -> Contributions:  # type: ignore[empty-body]
    """Return trackers for `ddmi run --tracker NAME`: functions `(run: Path) -> Tracker`.

    Example:
        >>> @hookimpl
        ... def ddmi_trackers():
        ...     return {"csv": "ddmi_extras.tracker:CsvTracker"}
    """


@hookspec
def ddmi_callbacks() -> Contributions:  # type: ignore[empty-body]
    """Return callbacks for `ddmi run --callback NAME`: functions `(moment: Moment) -> None`, called after logged steps.

    Example:
        >>> @hookimpl
        ... def ddmi_callbacks():
        ...     return {"weight-norm": "ddmi_norms.callback:print_norm"}
    """


@hookspec
def ddmi_metrics() -> Contributions:  # type: ignore[empty-body]
    """Return metrics for `evaluation.metrics`: functions `(fields, signal, renderer) -> (B,)`.

    Example:
        >>> @hookimpl
        ... def ddmi_metrics():
        ...     return {"edges": Contribution("ddmi_edges.metric:edges", axes=("x", "y"))}
    """


@hookspec
def ddmi_features() -> Contributions:  # type: ignore[empty-body]
    """Return feature networks for `evaluation.networks`: functions `() -> FeatureNetwork`.

    Example:
        >>> @hookimpl
        ... def ddmi_features():
        ...     return {"dino": Contribution("ddmi_dino.network:Dino", axes=("x", "y"), requires="ddmi-dino[weights]")}
    """


@hookspec
def ddmi_exporters() -> Contributions:  # type: ignore[empty-body]
    """Return file types that domains lack, for `--format`: suffix to a function `(artefact, path: Path) -> None`.

    Example:
        >>> @hookimpl
        ... def ddmi_exporters():
        ...     return {".npy": Contribution("ddmi_arrays.export:write_npy", domains=("image", "video"))}
    """


@hookspec
def ddmi_report_sections() -> Contributions:  # type: ignore[empty-body]
    """Return sections that every report of a fitting domain gets: functions `(context: ReportContext) -> str` (HTML).

    The summary is the heading. They follow the built-in sections.

    Example:
        >>> @hookimpl
        ... def ddmi_report_sections():
        ...     return {"spectra": Contribution("ddmi_spectra.section:section", summary="Power spectra")}
    """


@hookspec
def ddmi_commands() -> Contributions:  # type: ignore[empty-body]
    """Return commands of `ddmi`: functions as for typer, or `typer.Typer` groups.

    Help and completion show the summary and import the command only if it is used.

    Example:
        >>> @hookimpl
        ... def ddmi_commands():
        ...     return {"convert": Contribution("ddmi_convert.command:convert", summary="Convert old checkpoints.")}
    """

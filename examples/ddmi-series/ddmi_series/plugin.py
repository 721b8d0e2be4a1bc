"""The description of the domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

SERIES = Domain(
    name="series",
    summary="Irregular series with gaps as functions of time",
    layout=Layout(axes=("t",), planes=(("t",),)),
    values=("level",),
    implementation="ddmi_series.parts:SeriesParts",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [SERIES]

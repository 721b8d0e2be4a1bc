"""The description of the occupancy domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

OCCUPANCY = Domain(
    name="occupancy",
    summary="Solid shapes as functions of x, y and z, extracted as meshes of any resolution",
    layout=Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    values=("occupancy",),
    implementation="ddmi_occupancy.parts:OccupancyParts",
    optional={"kaolin": "inside tests of meshes"},
    weights="ddmi_occupancy:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [OCCUPANCY]

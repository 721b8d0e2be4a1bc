"""The description of the domain, and the hook that registers it."""

from __future__ import annotations

from itertools import combinations

from ddmi_core.api import Domain, Layout, hookimpl

SOLIDS = Domain(
    name="solids-in-time",
    summary="Moving solids: occupancy as a function of x, y, z and t",
    layout=Layout(axes="xyzt", planes=combinations("xyzt", 2)),
    values=("occupancy",),
    implementation="ddmi_solids_in_time.parts:SolidsInTime",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [SOLIDS]

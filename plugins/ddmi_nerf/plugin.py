"""Description of the radiance-field domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

NERF = Domain(
    name="nerf",
    summary="Radiance fields: density and colour at x, y and z, rendered from any camera",
    layout=Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    values=("density", "red", "green", "blue"),
    implementation="ddmi_nerf.parts:NerfParts",
    optional={"lpips": "perceptual distance of held-out views, by domain.lpips"},
    weights="ddmi_nerf:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [NERF]

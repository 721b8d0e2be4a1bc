"""The descriptions of both domains, and the hook that registers them."""

from __future__ import annotations

from attrs import evolve

from ddmi_core.api import Domain, Embedding, Layout, hookimpl

SPHERE = Domain(
    name="sphere",
    summary="Temperatures on the sphere, with a plane for each hemisphere: neither seam nor poles",
    layout=Layout(
        axes=("lon", "lat"),
        planes=(("u", "v"), ("a", "b")),
        periodic=("lon",),
        embedding=Embedding(
            axes=("u", "v", "a", "b"),
            function="ddmi_core.fields.embeddings:hemispheres",
            weights="ddmi_core.fields.embeddings:hemisphere_weights",
        ),
    ),
    values=("temperature",),
    implementation="ddmi_sphere.parts:Sphere",
    api_version=1,
)
PERIODIC = evolve(
    SPHERE,
    name="sphere-periodic",
    summary="Temperatures on a map of the sphere that is periodic in longitude: no seam, but poles",
    layout=Layout(axes=("lon", "lat"), planes=(("lon", "lat"),), periodic=("lon",)),
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """Both domains of this plugin."""
    return [SPHERE, PERIODIC]

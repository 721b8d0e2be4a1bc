"""The description of the image domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

IMAGE = Domain(
    name="image",
    summary="Pictures as functions of x and y, drawn at any size",
    layout=Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",)),
    values=("red", "green", "blue"),
    implementation="ddmi_image.parts:ImageParts",
    optional={"lpips": "perceptual term by autoencoder.perceptual.kind=lpips"},
    weights="ddmi_image:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [IMAGE]

"""The description of the video domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

VIDEO = Domain(
    name="video",
    summary="Clips as functions of x, y and t, drawn at any size and frame rate",
    layout=Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t"))),
    values=("red", "green", "blue"),
    implementation="ddmi_video.parts:VideoParts",
    optional={
        "torchcodec": "another decoder of files",
        "decord": "another decoder of files",
        "lpips": "perceptual term by autoencoder.perceptual.kind=lpips",
    },
    weights="ddmi_video:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [VIDEO]

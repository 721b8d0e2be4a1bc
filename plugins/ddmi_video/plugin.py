"""The description of the video domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

VIDEO = Domain(
    name="video",
    summary="Clips as functions of x, y and t, drawn at any size and frame rate",
    layout=Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t"))),
    values=("red", "green", "blue"),
    settings="ddmi_video.settings:VideoSettings",
    presets={name: f"ddmi_video:presets/{name}.toml" for name in ("quick", "base", "paper")},
    sources={
        "scenes": "ddmi_video.scenes.source:load",
        "digits": "ddmi_video.scenes.source:digits",
        "folder": "ddmi_video.folder:load",
        "sky-timelapse": "ddmi_video.sky_timelapse:sky_timelapse",
    },
    default_source="scenes",
    sampler="ddmi_video.rendering:sampler",
    renderer="ddmi_video.rendering:renderer",
    perceptual={},
    metrics={
        "psnr_db": "ddmi_core.parts:psnr_db",
        "ssim": "ddmi_core.parts:ssim",
        "temporal_consistency": "ddmi_video.evaluations:temporal_consistency",
    },
    evaluations={name: f"ddmi_video.evaluations:{name}" for name in ("video_distance", "between_frames")},
    preflight="ddmi_video.features:check",
    conditions={"text": "ddmi_core.parts:text_condition", "words": "ddmi_core.parts:word_condition"},
    field_features="ddmi_video.features:describe",
    signal_features="ddmi_video.features:describe_signal",
    report_views="ddmi_video.rendering:views",
    parse_view="ddmi_video.views:parse",
    read="ddmi_video.folder:read",
    exporters={
        ".mp4": "ddmi_video.export:write_mp4",
        ".gif": "ddmi_video.export:write_gif",
        ".zip": "ddmi_video.export:write_frames",
    },
    picture="ddmi_video.export:picture",
    panel="ddmi_video.rendering:panel",
    optional={"torchcodec": "another decoder of files", "decord": "another decoder of files"},
    weights="ddmi_video:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [VIDEO]

"""Description of the radiance-field domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

NERF = Domain(
    name="nerf",
    summary="Radiance fields: density and colour at x, y and z, rendered from any camera",
    layout=Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    values=("density", "red", "green", "blue"),
    channels="ddmi_nerf.parts:channels",
    observed=("red", "green", "blue"),
    settings="ddmi_nerf.settings:NerfSettings",
    presets={name: f"ddmi_nerf:presets/{name}.toml" for name in ("quick", "tiny", "base", "paper")},
    sources={
        "cars": "ddmi_nerf.data.cars.source:load",
        "folder": "ddmi_nerf.data.folder:load",
        "srn-cars": "ddmi_nerf.data.srn_cars:srn_cars",
    },
    default_source="cars",
    encoder="ddmi_nerf.parts:encoder",
    sampler="ddmi_nerf.parts:sampler",
    renderer="ddmi_nerf.parts:renderer",
    perceptual={},
    metrics={name: f"ddmi_nerf.evaluation.metrics:{name}" for name in ("psnr_db", "ssim", "depth_consistency")},
    evaluations={
        "novel_views": "ddmi_nerf.evaluation.evaluations:novel_views",
        "sampled_depths": "ddmi_nerf.evaluation.evaluations:sampled_depths",
        "prompt_adherence": "ddmi_nerf.evaluation.prompt_adherence:prompt_adherence",
        "view_distance": "ddmi_nerf.evaluation.evaluations:view_distance",
    },
    preflight="ddmi_nerf.evaluation.preflight:preflight",
    conditions={"text": "ddmi_core.parts:text_condition", "words": "ddmi_core.parts:word_condition"},
    field_features="ddmi_nerf.evaluation.features:field_features",
    signal_features="ddmi_nerf.evaluation.features:signal_features",
    report_views="ddmi_nerf.cameras.orbit:report_views",
    parse_view="ddmi_nerf.cameras.orbit:parse_view",
    read="ddmi_nerf.data.folder:read",
    exporters={
        ".png": "ddmi_nerf.rendering.export:write_png",
        ".glb": "ddmi_nerf.rendering.export:write_glb",
        ".gif": "ddmi_nerf.rendering.export:write_gif",
        ".mp4": "ddmi_nerf.rendering.export:write_mp4",
        ".json": "ddmi_nerf.rendering.export:write_cameras",
    },
    ground_truth="ddmi_nerf.rendering.renderer:ground_truth",
    contact_sheet="ddmi_nerf.evaluation.contact_sheet:contact_sheet",
    picture="ddmi_nerf.rendering.export:picture",
    panel="ddmi_nerf.rendering.panel:panel",
    optional={"lpips": "perceptual distance of held-out views, by domain.lpips"},
    weights="ddmi_nerf:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [NERF]

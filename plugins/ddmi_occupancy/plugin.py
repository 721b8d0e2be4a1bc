"""The description of the occupancy domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

OCCUPANCY = Domain(
    name="occupancy",
    summary="Solid shapes as functions of x, y and z, extracted as meshes of any resolution",
    layout=Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    values=("occupancy",),
    settings="ddmi_occupancy.settings:OccupancySettings",
    presets={
        "quick": "ddmi_occupancy:presets/quick.toml",
        "base": "ddmi_occupancy:presets/base.toml",
        "paper": "ddmi_occupancy:presets/paper.toml",
    },
    sources={
        "furniture": "ddmi_occupancy.furniture:load",
        "folder": "ddmi_occupancy.folder:load",
        "shapenet": "ddmi_occupancy.official:shapenet",
        "shapenet-chair": "ddmi_occupancy.official:shapenet_chair",
        "text2shape": "ddmi_occupancy.official:text2shape",
    },
    default_source="furniture",
    encoder="ddmi_occupancy.parts:encoder",
    sampler="ddmi_occupancy.parts:sampler",
    renderer="ddmi_occupancy.rendering:renderer",
    loss="ddmi_core.parts:bernoulli_loss",
    perceptual={},
    conditions={"text": "ddmi_core.parts:text_condition", "words": "ddmi_core.parts:word_condition"},
    metrics={
        "iou": "ddmi_occupancy.metrics:iou",
        "chamfer": "ddmi_occupancy.metrics:chamfer",
        "f_score": "ddmi_occupancy.metrics:f_score",
        "normal_consistency": "ddmi_occupancy.metrics:normal_consistency",
    },
    evaluations={
        "generation": "ddmi_occupancy.evaluations:generation",
        "prompt_adherence": "ddmi_occupancy.prompt_adherence:prompt_adherence",
    },
    field_features="ddmi_occupancy.describe:describe",
    signal_features="ddmi_occupancy.describe:describe_signal",
    report_views="ddmi_occupancy.rendering:views",
    read="ddmi_occupancy.folder:read",
    exporters={
        ".glb": "ddmi_occupancy.export:write",
        ".ply": "ddmi_occupancy.export:write",
        ".stl": "ddmi_occupancy.export:write",
        ".obj": "ddmi_occupancy.export:write",
        ".gif": "ddmi_occupancy.preview:write_turntable",
        ".mp4": "ddmi_occupancy.preview:write_turntable_mp4",
    },
    ground_truth="ddmi_occupancy.rendering:original",
    picture="ddmi_occupancy.preview:picture",
    optional={"kaolin": "checks of what is inside a mesh"},
    weights="ddmi_occupancy:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [OCCUPANCY]

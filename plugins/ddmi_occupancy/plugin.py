"""The description of the occupancy domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

OCCUPANCY = Domain(
    name="occupancy",
    summary="Solid shapes as functions of x, y and z, extracted as meshes of any resolution",
    layout=Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    values=("occupancy",),
    settings="ddmi_occupancy.settings:OccupancySettings",
    presets={name: f"ddmi_occupancy:presets/{name}.toml" for name in ("quick", "base", "paper")},
    sources={
        "furniture": "ddmi_occupancy.data.furniture:load",
        "folder": "ddmi_occupancy.data.folder:load",
        "shapenet": "ddmi_occupancy.data.shapenet:shapenet",
        "shapenet-chair": "ddmi_occupancy.data.shapenet:shapenet_chair",
        "text2shape": "ddmi_occupancy.data.shapenet:text2shape",
    },
    default_source="furniture",
    encoder="ddmi_occupancy.parts:encoder",
    sampler="ddmi_occupancy.parts:sampler",
    renderer="ddmi_occupancy.rendering:renderer",
    loss="ddmi_core.parts:bernoulli_loss",
    perceptual={},
    conditions={"text": "ddmi_core.parts:text_condition", "words": "ddmi_core.parts:word_condition"},
    metrics={
        name: f"ddmi_occupancy.evaluation.metrics:{name}"
        for name in ("iou", "chamfer", "f_score", "normal_consistency")
    },
    evaluations={
        "generation": "ddmi_occupancy.evaluation.generation:generation",
        "prompt_adherence": "ddmi_occupancy.evaluation.prompt_adherence:prompt_adherence",
    },
    field_features="ddmi_occupancy.evaluation.features:describe",
    signal_features="ddmi_occupancy.evaluation.features:describe_signal",
    report_views="ddmi_occupancy.rendering:views",
    read="ddmi_occupancy.data.folder:read",
    exporters={
        **dict.fromkeys((".glb", ".ply", ".stl", ".obj"), "ddmi_occupancy.export:write"),
        ".gif": "ddmi_occupancy.preview.turntable:write_turntable",
        ".mp4": "ddmi_occupancy.preview.turntable:write_turntable_mp4",
    },
    ground_truth="ddmi_occupancy.rendering:original",
    picture="ddmi_occupancy.preview.turntable:picture",
    optional={"kaolin": "inside tests of meshes"},
    weights="ddmi_occupancy:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [OCCUPANCY]

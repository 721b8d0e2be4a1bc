"""The description of the image domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

IMAGE = Domain(
    name="image",
    summary="Pictures as functions of x and y, drawn at any size",
    layout=Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",)),
    values=("red", "green", "blue"),
    settings="ddmi_image.settings:ImageSettings",
    presets={name: f"ddmi_image:presets/{name}.toml" for name in ("quick", "base", "paper")},
    sources={
        "openmoji": "ddmi_image.openmoji:load",
        "folder": "ddmi_image.folder:load",
        "afhqv2-cat": "ddmi_image.afhq_celeba:afhqv2_cat",
        "afhqv2-dog": "ddmi_image.afhq_celeba:afhqv2_dog",
        "celeba-hq": "ddmi_image.afhq_celeba:celeba_hq",
    },
    default_source="openmoji",
    perceptual={
        "multiscale": "ddmi_core.parts:MultiScaleTerm",
        "lpips": "ddmi_image.perceptual:LpipsTerm",
    },
    metrics={"psnr_db": "ddmi_core.parts:psnr_db", "ssim": "ddmi_core.parts:ssim"},
    conditions={"text": "ddmi_core.parts:text_condition", "words": "ddmi_core.parts:word_condition"},
    field_features="ddmi_image.features:describe",
    signal_features="ddmi_image.features:describe_signal",
    read="ddmi_image.folder:read",
    exporters={
        ".png": "ddmi_image.export:write_png",
        ".jpg": "ddmi_image.export:write_small",
        ".webp": "ddmi_image.export:write_small",
    },
    picture="ddmi_image.export:picture",
    weights="ddmi_image:weights",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [IMAGE]

"""The description, as it was written for API version 1."""

from ddmi_core.api import Domain, Layout, hookimpl

FROZEN = Domain(
    name="frozen-1",
    summary="Decaying tones",
    layout=Layout(axes=("t",), planes=(("t",),)),
    values=("height",),
    settings="ddmi_frozen_1.parts:Settings",
    presets={"quick": "ddmi_frozen_1:quick.toml"},
    sources={"tones": "ddmi_frozen_1.parts:tones"},
    default_source="tones",
    encoder="ddmi_frozen_1.parts:encoder",
    metrics={"psnr_db": "ddmi_core.parts:psnr_db"},
    conditions={"pitch": "ddmi_frozen_1.parts:pitch"},
    read="ddmi_frozen_1.parts:read",
    exporters={".npy": "ddmi_frozen_1.parts:write"},
    picture="ddmi_frozen_1.parts:picture",
    api_version=1,
)


@hookimpl
def ddmi_domains():
    return [FROZEN]

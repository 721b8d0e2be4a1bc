"""The description, as it was written for API version 0."""

from ddmi_core.api import Domain, Layout, hookimpl

FROZEN = Domain(
    name="frozen-0",
    summary="Decaying tones",
    layout=Layout(axes=("t",), planes=(("t",),)),
    values=("height",),
    settings="ddmi_frozen_0.parts:Settings",
    presets={"quick": "ddmi_frozen_0:quick.toml"},
    sources={"tones": "ddmi_frozen_0.parts:tones"},
    default_source="tones",
    encoder="ddmi_frozen_0.parts:encoder",
    decoder="ddmi_frozen_0.parts:decoder",
    sampler="ddmi_frozen_0.parts:sampler",
    renderer="ddmi_frozen_0.parts:renderer",
    views="ddmi_frozen_0.parts:views",
    metrics={"error": "ddmi_frozen_0.parts:error"},
    describe="ddmi_frozen_0.parts:describe",
    describe_signal="ddmi_frozen_0.parts:describe_signal",
    read="ddmi_frozen_0.parts:read",
    exporters={".npy": "ddmi_frozen_0.parts:write"},
    picture="ddmi_frozen_0.parts:picture",
    signal_picture="ddmi_frozen_0.parts:signal_picture",
    api_version=0,
)


@hookimpl
def ddmi_domains():
    return [FROZEN]

"""The description, as it was written for API version 1."""

from ddmi_core.api import Domain, Layout, hookimpl

FROZEN = Domain(
    name="frozen-1",
    summary="Decaying tones",
    layout=Layout(axes=("t",), planes=(("t",),)),
    values=("height",),
    implementation="ddmi_frozen_1.parts:Tones",
    api_version=1,
)


@hookimpl
def ddmi_domains():
    return [FROZEN]

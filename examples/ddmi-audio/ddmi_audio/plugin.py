"""The description of the audio domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

AUDIO = Domain(
    name="audio",
    summary="Sounds as functions of time, played at any sampling rate",
    layout=Layout(axes=("t",), planes=(("t",),), extra=("footprint",)),
    values=("pressure",),
    implementation="ddmi_audio.parts:AudioParts",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [AUDIO]

"""The description of the audio domain, and the hook that registers it."""

from __future__ import annotations

from ddmi_core.api import Domain, Layout, hookimpl

AUDIO = Domain(
    name="audio",
    summary="Sounds as functions of time, played at any sampling rate",
    layout=Layout(axes=("t",), planes=(("t",),), extra=("footprint",)),
    values=("pressure",),
    settings="ddmi_audio.settings:AudioSettings",
    presets={"quick": "ddmi_audio:presets/quick.toml"},
    sources={"notes": "ddmi_audio.notes:load", "folder": "ddmi_audio.folder:load"},
    default_source="notes",
    loss="ddmi_audio.spectral:relative_loss",
    perceptual={"spectral": "ddmi_audio.spectral:SpectralTerm"},
    metrics={
        "snr_db": "ddmi_audio.spectral:snr_db",
        "psnr_db": "ddmi_core.parts:psnr_db",
        "spectral_distance": "ddmi_audio.spectral:spectral_distance",
    },
    field_features="ddmi_audio.features:describe",
    signal_features="ddmi_audio.features:describe_signal",
    read="ddmi_audio.folder:read",
    exporters={".wav": "ddmi_audio.export:write_wav"},
    picture="ddmi_audio.export:picture",
    api_version=1,
)


@hookimpl
def ddmi_domains() -> list[Domain]:
    """The one domain of this plugin."""
    return [AUDIO]

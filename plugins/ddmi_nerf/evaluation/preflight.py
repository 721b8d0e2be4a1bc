"""What evaluations need beside data and model, looked for before a run begins."""

from __future__ import annotations

from torch import nn

from ddmi_core.errors import ConfigError
from ddmi_core.parts import lpips_network
from ddmi_nerf.evaluation.features import view_features
from ddmi_nerf.settings import FETCHED, NerfSettings

SMALLEST = 32  # rows and columns of a picture, which LPIPS halves four times


def preflight(settings: NerfSettings) -> None:
    """See that the features of views and LPIPS can be had, where the settings ask for them.

    Raises:
        DataError: if the file of the features cannot be used.
        ConfigError: if LPIPS is asked for and not to be had, or the views are too small for it.
    """
    view_features(settings.features)
    lpips(settings)


def lpips(settings: NerfSettings) -> nn.Module | None:
    """The network of LPIPS; `None` where the settings do not ask for it.

    Raises:
        ConfigError: if the package or its weights are missing, or the views are too small.
    """
    if not settings.lpips:
        return None
    if settings.size < SMALLEST:
        raise ConfigError(
            f"domain.lpips needs views of {SMALLEST} x {SMALLEST} pixels, these have {settings.size}; set domain.size, "
            "or leave domain.lpips empty"
        )
    path = "" if settings.lpips == FETCHED else settings.lpips
    return lpips_network(
        path, f"domain.lpips={settings.lpips}", "domain.lpips", "leave it empty, which spares the figure"
    )

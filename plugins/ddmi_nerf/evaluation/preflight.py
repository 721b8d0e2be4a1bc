"""Preflight check: networks that evaluations need are available before a run starts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from ddmi_core.errors import ConfigError
from ddmi_core.parts import lpips_network
from ddmi_nerf.settings import FETCHED, NerfSettings

SMALLEST = 32  # rows and columns of an image, which LPIPS halves four times


def preflight(settings: NerfSettings) -> None:
    """Check that LPIPS is available, if it is configured.

    Raises:
        ConfigError: if LPIPS is configured but not available, or the views are too small for it.
    """
    lpips(settings)


def lpips(settings: NerfSettings) -> nn.Module | None:
    """The LPIPS network; `None` if it is not configured.

    Raises:
        ConfigError: if the package or its weights are missing, or the views are too small.
    """
    if not settings.lpips:
        return None
    if settings.size < SMALLEST:
        raise ConfigError(
            f"domain.lpips needs views of {SMALLEST} x {SMALLEST} pixels, these have {settings.size}; increase "
            "domain.size, or leave domain.lpips empty"
        )
    path = "" if settings.lpips == FETCHED else settings.lpips
    return lpips_network(path, f"domain.lpips={settings.lpips}", "domain.lpips", "leave it empty to omit the figure")


def record(settings: NerfSettings) -> dict[str, str]:
    """File and checksum of the LPIPS network, for the protocol of figures."""
    if settings.lpips == FETCHED:
        return {"file": "weights of the package lpips"}
    path = Path(settings.lpips)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

"""LPIPS of reconstructions (arXiv 1801.03924), by a file of its network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddmi_core.errors import ConfigError, DataError
from ddmi_core.fields.field import Field
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.network_files import digest
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.parts.perceptual import LpipsTerm, lpips_network
from ddmi_core.settings.config import LPIPS, EvaluationConfig, RunConfig, network_file

SETTING = "evaluation.networks"
MOST = 16  # pictures, or frames, in one batch
CPU = torch.device("cpu")


class PerceptualDistance:
    """LPIPS with a VGG backbone between the native grids of fields and of signals.

    Args:
        path: state dictionary of the whole network.
        parts: the domain, whose native grids are pictures or clips.
        device: where it is computed.

    Raises:
        DataError: if there is no such file.
        ConfigError: if the package or the file cannot be used, or native grids are no pictures, or too small ones.
    """

    def __init__(self, path: Path, parts: AnyParts, device: torch.device = CPU) -> None:
        given = f"{SETTING} has {LPIPS}:{path}"
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        shown = parts.signal_pictures(parts.blank()) if isinstance(parts.renderer, GridRenderer) else None
        if shown is None:
            raise ConfigError(
                f"{given}, which compares reconstructions with originals as native pictures or clips, and domain "
                f"{parts.domain.name!r} has none. Fix: leave it out",
                SETTING,
            )
        if min(shown.shape[-2:]) < LpipsTerm.smallest:
            size = " x ".join(map(str, shown.shape[-2:]))
            raise ConfigError(
                f"{given}, which needs pictures of {LpipsTerm.smallest} x {LpipsTerm.smallest}, and these have {size}. "
                "Fix: leave it out",
                SETTING,
            )
        self._parts, self._device, self._path = parts, device, path
        self._network = lpips_network(str(path), f"{SETTING}={LPIPS}:{path}", SETTING, "leave it out").to(device)

    @property
    def record(self) -> Mapping[str, Any]:
        """File, checksum, input and version of the package."""
        return {
            "name": LPIPS,
            "backbone": "vgg",
            "file": self._path.name,
            "sha256": digest(self._path),
            "input": "values in [-1, 1], not rounded; of clips, the mean over frames",
            "versions": {"lpips": _version()},
        }

    @torch.no_grad()
    def __call__(self, fields: Field, signal: Any, renderer: Any) -> Tensor:
        """The distance of each field to its signal, `(B,)`; a metric of reconstructions."""
        shown, truth = self._parts.pictures(fields), self._parts.signal_pictures(signal)
        assert shown is not None
        assert truth is not None
        frames = [values.float().movedim(1, -3).flatten(0, -4) for values in (shown, truth)]
        pairs = zip(*(torch.split(values, MOST) for values in frames), strict=True)
        found = [self._network(*(part.to(self._device) for part in pair)).flatten().cpu() for pair in pairs]
        return torch.cat(found).view(len(shown), prod(shown.shape[2:-2])).mean(dim=1)


def perceptual_distance(parts: AnyParts, config: RunConfig, device: torch.device = CPU) -> PerceptualDistance | None:
    """The distance of `lpips:PATH` in `evaluation.networks`, otherwise of the file of the autoencoder's LPIPS term.

    `None` if neither is there, or the autoencoder's cannot be used here.

    Raises:
        DataError: if the named file is missing.
        ConfigError: as `PerceptualDistance`.
    """
    if given := named_file(config.evaluation):
        return PerceptualDistance(given, parts, device)
    own = config.autoencoder.perceptual
    if own.kind == LPIPS and own.weights_file:
        with suppress(DataError, ConfigError):  # training needed it, and evaluations do not
            return PerceptualDistance(Path(own.weights_file), parts, device)
    return None


def named_file(config: EvaluationConfig) -> Path | None:
    """The file of `lpips:PATH` in `evaluation.networks`."""
    files = [network_file(entry) for entry in config.networks]
    return next((file[1] for file in files if file and file[0] == LPIPS), None)


def _version() -> str:
    try:
        return version("lpips")
    except PackageNotFoundError:
        return "unknown"

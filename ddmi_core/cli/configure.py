"""From a command's options to a domain and a resolved configuration, the cheapest checks first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddmi_core.errors import RequestError, unknown_name

if TYPE_CHECKING:
    from ddmi_core.api.domain import Domain
    from ddmi_core.runs.config import RunConfig


def configured(
    plugin: str,
    preset: str = "",
    config: Path | None = None,
    sets: Sequence[str] = (),
    data: str = "",
    seed: int | None = None,
) -> tuple[Domain, RunConfig]:
    """The domain of a name, and the configuration that options ask for.

    Raises:
        RequestError: if the plugin, the preset, the file or a setting is wrong.
    """
    from ddmi_core.registry.registry import domain_named

    domain = domain_named(plugin)
    if preset and preset not in domain.presets:
        raise RequestError(unknown_name(f"preset of plugin {plugin!r}:", preset, domain.presets))

    from ddmi_core.runs.settings import resolve

    return domain, resolve(domain, preset, config, sets, data, seed)

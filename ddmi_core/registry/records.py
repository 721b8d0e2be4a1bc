"""Plugin records: origin, status, and the reason and fix of a fault."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen


class Status(StrEnum):
    """Status of a plugin.

    `found`: metadata read, not imported. `ready`: loaded, or registered by this program. `broken`: loading
    failed. `slow`: loading exceeded a time limit. `incompatible`: written for another API version. `clash`: another
    plugin has the same name. `disabled`: excluded by `DDMI_PLUGINS` or `--no-plugins`.
    """

    FOUND = "found"
    READY = "ready"
    BROKEN = "broken"
    SLOW = "slow"
    INCOMPATIBLE = "incompatible"
    CLASH = "clash"
    DISABLED = "disabled"


@frozen(kw_only=True)
class PluginRecord:
    """One listed plugin.

    Args:
        name: name of the entry point, which is the name of the domain.
        distribution: name of the distribution that provides it; empty if a program registered it.
        version: version of the distribution.
        entry_point: value of the entry point, `package.module` or `package.module:attribute`.
        status: see `Status`.
        reason: what is wrong, as a sentence without a full stop; empty if nothing is.
        fix: how to correct it.
        api_version: API version that it was written for, known after loading.
        axes: names of its axes, known after loading.
        summary: one sentence about it, known after loading.
        optional: optional modules with their purpose, known after loading.
    """

    name: str
    distribution: str = ""
    version: str = ""
    entry_point: str = ""
    status: Status = Status.FOUND
    reason: str = ""
    fix: str = ""
    api_version: int | None = None
    axes: tuple[str, ...] = ()
    summary: str = ""
    optional: Mapping[str, str] = field(factory=dict)

    @property
    def origin(self) -> str:
        """Origin for messages: `ddmi-image 0.1.0 (ddmi_image.plugin)`."""
        if not self.distribution:
            return "registered by this program"
        return f"{self.distribution} {self.version} ({self.entry_point})"

    @property
    def usable(self) -> bool:
        """Whether loading it may succeed."""
        return self.status in (Status.FOUND, Status.READY)

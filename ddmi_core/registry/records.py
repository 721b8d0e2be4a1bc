"""Records of plugins and extensions: origin, status, the reason and fix of a fault, and what an extension provides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from attrs import field, frozen, validators

from ddmi_core.api.domain import Domain

DOMAINS, EXTENSIONS = "ddmi.plugins", "ddmi.extensions"  # groups of entry points
# Hooks of extensions by the kind of what they provide, and the kind in messages.
KINDS = {
    "samplers": "sampler",
    "denoisers": "denoiser",
    "paths": "path",
    "targets": "prediction target",
    "trackers": "tracker",
    "callbacks": "callback",
    "metrics": "metric",
    "features": "feature network",
    "exporters": "file type",
    "report_sections": "section of the report",
    "commands": "command",
}


def _names(names: Iterable[str]) -> tuple[str, ...]:
    """Several names as a tuple; a text alone would become its letters."""
    if isinstance(names, str):
        raise TypeError(f"{names!r} is a text where several names are expected. Fix: ({names!r},)")
    return tuple(names)


@frozen
class Contribution:
    """What an extension provides under a name.

    Args:
        reference: `package.module:attribute`, imported when it is used.
        summary: one sentence for lists and help; the heading of a section of the report.
        domains: names of the domains that it works for; all if empty.
        axes: axes of the domains that it works for, in the order of their layout; any if empty.
        requires: what to install if the reference cannot be imported, as for pip: `ddmi[tensorboard]`.
    """

    reference: str = field(validator=validators.matches_re(r"[\w.]+:\w+"))
    summary: str = ""
    domains: tuple[str, ...] = field(default=(), converter=_names)
    axes: tuple[str, ...] = field(default=(), converter=_names)
    requires: str = ""

    def fits(self, domain: Domain) -> bool:
        """Whether it works for a domain."""
        return (not self.domains or domain.name in self.domains) and self.axes in ((), domain.layout.axes)

    def overlaps(self, other: Contribution) -> bool:
        """Whether both may work for one domain."""
        apart = self.domains and other.domains and not set(self.domains) & set(other.domains)
        return not apart and (not self.axes or not other.axes or self.axes == other.axes)


class Status(StrEnum):
    """Status of a plugin or an extension.

    `found`: metadata read, not imported. `ready`: loaded, or registered by this program. `broken`: loading
    failed. `slow`: loading exceeded a time limit. `incompatible`: written for another API version. `clash`: another
    plugin has the same name, or a name that an extension provides is taken, and its other names can be used.
    `disabled`: excluded by `DDMI_PLUGINS` or `--no-plugins`.
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
    """One listed plugin or extension.

    Args:
        name: name of the entry point; for a plugin, the name of the domain.
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
        group: group of the entry point, `ddmi.plugins` or `ddmi.extensions`.
        provides: names that an extension provides, by kind (`samplers`, ...), known after loading.
        file: absolute path of the file that defines it, for a domain from a single file.
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
    group: str = DOMAINS
    provides: Mapping[str, tuple[str, ...]] = field(factory=dict)
    file: str = ""

    @property
    def origin(self) -> str:
        """Origin for messages: `ddmi-image 0.1.0 (ddmi_image.plugin)`."""
        if self.file:
            return f"the file {self.file}"
        if not self.distribution:
            return "registered by this program"
        return f"{self.distribution} {self.version} ({self.entry_point})"

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "extension" if self.group == EXTENSIONS else "plugin"

    @property
    def sentence(self) -> str:
        """What is wrong and how to correct it, as one sentence; see `reason`."""
        state = "in conflict" if self.status is Status.CLASH else self.status
        where = f" from {self.origin}" if self.distribution else ""
        return f"{self.kind} {self.name!r}{where} is {state}: {self.reason}. Fix: {self.fix}"

    @property
    def usable(self) -> bool:
        """Whether loading it may succeed."""
        return self.status in (Status.FOUND, Status.READY)

"""The hook specification of plugins, in its own module because pluggy reads specifications from a module."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from ddmi_core.api.domain import Domain

GROUP = "ddmi.plugins"

hookspec = pluggy.HookspecMarker("ddmi")
hookimpl = pluggy.HookimplMarker("ddmi")


@hookspec
def ddmi_domains() -> Iterable[Domain]:  # type: ignore[empty-body]
    """Return the domains of this plugin.

    Example:
        >>> from ddmi_core.api import hookimpl
        >>> @hookimpl
        ... def ddmi_domains():
        ...     return [IMAGE]
    """

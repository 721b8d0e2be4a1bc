"""The plugin registry: hooks, discovery and loading."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.registry.records import PluginRecord as PluginRecord
    from ddmi_core.registry.records import Status as Status
    from ddmi_core.registry.registry import domain_named as domain_named
    from ddmi_core.registry.registry import listed as listed
    from ddmi_core.registry.registry import register as register

__getattr__, __dir__, __all__ = lazy_exports(__name__)

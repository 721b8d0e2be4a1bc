"""The public interfaces: what a plugin author implements, and the classes that pass between the parts."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.api.conditions import Condition as Condition
    from ddmi_core.api.domain import API_VERSION as API_VERSION
    from ddmi_core.api.domain import Domain as Domain
    from ddmi_core.api.evaluation import Figure as Figure
    from ddmi_core.api.evaluation import Trained as Trained
    from ddmi_core.api.interfaces import BasisFieldDecoder as BasisFieldDecoder
    from ddmi_core.api.interfaces import CoordinateSampler as CoordinateSampler
    from ddmi_core.api.interfaces import Encoder as Encoder
    from ddmi_core.api.interfaces import Renderer as Renderer
    from ddmi_core.api.observations import Observations as Observations
    from ddmi_core.api.panels import Look as Look
    from ddmi_core.api.panels import Panel as Panel
    from ddmi_core.api.panels import Shown as Shown
    from ddmi_core.api.signals import DivisibleSet as DivisibleSet
    from ddmi_core.api.signals import Queries as Queries
    from ddmi_core.api.signals import SignalSet as SignalSet
    from ddmi_core.api.signals import Split as Split
    from ddmi_core.fields.field import Field as Field
    from ddmi_core.fields.layout import Layout as Layout
    from ddmi_core.fields.planes import Planes as Planes
    from ddmi_core.fields.posterior import Posterior as Posterior
    from ddmi_core.registry.hooks import hookimpl as hookimpl

_EXPORTS = {
    "Condition": "ddmi_core.api.conditions",
    "API_VERSION": "ddmi_core.api.domain",
    "Domain": "ddmi_core.api.domain",
    "Figure": "ddmi_core.api.evaluation",
    "Trained": "ddmi_core.api.evaluation",
    "BasisFieldDecoder": "ddmi_core.api.interfaces",
    "CoordinateSampler": "ddmi_core.api.interfaces",
    "Encoder": "ddmi_core.api.interfaces",
    "Renderer": "ddmi_core.api.interfaces",
    "Observations": "ddmi_core.api.observations",
    "Look": "ddmi_core.api.panels",
    "Panel": "ddmi_core.api.panels",
    "Shown": "ddmi_core.api.panels",
    "DivisibleSet": "ddmi_core.api.signals",
    "Queries": "ddmi_core.api.signals",
    "SignalSet": "ddmi_core.api.signals",
    "Split": "ddmi_core.api.signals",
    "Field": "ddmi_core.fields.field",
    "Layout": "ddmi_core.fields.layout",
    "Planes": "ddmi_core.fields.planes",
    "Posterior": "ddmi_core.fields.posterior",
    "hookimpl": "ddmi_core.registry.hooks",
}
__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

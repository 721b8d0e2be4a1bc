"""Generate continuous fields: train, load, sample and call diffusion models of functions (DDMI)."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core._version import __version__ as __version__
    from ddmi_core.api.domain import Domain as Domain
    from ddmi_core.api.observations import Observations as Observations
    from ddmi_core.fields.field import Field as Field
    from ddmi_core.fields.layout import Layout as Layout
    from ddmi_core.fields.planes import Planes as Planes
    from ddmi_core.registry.registry import register as register
    from ddmi_core.runs.model import Model as Model
    from ddmi_core.runs.model import load as load
    from ddmi_core.runs.start import run as run

_EXPORTS = {
    "Domain": "ddmi_core.api.domain",
    "Field": "ddmi_core.fields.field",
    "Layout": "ddmi_core.fields.layout",
    "Model": "ddmi_core.runs.model",
    "Observations": "ddmi_core.api.observations",
    "Planes": "ddmi_core.fields.planes",
    "__version__": "ddmi_core._version",
    "load": "ddmi_core.runs.model",
    "register": "ddmi_core.registry.registry",
    "run": "ddmi_core.runs.start",
}
__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

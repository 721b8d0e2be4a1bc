"""DDMI: diffusion models of continuous functions; train, load, sample and evaluate them."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core._version import __version__ as __version__
    from ddmi_core.api.domain import Domain as Domain
    from ddmi_core.api.observations import Observations as Observations
    from ddmi_core.evaluation.results import figures as figures
    from ddmi_core.evaluation.tune import tune as tune
    from ddmi_core.fields.field import Field as Field
    from ddmi_core.fields.layout import Layout as Layout
    from ddmi_core.fields.planes import Planes as Planes
    from ddmi_core.model.loading import load as load
    from ddmi_core.model.model import Model as Model
    from ddmi_core.registry.registry import register as register
    from ddmi_core.runs.run import run as run

__getattr__, __dir__, __all__ = lazy_exports(__name__)

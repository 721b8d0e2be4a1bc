"""Public interface for plugin authors: abstract classes to implement, and the data classes they exchange."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.api.conditions import Condition as Condition
    from ddmi_core.api.conditions import TokenSequences as TokenSequences
    from ddmi_core.api.domain import API_VERSION as API_VERSION
    from ddmi_core.api.domain import Domain as Domain
    from ddmi_core.api.evaluation import Estimate as Estimate
    from ddmi_core.api.evaluation import FeatureNetwork as FeatureNetwork
    from ddmi_core.api.evaluation import Figure as Figure
    from ddmi_core.api.evaluation import PaperProtocol as PaperProtocol
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
    from ddmi_core.blocks import Block as Block
    from ddmi_core.bounds import above as above
    from ddmi_core.bounds import inside as inside
    from ddmi_core.bounds import within as within
    from ddmi_core.display import Artefact as Artefact
    from ddmi_core.display import ShortText as ShortText
    from ddmi_core.draws import normal_like as normal_like
    from ddmi_core.draws import per_row as per_row
    from ddmi_core.draws import shared as shared
    from ddmi_core.fields.field import Field as Field
    from ddmi_core.fields.layout import Embedding as Embedding
    from ddmi_core.fields.layout import Layout as Layout
    from ddmi_core.fields.planes import Planes as Planes
    from ddmi_core.fields.planes import Posterior as Posterior
    from ddmi_core.registry.hooks import hookimpl as hookimpl
    from ddmi_core.registry.records import Contribution as Contribution
    from ddmi_core.report.sections import ReportContext as ReportContext
    from ddmi_core.steps import acts_on as acts_on
    from ddmi_core.training.trackers import Moment as Moment
    from ddmi_core.training.trackers import Tracker as Tracker

__getattr__, __dir__, __all__ = lazy_exports(__name__)

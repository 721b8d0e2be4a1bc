"""Feature networks that users bring."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.evaluation.networks.file_network import DomainFeatures as DomainFeatures
    from ddmi_core.evaluation.networks.file_network import check_networks as check_networks
    from ddmi_core.evaluation.networks.file_network import clip_score as clip_score
    from ddmi_core.evaluation.networks.file_network import feature_networks as feature_networks
    from ddmi_core.evaluation.networks.perceptual import perceptual_distance as perceptual_distance
    from ddmi_core.evaluation.networks.text_score import clip_score_figures as clip_score_figures

__getattr__, __dir__, __all__ = lazy_exports(__name__)

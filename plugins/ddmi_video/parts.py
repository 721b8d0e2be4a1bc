"""The domain's own part: which places and times training looks at."""

from __future__ import annotations

from ddmi_core.api import Domain
from ddmi_core.parts import GridSampler
from ddmi_video.settings import VideoSettings


def sampler(domain: Domain, settings: VideoSettings) -> GridSampler:
    """Scattered places and times: they differ more than those of a block, and a clip is never decoded whole."""
    return GridSampler(domain.layout, scattered=True)

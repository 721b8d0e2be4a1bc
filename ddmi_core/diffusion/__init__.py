"""Latent diffusion: paths, prediction targets, samplers, guidance and denoisers; names for extensions of the engine."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.diffusion.config import DenoiserConfig as DenoiserConfig
    from ddmi_core.diffusion.config import PathConfig as PathConfig
    from ddmi_core.diffusion.denoisers.cross_attention import Context as Context
    from ddmi_core.diffusion.denoisers.cross_attention import CrossAttention as CrossAttention
    from ddmi_core.diffusion.denoisers.denoiser import PlaneDenoiser as PlaneDenoiser
    from ddmi_core.diffusion.denoisers.embeddings import AxisPositions as AxisPositions
    from ddmi_core.diffusion.parameterization import Target as Target
    from ddmi_core.diffusion.paths import Path as Path
    from ddmi_core.diffusion.samplers import Denoise as Denoise
    from ddmi_core.diffusion.samplers import Generators as Generators
    from ddmi_core.diffusion.samplers import Grid as Grid
    from ddmi_core.diffusion.samplers import Sampler as Sampler
    from ddmi_core.diffusion.samplers import Steps as Steps
    from ddmi_core.diffusion.samplers import noise_like as noise_like
    from ddmi_core.diffusion.timesteps import Timestep as Timestep
    from ddmi_core.diffusion.timesteps import exponential_step as exponential_step
    from ddmi_core.networks import Maps as Maps

__getattr__, __dir__, __all__ = lazy_exports(__name__)

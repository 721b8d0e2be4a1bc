"""Ready parts for domains: what a plugin can use instead of writing its own."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.autoencoder.config import AutoencoderConfig as AutoencoderConfig
    from ddmi_core.autoencoder.config import DecoderConfig as DecoderConfig
    from ddmi_core.autoencoder.config import EncoderConfig as EncoderConfig
    from ddmi_core.autoencoder.config import PerceptualConfig as PerceptualConfig
    from ddmi_core.autoencoder.grid_encoder import GridEncoder as GridEncoder
    from ddmi_core.autoencoder.losses import MultiScaleTerm as MultiScaleTerm
    from ddmi_core.autoencoder.losses import bernoulli_loss as bernoulli_loss
    from ddmi_core.autoencoder.losses import l1_loss as l1_loss
    from ddmi_core.autoencoder.losses import l2_loss as l2_loss
    from ddmi_core.autoencoder.plane_decoder import PlaneDecoder as PlaneDecoder
    from ddmi_core.fields.lattice import cell_centres as cell_centres
    from ddmi_core.fields.readout import CoarseToFineReadout as CoarseToFineReadout
    from ddmi_core.fields.readout import ReadoutConfig as ReadoutConfig
    from ddmi_core.grids.renderer import GridRenderer as GridRenderer
    from ddmi_core.grids.renderer import Raster as Raster
    from ddmi_core.grids.sampler import GridSampler as GridSampler

_EXPORTS = {
    "AutoencoderConfig": "ddmi_core.autoencoder.config",
    "DecoderConfig": "ddmi_core.autoencoder.config",
    "EncoderConfig": "ddmi_core.autoencoder.config",
    "GridEncoder": "ddmi_core.autoencoder.grid_encoder",
    "MultiScaleTerm": "ddmi_core.autoencoder.losses",
    "PerceptualConfig": "ddmi_core.autoencoder.config",
    "PlaneDecoder": "ddmi_core.autoencoder.plane_decoder",
    "bernoulli_loss": "ddmi_core.autoencoder.losses",
    "l1_loss": "ddmi_core.autoencoder.losses",
    "l2_loss": "ddmi_core.autoencoder.losses",
    "CoarseToFineReadout": "ddmi_core.fields.readout",
    "GridRenderer": "ddmi_core.grids.renderer",
    "GridSampler": "ddmi_core.grids.sampler",
    "Raster": "ddmi_core.grids.renderer",
    "ReadoutConfig": "ddmi_core.fields.readout",
    "cell_centres": "ddmi_core.fields.lattice",
}
__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

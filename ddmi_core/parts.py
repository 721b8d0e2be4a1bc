"""Ready parts for domains: what a plugin can use instead of writing its own."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.fields.grid_renderer import GridRenderer as GridRenderer
    from ddmi_core.fields.grid_renderer import Raster as Raster
    from ddmi_core.fields.grid_sampler import GridSampler as GridSampler
    from ddmi_core.fields.lattice import cell_centres as cell_centres
    from ddmi_core.fields.readout import CoarseToFineReadout as CoarseToFineReadout
    from ddmi_core.fields.readout import ReadoutConfig as ReadoutConfig

_EXPORTS = {
    "CoarseToFineReadout": "ddmi_core.fields.readout",
    "GridRenderer": "ddmi_core.fields.grid_renderer",
    "GridSampler": "ddmi_core.fields.grid_sampler",
    "Raster": "ddmi_core.fields.grid_renderer",
    "ReadoutConfig": "ddmi_core.fields.readout",
    "cell_centres": "ddmi_core.fields.lattice",
}
__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)

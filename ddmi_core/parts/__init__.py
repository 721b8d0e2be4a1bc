"""Ready-made parts of domains for plugins."""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.autoencoder.config import AutoencoderConfig as AutoencoderConfig
    from ddmi_core.autoencoder.config import DecoderConfig as DecoderConfig
    from ddmi_core.autoencoder.config import EncoderConfig as EncoderConfig
    from ddmi_core.autoencoder.config import PerceptualConfig as PerceptualConfig
    from ddmi_core.autoencoder.decoder import PlaneDecoder as PlaneDecoder
    from ddmi_core.autoencoder.encoders import GridEncoder as GridEncoder
    from ddmi_core.autoencoder.encoders import PlaneStagesEncoder as PlaneStagesEncoder
    from ddmi_core.autoencoder.encoders import PointEncoder as PointEncoder
    from ddmi_core.autoencoder.losses import MultiScaleTerm as MultiScaleTerm
    from ddmi_core.autoencoder.losses import bernoulli_loss as bernoulli_loss
    from ddmi_core.autoencoder.losses import l1_loss as l1_loss
    from ddmi_core.autoencoder.losses import l2_loss as l2_loss
    from ddmi_core.conditions.sentences import HashedWords as HashedWords
    from ddmi_core.conditions.sentences import MiniLm as MiniLm
    from ddmi_core.conditions.sentences import SentenceEncoder as SentenceEncoder
    from ddmi_core.conditions.text import TextCondition as TextCondition
    from ddmi_core.conditions.text import text_condition as text_condition
    from ddmi_core.conditions.text import word_condition as word_condition
    from ddmi_core.fields.config import ReadoutConfig as ReadoutConfig
    from ddmi_core.fields.coordinates import cell_centres as cell_centres
    from ddmi_core.fields.coordinates import lattice_points as lattice_points
    from ddmi_core.fields.readout import CoarseToFineReadout as CoarseToFineReadout
    from ddmi_core.grids.raster import GridArtefact as GridArtefact
    from ddmi_core.grids.raster import Raster as Raster
    from ddmi_core.grids.raster import StoredGrid as StoredGrid
    from ddmi_core.grids.raster import Window as Window
    from ddmi_core.grids.renderer import GridRenderer as GridRenderer
    from ddmi_core.grids.sampler import GridSampler as GridSampler
    from ddmi_core.grids.signals import GridSet as GridSet
    from ddmi_core.grids.signals import GridSignal as GridSignal
    from ddmi_core.grids.signals import mirroring as mirroring
    from ddmi_core.parts.builders import grid_encoder as grid_encoder
    from ddmi_core.parts.builders import grid_features_by as grid_features_by
    from ddmi_core.parts.builders import grid_field_features as grid_field_features
    from ddmi_core.parts.builders import grid_ground_truth as grid_ground_truth
    from ddmi_core.parts.builders import grid_renderer as grid_renderer
    from ddmi_core.parts.builders import grid_report_views as grid_report_views
    from ddmi_core.parts.builders import grid_sampler as grid_sampler
    from ddmi_core.parts.builders import grid_signal_features as grid_signal_features
    from ddmi_core.parts.builders import native_grid as native_grid
    from ddmi_core.parts.builders import plane_decoder as plane_decoder
    from ddmi_core.parts.builders import psnr_db as psnr_db
    from ddmi_core.parts.distance import frechet as frechet
    from ddmi_core.parts.distance import frechet_figures as frechet_figures
    from ddmi_core.parts.features import Features as Features
    from ddmi_core.parts.features import chosen_features as chosen_features
    from ddmi_core.parts.media import write_animated_gif as write_animated_gif
    from ddmi_core.parts.media import write_h264 as write_h264
    from ddmi_core.parts.panels import GridPanel as GridPanel
    from ddmi_core.parts.panels import MeshPanel as MeshPanel
    from ddmi_core.parts.panels import PicturePanel as PicturePanel
    from ddmi_core.parts.panels import ready_panel as ready_panel
    from ddmi_core.parts.perceptual import lpips_network as lpips_network
    from ddmi_core.parts.prompt_adherence import measurable_captions as measurable_captions
    from ddmi_core.parts.prompt_adherence import prompt_adherence_figures as prompt_adherence_figures
    from ddmi_core.parts.set_metrics import coverage as coverage
    from ddmi_core.parts.set_metrics import minimum_matching_distance as minimum_matching_distance
    from ddmi_core.parts.set_metrics import one_nearest_neighbour_accuracy as one_nearest_neighbour_accuracy
    from ddmi_core.parts.similarity import ssim as ssim
    from ddmi_core.parts.similarity import structural_similarity as structural_similarity
    from ddmi_core.sources.array_cache import ArrayCache as ArrayCache
    from ddmi_core.sources.array_cache import source_digest as source_digest
    from ddmi_core.sources.captions import captions_beside as captions_beside
    from ddmi_core.sources.captions import tell_sides as tell_sides
    from ddmi_core.sources.decoding import Decoding as Decoding
    from ddmi_core.sources.decoding import damaged as damaged
    from ddmi_core.sources.decoding import decode_files as decode_files
    from ddmi_core.sources.files import Entry as Entry
    from ddmi_core.sources.files import find_files as find_files
    from ddmi_core.sources.folders import classes_of as classes_of
    from ddmi_core.sources.folders import default_place as default_place
    from ddmi_core.sources.folders import report_unusable as report_unusable
    from ddmi_core.sources.splits import between as between
    from ddmi_core.sources.splits import chance as chance
    from ddmi_core.sources.splits import choose as choose
    from ddmi_core.sources.splits import evenly as evenly
    from ddmi_core.sources.splits import held_out as held_out
    from ddmi_core.sources.splits import pick as pick
    from ddmi_core.sources.splits import stable_share as stable_share

__getattr__, __dir__, __all__ = lazy_exports(__name__)

"""Loading of trained models: finished runs, and the weights that ship with plugins."""

from __future__ import annotations

import warnings
from itertools import islice
from pathlib import Path

import torch

from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latents import Normalisation
from ddmi_core.errors import DdmiWarning, RequestError
from ddmi_core.model import latent_cache
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.model.memory import check_loads
from ddmi_core.model.model import Model
from ddmi_core.model.provenance import NETWORK, check_origin, load_stage
from ddmi_core.model.run_folder import RunFolder, check_finished, pretrained, read_config
from ddmi_core.model.run_plugin import domain_of
from ddmi_core.model.run_results import edited_stages
from ddmi_core.out_of_memory import GENERAL, lowering
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.registry.single_file import is_file
from ddmi_core.settings.config import RunConfig
from ddmi_core.training import checkpoint
from ddmi_core.training.distributed import default_device


@lowering("the loading of the model", GENERAL)
def load(run: str | Path | None = None, *, plugin: str | None = None, device: str | None = None) -> Model:
    """Load a finished run, or the weights that ship with a plugin.

    Args:
        run: a run folder.
        plugin: name of a plugin with shipped weights. With a run: the file of its domain, `./mine.py`, for a run that
            was made from a file (see `ddmi_core.model.run_plugin.domain_of`).
        device: device of the model; by default a GPU if there is one.

    Raises:
        RequestError: unless exactly one of both, or a run with a file, is given; or if the plugin ships no weights.
        CheckpointError: if the folder holds no finished run.
        PluginError: if the plugin cannot be used.
        OutOfMemoryError: if the memory does not suffice.
    """
    file = plugin is not None and is_file(plugin)
    if (run is None) == (plugin is None or file):
        raise RequestError("give either a run folder or plugin=NAME; or a run folder and plugin='./FILE.py'")
    if run is not None:
        folder = RunFolder(Path(run))
        domain = domain_of(folder, plugin or "")
    else:
        domain = domain_named(str(plugin))
        folder = pretrained(domain)
    config = read_config(folder, domain)
    check_finished(folder)
    for stage, other in islice(edited_stages(folder), 1):
        warnings.warn(f"{stage} was made with other settings: {other}", DdmiWarning, stacklevel=2)
    place = torch.device(device) if device else default_device()
    check_loads((folder.autoencoder, folder.denoiser), place)
    parts = build_parts(domain, config.domain)
    autoencoder = build_autoencoder(parts, config)
    weights = load_stage(domain, folder.autoencoder, autoencoder).digest("weights")
    return assemble(parts, config, autoencoder, weights, folder.denoiser, place)


@lowering("the loading of the model", GENERAL)
def assemble(
    parts: AnyParts, config: RunConfig, autoencoder: D2CVAE, weights: str, denoiser: Path, device: torch.device
) -> Model:
    """Assemble the model from both stages.

    Args:
        parts: the domain, for the settings of the run.
        config: of the run.
        autoencoder: trained autoencoder.
        weights: digest of its stored weights.
        denoiser: folder of the trained denoiser.
        device: of the model.

    Raises:
        CheckpointError: if the denoiser is damaged, or was trained on latents of another autoencoder.
        OutOfMemoryError: if the memory does not suffice.
    """
    stored = checkpoint.load(denoiser / checkpoint.FINAL)
    check_origin(stored, weights)
    facts = latent_cache.described(stored)
    kept = stored.tensors("condition") if stored.has("condition") else {"vectors": torch.zeros(0, 0)}
    vectors = latent_cache.stored_vectors(kept)
    lengths = latent_cache.lengths_of(vectors)
    diffusion = build_diffusion(parts.domain, config, facts.shape, len(facts.classes), *lengths)
    load_stage(parts.domain, denoiser, diffusion)
    weak = None
    if stored.has(checkpoint.SNAPSHOT):
        weak = build_diffusion(parts.domain, config, facts.shape, len(facts.classes), *lengths)
        checkpoint.load_into(weak, stored.tensors(checkpoint.SNAPSHOT), stored.folder)
        weak = weak.to(device).eval().requires_grad_(False)
    statistics = stored.tensors("normalisation")
    return Model(
        parts=parts,
        config=config,
        autoencoder=autoencoder.to(device).eval().requires_grad_(False),
        diffusion=diffusion.to(device).eval().requires_grad_(False),
        normalisation=Normalisation(statistics["mean"].to(device), statistics["std"].to(device)),
        classes=facts.classes,
        counts=facts.counts,
        vectors=vectors,
        device=device,
        network=stored.record.get(NETWORK, ""),
        weak=weak,
    )

"""One process of a run that shares the steps of both stages, for `test_global_batch.py`: logs their losses."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from attrs import evolve

import formula_domains
from ddmi_core.autoencoder.config import AdversarialConfig
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.model.latent_store import Encoding
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.log import Log
from ddmi_core.training.trainer import Stage, train

STEPS, BATCH = 20, 12  # no multiple of the rows that are drawn together
RATE = 1e-4  # larger rates amplify rounding: AdamW moves a weight by the rate, whatever the size of its gradient
SMALL = ["domain.size=6", "autoencoder.encoder.widths=[8,8]"]
CPU = torch.device("cpu")


def main(out: Path, accumulation: int) -> None:
    """Both stages, the second with latents that are drawn at every step, by the initial autoencoder."""
    domain = formula_domains.BLOCK
    config = resolve(domain, overrides=SMALL)
    adversarial = AdversarialConfig(start=5, width=4, adaptive=False, features=0.1, axes=(2, 3))
    autoencoder = evolve(config.autoencoder, adversarial=adversarial, equivariance=0.1, patch=(4, 4, 4))
    config = evolve(config, autoencoder=autoencoder)
    parts = build_parts(domain, config.domain)
    split = load_data(parts, "")
    model = build_autoencoder(parts, config)
    encoded = latent_cache.encode(model, split.train, Encoding(drawn=True), CPU)
    fresh = latent_cache.FreshLatents(build_autoencoder(parts, config), split.train, encoded)
    diffusion = build_diffusion(domain, config, encoded.shape, 2)
    stages = {
        "autoencoder": (config.autoencoder.training, autoencoder_objectives(parts, config, model, split)),
        "denoiser": (
            config.diffusion.training,
            {"denoiser": DenoisingObjective(diffusion, fresh, torch.arange(len(split.train)) % 2)},
        ),
    }
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out / "log.jsonl")
    for name, (training, objectives) in stages.items():
        short = evolve(
            training, steps=STEPS, batch=BATCH, accumulation=accumulation, log=1, checkpoint=STEPS, rate=RATE
        )
        train(Stage(name, out / name, short, 0, log), objectives)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for parts in sys.argv[2:]:
        main(Path(sys.argv[1], parts), int(parts))

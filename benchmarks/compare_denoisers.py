"""Trains several denoisers on the latents of one run for the same time, and compares their samples.

    python benchmarks/compare_denoisers.py runs/image --seconds 120

Each candidate gets the same latents, batch size, seed and wall-clock time on the same machine. The distance of its
samples to the training signals is measured as in the run's report.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from attrs import evolve

from ddmi_core.api import Domain
from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.evaluation import feature_sets, protocol
from ddmi_core.evaluation.distances import frechet
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.model import latent_cache, run_folder
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.model.model import assemble
from ddmi_core.model.provenance import load_stage
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig, Sampling
from ddmi_core.training.log import Log
from ddmi_core.training.trainer import Stage, train

CANDIDATES = {
    "unet 64 (1, 2)": DenoiserConfig("unet", width=64, multipliers=(1, 2), blocks=1),
    "unet 48 (1, 2, 3)": DenoiserConfig("unet", width=48, multipliers=(1, 2, 3), blocks=1),
    "transformer 128 x 6, patch 2": DenoiserConfig("transformer", width=128, blocks=6, heads=4, patch=2),
    "transformer 192 x 6, patch 2": DenoiserConfig("transformer", width=192, blocks=6, heads=6, patch=2),
    "transformer 128 x 6, patch 1": DenoiserConfig("transformer", width=128, blocks=6, heads=4, patch=1),
}
PROBE = 60  # timed steps, from which a candidate's number of steps follows


def main() -> None:
    """Read the command line and print one row for each candidate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder with a finished autoencoder and latents")
    parser.add_argument("--seconds", type=float, default=120.0, help="training time of each candidate")
    parser.add_argument("--only", default="", help="train only candidates whose name contains this text")
    parser.add_argument("--rate", type=float, default=0.0, help="learning rate; by default the run's")
    parser.add_argument("--samples", type=int, default=256)
    arguments = parser.parse_args()
    place = run_folder.RunFolder(arguments.run)
    domain = domain_named(run_folder.read_head(place).plugin)
    config = run_folder.read_config(place, domain)
    parts = build_parts(domain, config.domain)
    split, autoencoder = load_data(parts, config.data), build_autoencoder(parts, config)
    weights = load_stage(domain, place.autoencoder, autoencoder).digest("weights")
    encoded = latent_cache.load(place.latents, split.fingerprint(), weights)
    print("| denoiser | parameters | steps | steps a second | loss | distance |\n| --- | --- | --- | --- | --- | --- |")
    for name, sizes in CANDIDATES.items():
        if arguments.only not in name:
            continue
        training = config.diffusion.training
        rate = arguments.rate or training.rate
        diffusion = evolve(config.diffusion, denoiser=sizes, training=evolve(training, rate=rate))
        candidate = evolve(config, diffusion=diffusion)
        with tempfile.TemporaryDirectory() as temporary:
            fit(domain, candidate, encoded, 2, Path(temporary) / "warm")
            probe, _ = fit(domain, candidate, encoded, PROBE, Path(temporary) / "probe")
            steps = max(PROBE, int(arguments.seconds * PROBE / probe))
            seconds, losses = fit(domain, candidate, encoded, steps, Path(temporary) / "trained")
            trained = Path(temporary) / "trained"
            model = assemble(parts, candidate, autoencoder, weights, trained, torch.device("cpu"))
            flat = model.sample_latents(arguments.samples, Sampling(seed=protocol.SEED))
            features = DomainFeatures(model.parts)
            reference = feature_sets.describe_signals(features, split.train)
            distance = frechet(feature_sets.describe_latents(features, model, flat), reference)
        parameters = sum(p.numel() for p in model.diffusion.parameters()) / 1e6
        tail = losses[-20:]
        print(
            f"| {name} | {parameters:.2f} M | {steps} | {steps / seconds:.1f} | {sum(tail) / len(tail):.4f} "
            f"| {distance:.3f} |",
            flush=True,
        )


def fit(
    domain: Domain, config: RunConfig, encoded: latent_cache.Latents, steps: int, place: Path
) -> tuple[float, list[float]]:
    """Train a denoiser for some steps, and return the seconds and the logged losses."""
    training = evolve(config.diffusion.training, steps=steps, warmup=min(200, steps // 5), checkpoint=10**9, log=10)
    diffusion = build_diffusion(domain, config, encoded.shape, len(encoded.classes))
    objective = DenoisingObjective(diffusion, latent_cache.CachedLatents(encoded), encoded.labels)
    statistics = {"mean": encoded.normalisation.mean, "std": encoded.normalisation.std}
    losses: list[float] = []
    place.mkdir()
    stage = Stage(
        name="denoiser",
        folder=place,
        config=training,
        seed=config.seed,
        log=Log(place / "log.jsonl"),
        record=latent_cache.describe(encoded),
        tensors={"normalisation": statistics},
        progress=lambda report: losses.append(report.loss),
    )
    started = time.perf_counter()
    train(stage, {"denoiser": objective})
    return time.perf_counter() - started, losses


if __name__ == "__main__":
    main()

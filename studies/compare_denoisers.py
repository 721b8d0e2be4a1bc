"""Compares settings of the denoiser on the autoencoder of one run, each trained for the same time or steps.

    python studies/compare_denoisers.py runs/image --seconds 120
    python studies/compare_denoisers.py runs/image --steps 1500 --seeds 0 1 2 \
        --variant "" --variant "diffusion.copies=1" --variant "diffusion.copies=1 diffusion.latents=fresh"

Each variant is a list of settings as for `--set`, separated by spaces; the empty variant has the settings of the run.
Without variants, U-Nets and transformers of several sizes are compared. All variants get the same autoencoder, signals,
order of batches and seeds, and take turns: one seed of all, then the next. The distance of samples is measured as in
the run's report, to the training signals and to the held-out ones. Figures are means over the seeds, with the mean
difference from the first variant and its 95 % interval.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from attrs import evolve
from over_seeds import cell

from ddmi_core.api import Split
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.evaluation import feature_sets, protocol
from ddmi_core.evaluation.distances import frechet
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.model import latent_cache, run_folder
from ddmi_core.model.build import build_autoencoder, build_condition, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.model.latent_store import Encoding
from ddmi_core.model.loading import assemble
from ddmi_core.model.model import Model
from ddmi_core.model.provenance import AUTOENCODER, load_stage
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig, Sampling
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.log import Log
from ddmi_core.training.trainer import Stage, train

DENOISERS = (
    "diffusion.denoiser.width=64 diffusion.denoiser.multipliers=[1,2]",
    "diffusion.denoiser.width=48 diffusion.denoiser.multipliers=[1,2,3]",
    *(
        f"diffusion.denoiser.kind=transformer diffusion.denoiser.width={width} diffusion.denoiser.blocks=6 "
        f"diffusion.denoiser.heads={width // 32} diffusion.denoiser.patch={patch}"
        for width, patch in ((128, 2), (192, 2), (128, 1))
    ),
)
PROBE = 60  # timed steps, from which the number of steps in a time follows
CPU = torch.device("cpu")


class Trial:
    """Trainings of the denoiser on the autoencoder of a run.

    Args:
        run: folder of a run with a finished autoencoder.
    """

    def __init__(self, run: Path) -> None:
        self.place = run_folder.RunFolder(run)
        self.domain = domain_named(run_folder.read_head(self.place).plugin)
        config = self.config("", 0)
        self.parts: AnyParts = build_parts(self.domain, config.domain)
        self.split: Split = load_data(self.parts, config.data)
        self.autoencoder: D2CVAE = build_autoencoder(self.parts, config)
        self.weights = load_stage(self.domain, self.place.autoencoder, self.autoencoder).digest("weights")
        self.autoencoder.eval()

    def config(self, variant: str, seed: int) -> RunConfig:
        """The settings of the run with those of a variant."""
        return resolve(self.domain, file=self.place.toml, overrides=variant.split(), seed=seed)

    def fit(self, config: RunConfig, steps: int) -> tuple[float, Model]:
        """Train a denoiser for some steps, and return the seconds and the model."""
        diffusion, signals = config.diffusion, self.split.train
        condition = build_condition(self.parts, config)
        vectors = None if condition is None else latent_cache.vectors_of(condition, signals)
        fresh = diffusion.latents == "fresh"
        how = Encoding(diffusion.copies, config.seed, fresh, diffusion.stored)
        encoded = latent_cache.encode(self.autoencoder, signals, how, CPU, vectors)
        lengths = latent_cache.lengths_of(encoded.vectors)
        model: LatentDiffusion = build_diffusion(self.domain, config, encoded.shape, len(encoded.classes), *lengths)
        cached = latent_cache.CachedLatents(encoded)
        source = latent_cache.FreshLatents(self.autoencoder, signals, encoded) if fresh else cached
        objective = DenoisingObjective(model, source, encoded.vectors if any(lengths) else encoded.labels)
        tensors = {"normalisation": {"mean": encoded.normalisation.mean, "std": encoded.normalisation.std}}
        if any(lengths):
            tensors["condition"] = latent_cache.group_of(latent_cache.kept_vectors(encoded))
        training = evolve(diffusion.training, steps=steps, warmup=min(200, steps // 5), checkpoint=10**9)
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            stage = Stage(
                name="denoiser",
                folder=place / "denoiser",
                config=training,
                seed=config.seed,
                log=Log(place / "log.jsonl"),
                record={**latent_cache.describe(encoded), AUTOENCODER: self.weights},
                tensors=tensors,
            )
            started = time.perf_counter()
            train(stage, {"denoiser": objective})
            seconds = time.perf_counter() - started
            return seconds, assemble(self.parts, config, self.autoencoder, self.weights, stage.folder, CPU)

    def distances(self, model: Model, samples: int) -> tuple[float, float]:
        """Fréchet distances of samples to the training signals and to the held-out ones."""
        features = DomainFeatures(self.parts)
        flat = model.sample_latents(samples, Sampling(seed=protocol.SEED))
        drawn = feature_sets.describe_latents(features, model, flat)
        train, held = (
            frechet(drawn, feature_sets.describe_signals(features, signals))
            for signals in (self.split.train, self.split.held_out)
        )
        return train, held


def main() -> None:
    """Read the command line and print a row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder with a finished autoencoder")
    parser.add_argument("--seconds", type=float, default=120.0, help="training time of each variant")
    parser.add_argument("--steps", type=int, default=0, help="steps of each variant, instead of a time")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variant", action="append", default=[], help="settings, separated by spaces")
    parser.add_argument("--samples", type=int, default=256)
    arguments = parser.parse_args()
    trial, variants = Trial(arguments.run), arguments.variant or list(DENOISERS)
    steps: dict[str, int] = dict.fromkeys(variants, arguments.steps)
    rows: dict[str, list[tuple[float, float, float]]] = {variant: [] for variant in variants}
    parameters: dict[str, float] = {}
    for seed in arguments.seeds:
        for variant in variants:
            config = trial.config(variant, seed)
            if not steps[variant]:
                trial.fit(config, 2)
                probe, _ = trial.fit(config, PROBE)
                steps[variant] = max(PROBE, int(arguments.seconds * PROBE / probe))
            seconds, model = trial.fit(config, steps[variant])
            parameters[variant] = sum(p.numel() for p in model.diffusion.parameters()) / 1e6
            rows[variant].append((seconds, *trial.distances(model, arguments.samples)))
            print(f"seed {seed}, {variant or 'the run'}: {rows[variant][-1]}", flush=True)
    print("\n| variant | parameters | steps | seconds | distance to training | to held-out |")
    print("| --- | --- | --- | --- | --- | --- |")
    first = list(zip(*rows[variants[0]], strict=True))
    for variant in variants:
        own = first if variant == variants[0] else list(zip(*rows[variant], strict=True))
        figures = (cell(values, other) for values, other in zip(own[1:], first[1:], strict=True))
        seconds = sum(own[0]) / len(own[0])
        name = variant or "the run"
        print(f"| {name} | {parameters[variant]:.2f} M | {steps[variant]} | {seconds:.0f} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()

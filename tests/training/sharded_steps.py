"""One process of several that train the reduced denoiser of a preset `paper`, for `test_sharding.py`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from attrs import evolve

from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.errors import Interrupted, TrainingError
from ddmi_core.model.build import build_diffusion
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training import distributed, sharding
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Losses, StepContext
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import Report, Stage, train

STEPS = 8
REDUCED = [
    "diffusion.denoiser.width=16",
    "diffusion.denoiser.multipliers=[1,2]",
    "diffusion.denoiser.blocks=1",
    "diffusion.denoiser.attention=[2]",
    "diffusion.denoiser.head_channels=8",
]


class Spoilt(DenoisingObjective):
    """Its loss is not finite at a step, in one process."""

    spoilt = -1

    def forward(self, context: StepContext) -> Losses:
        losses = super().forward(context)
        return Losses(losses.total * float("nan")) if context.step == self.spoilt else losses


def model_and_settings() -> tuple[LatentDiffusion, TrainingConfig]:
    """The reduced denoiser, and the settings of its training, with a gradient that is clipped."""
    domain = domain_named("image")
    config = resolve(domain, "paper", overrides=REDUCED)
    shape = LatentShape(3, [(8, 8)] * len(domain.layout.planes))
    short = {"steps": STEPS, "batch": 8, "accumulation": 2, "warmup": 2, "log": 1, "checkpoint": 4, "clip": 0.05}
    training = evolve(config.diffusion.training, precision="fp32", compile=False, rate=1e-4, ema=0.9, **short)
    return build_diffusion(domain, config, shape, 0), training


def stage(out: Path, training: TrainingConfig, **changes) -> Stage:
    return Stage("denoiser", out / "stage", training, 3, Log(out / "log.jsonl"), **changes)


def objective() -> Spoilt:
    """The denoiser and fixed latents."""
    model, _ = model_and_settings()
    latents = torch.randn(20, model.shape.length, generator=torch.Generator().manual_seed(0))
    return Spoilt(model, latents, torch.zeros(20, dtype=torch.long))


def main(out: Path) -> None:
    rank = 0 if distributed.is_main() else 1
    _, replicated = model_and_settings()
    divided = evolve(replicated, shard=True)
    recomputed = evolve(divided, gradient_checkpointing=True)
    told: dict[str, object] = {}
    plain = {"replicated": replicated, "divided": divided, "recomputed": recomputed}
    muon = {f"{name}-muon": evolve(plain[name], optimizer="muon") for name in ("replicated", "divided")}
    for name, training in {**plain, **muon}.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        trained = objective()
        train(stage(out / name, training), {"denoiser": trained})
        weights = list(trained.trained.parameters())
        told[name] = [sum(sharding.local(w).numel() for w in weights), sum(w.numel() for w in weights)]

    stop = StopRequest()
    (out / "stopped").mkdir(exist_ok=True)

    def ask(report: Report) -> None:
        stop.signal_number = 15 * (report.step == 4)

    try:
        train(stage(out / "stopped", divided, stop=stop, progress=ask), {"denoiser": objective()})
    except Interrupted as error:
        told["stopped"] = str(error)
    distributed.on_main(lambda: copy(out / "stopped", out / "alone"))
    train(stage(out / "stopped", divided), {"denoiser": objective()})

    (out / "spoilt").mkdir(exist_ok=True)
    spoilt = objective()
    spoilt.spoilt = 5 if rank else -1
    try:
        train(stage(out / "spoilt", divided), {"denoiser": spoilt})
    except TrainingError as error:
        told["spoilt"] = str(error)
    (out / f"told-{rank}.json").write_text(json.dumps(told))


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))

"""One process of a data-parallel run, for `test_distributed.py`: trains, runs a domain, and reports what it saw."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import evolve
from rich.console import Console
from step_operators import count_in_steps
from torch import nn

import formula_domains
from ddmi_core.api.signals import SignalSet
from ddmi_core.errors import DdmiError, Interrupted, TrainingError
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.model import latent_cache
from ddmi_core.model.latent_store import Encoding
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve
from ddmi_core.training import distributed
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Losses, Objective, StepContext
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import Report, Stage, train

FEW = [f"{stage}.training.steps=6" for stage in ("autoencoder", "diffusion")]


class Line(Objective):
    """Fits a line, remembers its indices, and spoils its loss at a step, if it is told one."""

    def __init__(self, spoilt: int = -1) -> None:
        super().__init__()
        self.trained, self.size, self.spoilt = nn.Linear(1, 1), 12, spoilt
        for weight in self.trained.parameters():
            nn.init.zeros_(weight)
        self.indices: list[list[int]] = []

    def forward(self, context: StepContext) -> Losses:
        self.indices.append(list(context.indices))
        inputs = torch.tensor(context.indices)[:, None] / 12
        loss = (self.trained(inputs) - inputs.square()).square().mean()
        return Losses(loss * float("nan") if context.step == self.spoilt else loss)


class Counted(SignalSet):
    """Signal i is the number i; the second half of the latents are of numbers to which noise is added."""

    names, classes, labels = [str(i) for i in range(2500)], (), torch.zeros(2500, dtype=torch.long)

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> torch.Tensor:
        values = torch.tensor(list(indices), dtype=torch.float32)
        return values if generator is None else values + torch.rand(len(values), generator=generator)

    def fingerprint(self) -> str:
        return "counted"


class Halves(nn.Module):
    """Encodes a number as its half."""

    def encode(self, values: torch.Tensor) -> Posterior:
        plane = values.view(-1, 1, 1, 1) / 2
        return Posterior(Planes([plane]), Planes([torch.zeros_like(plane)]))


def main(out: Path, rank: int) -> None:
    config = TrainingConfig(steps=6, batch=6, rate=1e-2, warmup=1, checkpoint=2, log=2)
    job = Stage("line", out / "line", config, seed=5, log=Log(out / "line.jsonl"))
    told: dict[str, object] = {"rank": rank}

    objective = Line()
    waits = count_in_steps(objective, 2, 4)
    train(evolve(job, config=evolve(config, log=5, checkpoint=5)), {"line": objective})
    told["waits"] = dict(waits.counts)
    told["indices"] = objective.indices
    told["weights"] = [weight.tolist() for weight in objective.trained.parameters()]

    for name, accumulation in (("whole", 1), ("split", 4)):
        objective = Line()
        settings = evolve(config, batch=8, accumulation=accumulation)
        train(evolve(job, folder=out / name, config=settings), {"line": objective})
        told[name] = [weight.tolist() for weight in objective.trained.parameters()]
        told[f"{name} indices"] = objective.indices

    # Only the second process is asked to stop.
    stop = StopRequest()

    def asked(report: Report) -> None:
        stop.signal_number = 15 * rank

    try:
        train(evolve(job, folder=out / "stopped", stop=stop, progress=asked), {"line": Line()})
    except Interrupted as error:
        told["stopped"] = [str(error), error.exit_status]
    objective = Line()
    train(evolve(job, folder=out / "stopped"), {"line": objective})
    told["resumed"] = [weight.tolist() for weight in objective.trained.parameters()]

    # Only the second process meets a loss that is not finite.
    try:
        train(evolve(job, folder=out / "spoilt"), {"line": Line(spoilt=4 if rank else -1)})
    except TrainingError as error:
        told["spoilt"] = str(error)

    def fail() -> None:
        raise DdmiError("no space left")

    try:
        distributed.on_main(fail)
    except DdmiError as error:
        told["failed"] = str(error)

    latent_cache.store(out / "latents", Halves(), Counted(), Encoding(copies=2), torch.device("cpu"), "data", "weights")
    told["latents"] = latent_cache.load(out / "latents", "data", "weights").flat[[0, 2500, 4999]].tolist()

    with (out / f"screen-{rank}.txt").open("w") as screen:
        wave = formula_domains.WAVE
        console = Console(file=screen, width=1000)
        often = resolve(wave, overrides=[*FEW, "previews=1e-6"])
        pipeline.execute(often, wave, out / "run", resume=False, console=console)
    (out / f"told-{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    rank = 0 if distributed.is_main() else 1
    main(Path(sys.argv[1]), rank)

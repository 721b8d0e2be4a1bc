"""Settings of one training stage; both stages use the same class."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen, validators

from ddmi_core.bounds import MOST_BATCH, MOST_STEPS, above, within
from ddmi_core.errors import ConfigError
from ddmi_core.steps import acts_on

MOST_RATE = 1e6


@frozen
class TrainingConfig:
    """Training of one stage.

    Args:
        steps: optimiser steps. With 0, the autoencoder of finished weights (`--from`) stays as it is.
        batch: signals of one optimiser step, over all processes and parts (the global batch). Nothing else follows it:
            if you change it, multiply `rate` by the square root of the ratio, the rule for Adam (arXiv 2205.10287),
            and divide `steps` by the ratio for the same number of epochs.
        accumulation: parts of the batch, computed one after the other where memory does not hold the whole; it must
            divide `batch`. Several processes share the parts, and split them further where they are more.
        optimizer: `adamw`, or `muon`: steps along orthogonalised momenta for the weights of linear layers and
            convolutions, and AdamW for the others. It needs fewer steps, and each takes longer: see `Muon` and
            "The optimiser" in the decisions. Both take the same rates.
        rate: peak learning rate, for this batch.
        warmup: steps of linear warm-up.
        schedule: what follows: `cosine`, a decay to 1 % of the peak, or `constant`.
        beta: decay rate of AdamW's mean of squared gradients; that of its mean of gradients is 0.9.
        weight_decay: decoupled weight decay.
        clip: maximum norm of the gradient.
        ema: final decay of the exponential moving average of the weights, after a ramp.
        snapshot: share of the steps after which the average of the denoiser is kept a second time, as the weak model of
            autoguidance (`sampling.autoguidance`); 0 keeps none. It takes as much room as the final weights.
        checkpoint: steps between checkpoints.
        log: steps between records in `log.jsonl`.
        precision: `fp32`, `bf16` or `fp16`; the last two by autocast. `auto` is `bf16` where the processor has it and a
            measurement of about two seconds at the start finds it at least 1.1 times as fast, else `fp32`; the run says
            what it chose, keeps it in its checkpoints, and stays with it when it is resumed.
        gradient_checkpointing: whether to keep the inputs of blocks alone, and compute their activations again in the
            backward pass (arXiv 1604.06174): less memory for more operations, and the same gradients. `ddmi doctor
            --plugin NAME` says how much of both.
        compile: whether to compile the blocks of the networks with `torch.compile`, which takes minutes at the start.
            Blocks that cannot be compiled, for want of a compiler for example, run as they are, with a warning.
        shard: whether several processes divide the weights, gradients, moments and average of the denoiser (FSDP2,
            arXiv 2304.11277), of which each holds a copy otherwise: for models that do not fit. It is slower, has no
            effect in one process, and does not go with `compile` or the precisions `auto` and `fp16`.
        workers: processes that read batches ahead of the steps, for each process that trains (Linux); 0 reads in the
            step, and -1 chooses by timing some batches: none for data in memory. The result does not depend on it.
    """

    steps: int = field(default=2000, validator=within(0, MOST_STEPS))
    batch: int = field(default=16, validator=within(1, MOST_BATCH))
    accumulation: int = field(default=1, validator=within(1, MOST_BATCH))
    optimizer: str = field(default="adamw", validator=validators.in_(("adamw", "muon")))
    rate: float = field(default=1e-3, validator=above(0, MOST_RATE))
    warmup: int = field(default=100, validator=within(0, MOST_STEPS))
    schedule: str = field(default="cosine", validator=validators.in_(("cosine", "constant")))
    beta: float = field(default=0.99, validator=[validators.ge(0), validators.lt(1)])
    weight_decay: float = field(default=0.0, validator=within(0, 1e3))
    clip: float = field(default=1.0, validator=above(0, 1e9))
    ema: float = field(default=0.999, validator=[validators.ge(0), validators.lt(1)])
    snapshot: float = field(default=0.0, validator=[validators.ge(0), validators.lt(1)])
    checkpoint: int = field(default=500, validator=within(1, MOST_STEPS), metadata=acts_on())
    log: int = field(default=20, validator=within(1, MOST_STEPS), metadata=acts_on())
    precision: str = field(default="fp32", validator=validators.in_(("fp32", "bf16", "fp16", "auto")))
    gradient_checkpointing: bool = field(default=False, metadata=acts_on())
    compile: bool = field(default=False, metadata=acts_on())
    shard: bool = field(default=False, metadata=acts_on())
    workers: int = field(default=-1, validator=within(-1, 1024), metadata=acts_on())

    def __attrs_post_init__(self) -> None:
        if self.batch % self.accumulation:
            raise ValueError(
                f"accumulation = {self.accumulation} does not divide batch = {self.batch}, the signals of a step. Fix: "
                f"set accumulation to {_either(_divisors(self.batch))}"
            )

        for name, value in (("compile", self.compile), ("precision", self.precision)):
            if self.shard and value in (True, "auto", "fp16"):
                raise ValueError(
                    f"shard = true does not go with {name} = {str(value).lower()}. Fix: set {name} to "
                    f"{'false' if value is True else 'bf16 or fp32'}, or shard to false"
                )

    def parts(self, processes: int, key: str = "training") -> int:
        """Parts of a step that each process computes, of equally many signals, at most `batch / accumulation`.

        Args:
            processes: that share the step.
            key: dotted name of these settings, for errors.

        Raises:
            ConfigError: if the batch cannot be divided among the processes.
        """
        if self.batch % processes:
            low = self.batch // processes * processes
            raise ConfigError(
                f"{key}.batch = {self.batch} signals of a step cannot be divided equally among {processes} processes. "
                f"Fix: start {_either(_divisors(self.batch))} processes, or set {key}.batch to "
                f"{_either([n for n in (low, low + processes) if n])}"
            )
        own = self.batch // processes
        return next(n for n in _divisors(own) if n * processes >= self.accumulation)


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def _either(numbers: Sequence[int]) -> str:
    """Numbers as `1, 2 or 4`."""
    *others, last = map(str, numbers)
    return f"{', '.join(others)} or {last}" if others else last

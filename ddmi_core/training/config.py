"""Settings of one training stage; both stages use the same class."""

from __future__ import annotations

from attrs import field, frozen, validators


@frozen
class TrainingConfig:
    """Training of one stage.

    Args:
        steps: optimiser steps.
        batch: signals per process that are in memory at once.
        accumulation: batches whose gradients are averaged for one optimiser step. A step sees
            `batch * accumulation * processes` signals and takes about `accumulation` times as long.
        rate: peak learning rate of AdamW.
        warmup: steps of linear warm-up.
        schedule: what follows: `cosine`, a decay to 1 % of the peak, or `constant`.
        beta: decay rate of AdamW's mean of squared gradients; that of its mean of gradients is 0.9.
        weight_decay: decoupled weight decay.
        clip: maximum norm of the gradient.
        ema: final decay of the exponential moving average of the weights, after a ramp.
        checkpoint: steps between checkpoints.
        log: steps between records in `log.jsonl`.
        precision: `fp32`, `bf16` or `fp16`; the last two by autocast.
        compile: whether to compile the model with `torch.compile`.
    """

    steps: int = field(default=2000, validator=validators.ge(1))
    batch: int = field(default=16, validator=validators.ge(1))
    accumulation: int = field(default=1, validator=validators.ge(1))
    rate: float = field(default=1e-3, validator=validators.gt(0))
    warmup: int = field(default=100, validator=validators.ge(0))
    schedule: str = field(default="cosine", validator=validators.in_(("cosine", "constant")))
    beta: float = field(default=0.99, validator=[validators.ge(0), validators.lt(1)])
    weight_decay: float = field(default=0.0, validator=validators.ge(0))
    clip: float = field(default=1.0, validator=validators.gt(0))
    ema: float = field(default=0.999, validator=[validators.ge(0), validators.lt(1)])
    checkpoint: int = field(default=500, validator=validators.ge(1))
    log: int = field(default=20, validator=validators.ge(1))
    precision: str = field(default="fp32", validator=validators.in_(("fp32", "bf16", "fp16")))
    compile: bool = False

"""A callback that follows the size of the weights."""

from __future__ import annotations

import torch

from ddmi_core.api import Moment


def write_norm(moment: Moment) -> None:
    """Append `stage step norm`, the Euclidean norm of all weights, to `weight-norm.txt` in the run folder."""
    squares = [weight.detach().square().sum() for weight in moment.model.parameters()]
    norm = float(torch.stack(squares).sum().sqrt())
    with (moment.run / "weight-norm.txt").open("a", encoding="utf-8") as stream:
        stream.write(f"{moment.stage} {moment.step} {norm:.6g}\n")

"""What distances between sets are computed on: ready features of a domain, or a network from a TorchScript file."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import DataError

MOST = 256  # pictures that a network sees at once
SETTING = "domain.features"


@frozen(eq=False)
class Features:
    """A function of signals' values, and what a figure must say of it.

    Args:
        name: short; it becomes part of the figure's name.
        preprocessing: what is done to values before, in words.
        compute: function `(B, V, *grid) -> (B, F)` of values in [-1, 1].
    """

    name: str
    preprocessing: str
    compute: Callable[[Tensor], Tensor]


def chosen_features(
    choice: str, ready: Features, prepare: Callable[[Tensor], Tensor], preprocessing: str, most: int = MOST
) -> Features:
    """The features that the setting `domain.features` names: ready ones, or those of a network.

    A network takes prepared values, and gives `(B, F)`.

    Args:
        choice: the name of the ready features, or the path of a TorchScript file.
        ready: features that need no file.
        prepare: makes of values `(B, V, *grid)` what a network takes.
        preprocessing: the same in words.
        most: pictures, that is signals times the lengths of all but their last two axes, that a network sees at once;
            one signal where it has more.

    Raises:
        DataError: if the file is missing or is no TorchScript.
    """
    if choice == ready.name:
        return ready
    path = Path(choice)
    if not path.is_file():
        raise DataError(f"{choice}: no such file; {SETTING} takes {ready.name!r} or the path of a TorchScript file")
    try:
        network: Any = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{choice}: not a TorchScript file: {str(error).splitlines()[0]}") from error
    network.eval()

    @torch.no_grad()
    def compute(values: Tensor) -> Tensor:
        parts = torch.split(values, max(1, most // prod(values.shape[2:-2])))
        return torch.cat([_seen_by(network, prepare(part), choice) for part in parts])

    return Features(path.stem, preprocessing, compute)


def _seen_by(network: Any, values: Tensor, name: str) -> Tensor:
    try:
        found = network(values)
    except RuntimeError as error:
        # TorchScript puts pages of a traceback before what is wrong.
        reason = str(error).strip().splitlines()[-1]
        shape = " x ".join(map(str, values.shape[1:]))
        raise DataError(f"{name}: the network cannot take signals of {shape}: {reason}") from error
    if not isinstance(found, Tensor) or found.shape[:1] != values.shape[:1]:
        raise DataError(f"{name}: the network must give features (B, F)")
    return found.flatten(1).float()

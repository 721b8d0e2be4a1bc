"""Feature extractors for distances between sets: a domain's default features, or a TorchScript network."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import DataError

MOST = 256  # pictures in one batch of a network
SETTING = "domain.features"


@frozen(eq=False)
class Features:
    """A feature extractor, with the name and preprocessing that figures record.

    Args:
        name: short; it becomes part of the figure's name.
        preprocessing: description of what is applied to the values first.
        compute: function `(B, V, *grid) -> (B, F)` of values in [-1, 1].
    """

    name: str
    preprocessing: str
    compute: Callable[[Tensor], Tensor]


def chosen_features(
    choice: str, ready: Features, prepare: Callable[[Tensor], Tensor], preprocessing: str, most: int = MOST
) -> Features:
    """The features selected by the setting `domain.features`: the default ones, or those of a network.

    A network maps preprocessed values to `(B, F)`.

    Args:
        choice: the name of the default features, or the path of a TorchScript file.
        ready: the default features, which require no file.
        prepare: preprocessing of values `(B, V, *grid)` for a network.
        preprocessing: its description.
        most: pictures in one batch of a network: signals times the lengths of all but their last two axes. A batch
            has at least one signal.

    Raises:
        DataError: if the file is missing or is not TorchScript.
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
        return torch.cat([_applied(network, prepare(part), choice) for part in parts])

    return Features(path.stem, preprocessing, compute)


def _applied(network: Any, values: Tensor, name: str) -> Tensor:
    try:
        found = network(values)
    except RuntimeError as error:
        # TorchScript prints a long traceback before the message.
        reason = str(error).strip().splitlines()[-1]
        shape = " x ".join(map(str, values.shape[1:]))
        raise DataError(f"{name}: the network fails for signals of {shape}: {reason}") from error
    if not isinstance(found, Tensor) or found.shape[:1] != values.shape[:1]:
        raise DataError(f"{name}: the network must return features (B, F)")
    return found.flatten(1).float()

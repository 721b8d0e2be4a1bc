"""Features of signals: computed in parts, shared by processes, and cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.api.signals import SignalSet
from ddmi_core.model.model import Model
from ddmi_core.progress import tracked
from ddmi_core.sources.array_cache import ArrayCache
from ddmi_core.training import distributed

BATCH = 32  # signals or fields described at once
CACHE = ArrayCache("features", room=4 << 30)


def describe_signals(
    network: FeatureNetwork,
    signals: SignalSet,
    indices: Sequence[int] | None = None,
    *,
    together: bool = False,
) -> Tensor:
    """Features of signals, without augmentation: `(len(indices), F)`, from the user's cache if they are known.

    They are known by the content of the data, the record of the network, and the features of the first signals, which
    are computed each time: after a change of the code that computes them the cache is not used.

    Args:
        network: the feature network.
        signals: the set.
        indices: of the signals; all by default.
        together: every process of a data-parallel run calls it and describes its share; all but the main process get
            no rows.
    """
    chosen = list(range(len(signals))) if indices is None else list(indices)
    parts = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]

    def own(numbers: Sequence[int]) -> dict[int, Tensor]:
        found = {}
        for number in tracked(f"{network.name} features of signals", numbers):
            found[number] = network.of_signals(signals.batch(parts[number])).cpu().float()
        return found

    def key() -> list[Any]:
        first = own([0])[0].numpy().tobytes()
        return [signals.fingerprint(), chosen, record_of(network), hashlib.sha256(first).hexdigest()]

    if not together:
        return _known(key(), lambda: joined([own(range(len(parts)))]))
    keys: list[list[Any]] = []  # of the main process alone

    def known() -> bool:
        keys.append(key())
        return CACHE.has(keys[0])

    numbers = range(len(parts))
    if distributed.on_main(known):
        return _known(keys[0], lambda: joined([own(numbers)])) if keys else torch.zeros(0, 0)
    found = distributed.from_all(lambda: own(distributed.share(numbers)))
    return _known(keys[0], lambda: joined(found)) if keys else torch.zeros(0, 0)


@torch.no_grad()
def describe_latents(network: FeatureNetwork, model: Model, flat: Tensor) -> Tensor:
    """Features of the fields of latents `(n, L)`: `(n, F)`."""
    rows = []
    for part in tracked(f"{network.name} features of samples", torch.split(flat, BATCH)):
        fields = model.decode(model.shape.unpack(part))
        rows.append(network.of_fields(fields, model.renderer).cpu().float())
    return torch.cat(rows)


def _known(key: Sequence[Any], make: Callable[[], Tensor]) -> Tensor:
    rows = CACHE.made(key, lambda: make().numpy())
    CACHE.tidy()
    return torch.from_numpy(np.array(rows))


def joined(found: Sequence[Mapping[int, Tensor]]) -> Tensor:
    """Rows of numbered parts, in their order."""
    parts = {number: rows for part in found for number, rows in part.items()}
    return torch.cat([parts[number] for number in sorted(parts)])


def record_of(network: FeatureNetwork) -> Any:
    """Name and record of a network, as JSON values."""
    return json.loads(json.dumps([network.name, dict(network.record)], default=str))

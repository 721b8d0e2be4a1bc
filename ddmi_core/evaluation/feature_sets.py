"""Features of signals and of samples: computed in parts, shared by processes, cached, and resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.api.signals import SignalSet
from ddmi_core.atomic import written_aside
from ddmi_core.evaluation.progress import Tell, silent
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.settings.config import Sampling
from ddmi_core.sources.array_cache import ArrayCache
from ddmi_core.training import distributed
from ddmi_core.training.checkpoint import FINAL

BATCH = 32  # signals or fields described at once
PART = 64  # samples drawn at once, and stored as one part
CACHE = ArrayCache("features", room=4 << 30)


def describe_signals(
    network: FeatureNetwork,
    signals: SignalSet,
    indices: Sequence[int] | None = None,
    tell: Tell = silent,
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
        tell: reports the progress.
        together: every process of a data-parallel run calls it and describes its share; all but the main process get
            no rows.
    """
    chosen = list(range(len(signals))) if indices is None else list(indices)
    parts = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]

    def own(numbers: Sequence[int]) -> dict[int, Tensor]:
        found = {}
        for count, number in enumerate(numbers):
            tell(f"{network.name} features of signals", count * BATCH, len(numbers) * BATCH)
            found[number] = network.of_signals(signals.batch(parts[number])).cpu().float()
        return found

    def key() -> list[Any]:
        first = own([0])[0].numpy().tobytes()
        return [signals.fingerprint(), chosen, _record(network), hashlib.sha256(first).hexdigest()]

    if not together:
        return _known(key(), lambda: _joined([own(range(len(parts)))]))
    keys: list[list[Any]] = []  # of the main process alone

    def known() -> bool:
        keys.append(key())
        return CACHE.has(keys[0])

    numbers = range(len(parts))
    if distributed.on_main(known):
        return _known(keys[0], lambda: _joined([own(numbers)])) if keys else torch.zeros(0, 0)
    found = distributed.from_all(lambda: own(distributed.share(numbers)))
    return _known(keys[0], lambda: _joined(found)) if keys else torch.zeros(0, 0)


@torch.no_grad()
def describe_latents(network: FeatureNetwork, model: Model, flat: Tensor) -> Tensor:
    """Features of the fields of latents `(n, L)`: `(n, F)`."""
    parts = (model.decode(model.shape.unpack(part)) for part in torch.split(flat, BATCH))
    return torch.cat([network.of_fields(fields, model.renderer).cpu().float() for fields in parts])


class _Parts:
    """The features of samples in parts: files of the run folder, so that an interrupted evaluation goes on.

    Args:
        run: the run folder; `None` to keep no parts.
        key: of everything that the features depend on, as JSON values.
    """

    def __init__(self, run: RunFolder | None, key: Sequence[Any]) -> None:
        digest = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:16]
        self.folder = None if run is None else run.evaluation / digest

    def load(self, number: int, networks: int, samples: int) -> list[Tensor] | None:
        """The features of a stored part for each network; `None` if it is not there, or damaged."""
        if self.folder is None:
            return None
        with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile), np.load(self._path(number)) as stored:
            rows = [torch.from_numpy(stored[f"arr_{count}"]) for count in range(networks)]
            if all(len(row) % samples == 0 < len(row) for row in rows):
                return rows
        return None

    def save(self, number: int, rows: Sequence[Tensor]) -> None:
        """Store a part.

        Raises:
            OutputError: if it cannot be written.
        """
        if self.folder is not None:
            with written_aside(self._path(number)) as aside, aside.open("wb") as file:
                np.savez(file, *(row.numpy() for row in rows))

    def _path(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{number:05}.npz"


def describe_samples(
    model: Model, networks: Sequence[FeatureNetwork], n: int, seed: int, run: RunFolder | None, tell: Tell = silent
) -> list[Tensor]:
    """Features `(n, F)` of samples for each network. Besides them, memory holds the fields of one part alone.

    Every process of a data-parallel run calls it and draws its share, because sample i depends on the seed and i
    alone; all but the main process get no rows.

    Args:
        model: the model.
        networks: the feature networks.
        n: number of samples.
        seed: of the samples.
        run: keeps the features of each part until `forget_parts`; `None` to keep none.
        tell: reports the progress.
    """
    own = model.config.sampling
    weights = distributed.on_main(lambda: _weights(run))
    key = [seed, own.sampler, own.steps, own.guidance, PART, weights, *map(_record, networks)]
    kept = _Parts(run if weights else None, key)
    parts = [range(start, min(start + PART, n)) for start in range(0, n, PART)]

    def describe() -> dict[int, list[Tensor]]:
        mine = distributed.share(range(len(parts)))
        done, total = 0, sum(len(parts[number]) for number in mine)
        found: dict[int, list[Tensor]] = {}
        for number in mine:
            tell("samples", done, total)
            rows = kept.load(number, len(networks), len(parts[number]))
            if rows is None:
                flat = model.latents_of(parts[number], Sampling(seed=seed))
                rows = [describe_latents(network, model, flat) for network in networks]
                kept.save(number, rows)
            found[number] = rows
            done += len(parts[number])
        tell("samples", done, total)
        return found

    gathered = distributed.from_all(describe)
    if not distributed.is_main():
        return [torch.zeros(0, 0) for _ in networks]
    return [
        _joined([{number: rows[count] for number, rows in part.items()} for part in gathered])
        for count in range(len(networks))
    ]


def _weights(run: RunFolder | None) -> str:
    """What identifies the weights of a run; empty if there is no run."""
    state = run.denoiser / FINAL / "state.json" if run else None
    return state.read_text(encoding="utf-8") if state and state.is_file() else ""


def forget_parts(run: RunFolder) -> None:
    """Remove the features of samples from a run folder."""
    shutil.rmtree(run.evaluation, ignore_errors=True)


def batches(signals: SignalSet, most: int) -> Iterator[tuple[range, Any]]:
    """Yield batches of the first signals of a set with their indices, without augmentation."""
    count = min(most, len(signals))
    for start in range(0, count, BATCH):
        indices = range(start, min(start + BATCH, count))
        yield indices, signals.batch(indices)


def _known(key: Sequence[Any], make: Callable[[], Tensor]) -> Tensor:
    rows = CACHE.made(key, lambda: make().numpy())
    CACHE.tidy()
    return torch.from_numpy(np.array(rows))


def _joined(found: Sequence[Mapping[int, Tensor]]) -> Tensor:
    """Rows of numbered parts, in their order."""
    parts = {number: rows for part in found for number, rows in part.items()}
    return torch.cat([parts[number] for number in sorted(parts)])


def _record(network: FeatureNetwork) -> Any:
    return json.loads(json.dumps([network.name, dict(network.record)], default=str))

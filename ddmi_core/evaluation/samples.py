"""Samples of an evaluation: drawn once, in parts, by all processes; stored, resumed, and reused by later figures."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.atomic import written_aside
from ddmi_core.diffusion.samplers import Progress
from ddmi_core.evaluation.feature_sets import describe_latents, joined, record_of
from ddmi_core.model import run_results
from ddmi_core.model.model import DEFAULT, LARGEST_BATCH, Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.progress import doing
from ddmi_core.settings.config import Sampling
from ddmi_core.steps import FIGURES
from ddmi_core.training import distributed

PART = LARGEST_BATCH  # samples drawn at once, and stored as one part
_DAMAGED = (OSError, ValueError, KeyError, EOFError, BadZipFile)  # of a stored part, or if there is none


class Samples:
    """The samples of an evaluation: latents, and features of each network, stored in parts.

    Args:
        model: draws them, by the sampler of its run.
        networks: the feature networks.
        seed: of the samples.
        folder: of the stored parts.
    """

    def __init__(self, model: Model, networks: Sequence[FeatureNetwork], seed: int, folder: Path) -> None:
        self.seed = seed
        self._model, self._networks, self._folder = model, networks, folder

    def features(self, n: int) -> list[Tensor]:
        """Features `(n, F)` of the first samples for each network. Memory holds them, and the fields of one part.

        Every process of a data-parallel run calls it and draws its share, because sample i depends on the seed and i
        alone; all but the main process get no rows.
        """
        parts = [range(start, min(start + PART, n)) for start in range(0, n, PART)]

        def describe() -> dict[int, list[Tensor]]:
            mine = distributed.share(range(len(parts)))
            found: dict[int, list[Tensor]] = {}
            with doing("samples", sum(len(parts[number]) for number in mine)) as work:
                for number in mine:
                    found[number] = self._part(number, parts[number])
                    work.advance(len(parts[number]))
            return found

        gathered = distributed.from_all(describe)
        if not distributed.is_main():
            return [torch.zeros(0, 0) for _ in self._networks]
        return [
            joined([{number: rows[count] for number, rows in part.items()} for part in gathered])
            for count in range(len(self._networks))
        ]

    def latents(self, numbers: Sequence[int]) -> dict[int, Tensor]:
        """The latents `(L,)` of those of these samples that are stored, by their number."""
        found: dict[int, Tensor] = {}
        for part in sorted({number // PART for number in numbers}):
            with suppress(*_DAMAGED), np.load(self._path(part)) as stored:
                rows = torch.from_numpy(stored["latents"])
                found |= {part * PART + own: row for own, row in enumerate(rows)}
        return {number: found[number] for number in numbers if number in found}

    def _part(self, number: int, samples: Sequence[int]) -> list[Tensor]:
        """The features of a part: stored ones, or of samples that are drawn and stored.

        Raises:
            OutputError: if they cannot be stored.
        """
        with suppress(*_DAMAGED), np.load(self._path(number)) as stored:
            rows = [torch.from_numpy(stored[f"arr_{count}"]) for count in range(len(self._networks))]
            if all(len(row) % len(samples) == 0 < len(row) for row in rows) and len(stored["latents"]) == len(samples):
                return rows
        flat = self._model.latents_of(samples, Sampling(seed=self.seed))
        rows = [describe_latents(network, self._model, flat) for network in self._networks]
        with written_aside(self._path(number)) as aside, aside.open("wb") as file:
            np.savez(file, *(row.numpy() for row in rows), latents=flat.cpu().numpy())
        return rows

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05}.npz"


@contextmanager
def samples_of(model: Model, networks: Sequence[FeatureNetwork], seed: int, run: RunFolder | None) -> Iterator[Samples]:
    """The samples of an evaluation, whose parts the run folder keeps until `forget_parts`.

    Args:
        model: the model.
        networks: the feature networks.
        seed: of the samples.
        run: the run folder; with `None`, the parts are temporary files.
    """
    made = distributed.on_main(lambda: _origin(model, run))
    key = [seed, PART, made, *map(record_of, networks)]
    if run and made:
        yield Samples(model, networks, seed, run.evaluation / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16])
        return
    with TemporaryDirectory() as place:
        yield Samples(model, networks, seed, Path(place))


def forget_parts(run: RunFolder) -> None:
    """Remove the parts of samples from a run folder."""
    shutil.rmtree(run.evaluation, ignore_errors=True)


class ObservedModel(Model):
    """A model that takes samples which are stored from there, and records how an evaluation draws samples."""

    samples: Samples
    drawn: list[dict[str, Any]]  # seed and options of each batch

    @staticmethod
    def of(model: Model, samples: Samples) -> ObservedModel:
        """The same model, observed."""
        observed = object.__new__(ObservedModel)
        observed.__dict__.update(model.__dict__, samples=samples, drawn=[])
        return observed

    def sampling(self) -> dict[str, Any]:
        """Seed, sampler, steps and guidance of all batches, where they have the same; empty if there are none."""
        first, *others = self.drawn or [{}]
        same = {key: value for key, value in first.items() if all(used.get(key) == value for used in others)}
        # Of several samplers, the steps of one alone mean nothing.
        return same if {*first} <= {*same, "seed"} else {}

    def latents_of(
        self, numbers: Sequence[int], sampling: Sampling = DEFAULT, callback: Callable[[Progress], None] | None = None
    ) -> Tensor:
        """As `Model.latents_of`."""
        if sampling != Sampling(seed=self.samples.seed):
            return super().latents_of(numbers, sampling, callback)
        self._record(sampling)
        found = self.samples.latents(numbers)
        if missing := [number for number in numbers if number not in found]:
            found |= zip(missing, super().latents_of(missing, sampling, callback).cpu(), strict=True)
        return torch.stack([found[number] for number in numbers]).to(self.device)

    def denoised(
        self, noise: Tensor, given: Tensor, numbers: Sequence[int], sampling: Sampling, callback: Any = None
    ) -> Tensor:
        """As `Model.denoised`."""
        self._record(sampling)
        return super().denoised(noise, given, numbers, sampling, callback)

    def _record(self, sampling: Sampling) -> None:
        self.drawn.append(sampling.filled(self.config.sampling))


def _origin(model: Model, run: RunFolder | None) -> dict[str, Any]:
    """What samples of a run are made from; nothing if there is no run."""
    if run is None:
        return {}
    return {**run_results.origin(run, FIGURES), **run_results.acting(run, model.config, FIGURES)}

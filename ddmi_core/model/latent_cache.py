"""Latents of the training signals: encoded once and cached with statistics, or drawn anew at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core import record_files
from ddmi_core.api.conditions import Condition, TokenSequences
from ddmi_core.api.signals import SignalSet
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latent_diffusion import LatentSource
from ddmi_core.diffusion.latents import LatentShape, Normalisation
from ddmi_core.errors import CheckpointError, PluginError
from ddmi_core.model.latent_store import Encoding, Shards, StoredRows, encode_shards, encoded, merged, moments_of
from ddmi_core.model.provenance import check_origin
from ddmi_core.nested import move
from ddmi_core.out_of_memory import lowering
from ddmi_core.steps import AUTOENCODER
from ddmi_core.training import checkpoint, distributed
from ddmi_core.training.checkpoint import FINAL, SETTINGS

KEPT_VECTORS = 1024
_SMALLER = "start a new run with smaller signals (settings of the domain), or smaller autoencoder.encoder.widths"
Vectors = Tensor | TokenSequences  # what a condition gives of signals, or a run keeps of it


@frozen(eq=False)
class Latents:
    """Encoded training signals: first one latent of each of N signals, then of augmented variants of all, and so on."""

    flat: Tensor | StoredRows  # (N * copies, L), in the autoencoder's units
    labels: Tensor  # (N,)
    vectors: Vectors  # (N, K, F), of the condition; F = 0 without one. Or token sequences
    shape: LatentShape
    normalisation: Normalisation
    classes: tuple[str, ...]

    @property
    def copies(self) -> int:
        """Latents of each signal."""
        return len(self.flat) // len(self.labels)

    @property
    def counts(self) -> tuple[int, ...]:
        """Latents of each class."""
        return _counts(self.classes, self.labels, self.copies)


@frozen
class LatentFacts:
    """Facts about the training latents that a model stores."""

    shape: LatentShape
    classes: tuple[str, ...]
    counts: tuple[int, ...]  # latents of each class


def encode(
    model: D2CVAE,
    signals: SignalSet,
    how: Encoding,
    device: torch.device,
    vectors: Vectors | None = None,
) -> Latents:
    """Encode a small set in memory; see `store` for others.

    The latents are the means of the posteriors.

    Args:
        model: the autoencoder.
        signals: the set.
        how: see `Encoding`.
        device: of the model.
        vectors: of the condition, see `vectors_of`; `None` without one.
    """
    every = range(len(signals))
    batches = [batch for copy in range(how.copies) for batch in encoded(model, signals, how, device, copy, every)]
    shape = batches[0][2]
    statistics = Normalisation.of(merged((moments for _, moments, _ in batches), shape), shape)
    given = torch.zeros(len(signals), 1, 0) if vectors is None else vectors
    flat = torch.cat([rows for rows, *_ in batches]).float()
    return Latents(flat, signals.labels, given, shape, statistics, signals.classes)


def store(
    folder: Path,
    model: D2CVAE,
    signals: SignalSet,
    how: Encoding,
    device: torch.device,
    fingerprint: str,
    weights: str,
    vectors: Vectors | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Encode a set to a folder, by all processes; an interrupted encoding goes on at the shard where it stopped.

    Args:
        folder: of the latents, read by `load`.
        model: the autoencoder, on the device.
        signals: the set.
        how: see `Encoding`.
        device: of the model.
        fingerprint: digest of the data.
        weights: digest of the autoencoder's weights.
        vectors: of the condition, see `vectors_of`, for the main process; `None` without one.
        settings: that act on the latents, by dotted key; they are stored.

    Raises:
        TrainingError: if a latent is not finite.
        OutputError: if a file cannot be written.
    """
    origin = {"fingerprint": fingerprint, AUTOENCODER: weights}
    known = {**origin, SETTINGS: record_files.checksum(settings)}
    with lowering("the encoding of the training signals", _SMALLER):
        place, shards, shape = encode_shards(folder, model, signals, how, device, known)

    def complete() -> None:
        statistics = Normalisation.of(moments_of(place, shards, shape), shape)
        given = torch.zeros(len(signals), 1, 0) if vectors is None else vectors
        tensors = {
            "latents": {"labels": signals.labels, **group_of(given)},
            "normalisation": attrs.asdict(statistics, recurse=False),
        }
        facts = _facts(shape, signals.classes, signals.labels, how.copies)
        record = {**facts, "shards": attrs.asdict(shards), **origin, SETTINGS: dict(settings)}
        checkpoint.complete(folder / FINAL, place, tensors, record)

    distributed.on_main(complete)


def load(folder: Path, fingerprint: str, weights: str) -> Latents:
    """Read what `store` has written; every process calls it, and they share the verification of the files.

    Raises:
        CheckpointError: if it is damaged, or was encoded from other data or with other weights.
    """
    stored = checkpoint.load(folder / FINAL, distributed.share)
    if stored.record.get("fingerprint") != fingerprint:
        raise CheckpointError(
            f"the latents in {folder} were encoded from other data; remove the folder and repeat with --resume"
        )
    check_origin(stored, weights)
    facts, statistics = described(stored), Normalisation(**stored.tensors("normalisation"))
    try:
        rows = StoredRows(stored, stored.facts(_Stored).shards, facts.shape.length)
    except (CheckpointError, *checkpoint.DAMAGED) as error:
        raise CheckpointError(
            f"the latents in {folder} are damaged, or of an earlier version; remove the folder and repeat with --resume"
        ) from error
    group = stored.tensors("latents")
    return Latents(rows, group["labels"], stored_vectors(group), facts.shape, statistics, facts.classes)


@frozen
class _Stored:
    """What the record of stored latents has beside `LatentFacts`."""

    shards: Shards


class CachedLatents(LatentSource):
    """Normalised latents of a cache.

    Args:
        latents: the cache.
    """

    def __init__(self, latents: Latents) -> None:
        self.rows, self.normalisation = latents.flat, latents.normalisation

    def __len__(self) -> int:
        """Number of latents."""
        return len(self.rows)

    def read(self, indices: Sequence[int], generator: torch.Generator) -> Tensor:
        """Latents in the autoencoder's units, `(B, L)`."""
        return self.rows[torch.tensor(indices)]

    def latents(self, batch: Tensor, generator: torch.Generator, device: torch.device) -> Tensor:
        """Normalised latents of what was read: `(B, L)`."""
        return self.normalisation.to(device).apply(batch.to(device))


class FreshLatents(LatentSource):
    """Draws normalised latents from the posteriors of augmented signals, with a frozen autoencoder.

    Args:
        model: the autoencoder; moved to the device of the first draw.
        signals: the training signals.
        encoded: their cache, for the statistics.
    """

    def __init__(self, model: D2CVAE, signals: SignalSet, encoded: Latents) -> None:
        self.model, self.signals, self.shape, self.normalisation = model, signals, encoded.shape, encoded.normalisation

    def __len__(self) -> int:
        """Number of signals."""
        return len(self.signals)

    def read(self, indices: Sequence[int], generator: torch.Generator) -> Any:
        """Augmented signals."""
        return self.signals.batch(indices, generator)

    def name_of(self, index: int) -> str:
        """Name of the signal."""
        return self.signals.names[index]

    @torch.no_grad()
    def latents(self, batch: Any, generator: torch.Generator, device: torch.device) -> Tensor:
        """One latent of each signal that was read: `(B, L)`.

        Args:
            batch: signals.
            generator: source of the posterior's noise.
            device: of the result.
        """
        with torch.autocast(device.type, enabled=False):  # as in the cache, whose statistics are used
            planes = self.model.to(device).eval().encode(move(batch, device)).sample(generator)
        return self.normalisation.to(device).apply(self.shape.pack(planes))


def lengths_of(vectors: Vectors) -> tuple[int, int]:
    """Lengths of a vector and of a token; 0 for what a condition does not give."""
    return (vectors.shape[-1], 0) if isinstance(vectors, Tensor) else vectors.lengths


def vectors_of(condition: Condition, signals: SignalSet) -> Vectors:
    """The condition's vectors of a set, `(N, K, F)`, or its sequences.

    Raises:
        PluginError: if they do not match the signals, or are not finite.
    """
    given = condition.of(signals)
    if isinstance(given, TokenSequences):
        return _checked(condition, given, signals)
    found = given.float().cpu()
    vectors = found.unsqueeze(1) if found.ndim == 2 else found
    name, lengths = type(condition).__name__, (condition.length, condition.token_length)
    if vectors.ndim != 3 or len(vectors) != len(signals) or lengths_of(vectors) != lengths:
        wanted = "TokenSequences" if condition.token_length else f"({len(signals)}, {condition.length})"
        raise PluginError(f"{name}.of returns vectors of shape {tuple(found.shape)}; expected {wanted}")
    if not bool(vectors.isfinite().all()):
        bad = int((~vectors.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        raise PluginError(
            f"{type(condition).__name__}.of returns numbers for {signals.names[bad]!r} that are not finite"
        )
    return vectors


def _checked(condition: Condition, given: TokenSequences, signals: SignalSet) -> TokenSequences:
    """Sequences of a set, if they are valid."""
    name, wanted = type(condition).__name__, (condition.length, condition.token_length)
    if len(given) != len(signals) or given.rows.ndim != 2 or not given.rows.shape[1] or given.lengths != wanted:
        raise PluginError(
            f"{name}.of returns sequences of {len(given)} signals with vectors and tokens of lengths {given.lengths}; "
            f"expected {len(signals)} and {wanted}"
        )
    if not bool(given.values.isfinite().all() and given.vectors.isfinite().all()):
        raise PluginError(f"{name}.of returns numbers that are not finite in half precision, of at most 65504")
    return given


def describe(latents: Latents) -> dict[str, object]:
    """`LatentFacts` as JSON values."""
    return _facts(latents.shape, latents.classes, latents.labels, latents.copies)


def _facts(shape: LatentShape, classes: Sequence[str], labels: Tensor, copies: int) -> dict[str, object]:
    return {
        "channels": shape.channels,
        "grids": [list(grid) for grid in shape.grids],
        "classes": list(classes),
        "counts": list(_counts(classes, labels, copies)),
    }


def _counts(classes: Sequence[str], labels: Tensor, copies: int) -> tuple[int, ...]:
    return tuple((torch.bincount(labels, minlength=len(classes)) * copies).tolist()) if classes else ()


def kept_vectors(latents: Latents) -> Vectors:
    """Evenly spaced vectors of the condition, `(M, F)`, or sequences, for samples without a requested condition."""
    given = latents.vectors
    rows = (given if isinstance(given, Tensor) else given.rows).flatten(0, 1)
    chosen = rows[torch.linspace(0, len(rows) - 1, min(KEPT_VECTORS, len(rows))).round().long()]
    return chosen if isinstance(given, Tensor) else given.subset(chosen)


def group_of(vectors: Vectors) -> dict[str, Tensor]:
    """Vectors or sequences as tensors of a checkpoint; see `stored_vectors`."""
    return {"vectors": vectors} if isinstance(vectors, Tensor) else attrs.asdict(vectors, recurse=False)


def stored_vectors(group: Mapping[str, Tensor]) -> Vectors:
    """Vectors or sequences from the tensors of a checkpoint."""
    if "counts" not in group:
        return group["vectors"]
    return TokenSequences(**{name: group[name] for name in ("values", "counts", "vectors", "rows")})


def described(stored: checkpoint.Checkpoint) -> LatentFacts:
    """Facts from a checkpoint's record; classes without stored counts get equal ones.

    Raises:
        CheckpointError: if one is missing, or is no such fact.
    """
    try:
        record = stored.record
        classes = tuple(record["classes"])
        counts = tuple(record.get("counts", [1] * len(classes)))
        shape = LatentShape(record["channels"], record["grids"])
        sizes = (shape.channels, *(side for grid in shape.grids for side in grid))
        if not all(_is_number(size, 1) for size in sizes) or not shape.grids:
            raise ValueError("channels and sides of grids must be integers from 1 to 65536")
        if not isinstance(record["classes"], list) or not all(isinstance(name, str) for name in classes):
            raise ValueError("classes must be a list of names")
        numbers = all(_is_number(count, 0, 2**48) for count in counts) and any(counts) >= bool(counts)
        if len(counts) != len(classes) or not numbers:
            raise ValueError("counts must be a number for each class")
        return LatentFacts(shape, classes, counts)
    except KeyError as error:
        raise CheckpointError(f"checkpoint {stored.folder} does not contain the latent's {error}") from error
    except checkpoint.DAMAGED as error:
        raise CheckpointError(f"checkpoint {stored.folder} has a damaged record of latents: {error}") from error


def _is_number(value: object, least: int, most: int = 65536) -> bool:
    return type(value) is int and least <= value <= most

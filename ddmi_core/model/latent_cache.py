"""Latents of the training signals: encoded once and cached with statistics, or drawn anew at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.conditions import Condition, TokenSequences
from ddmi_core.api.signals import SignalSet, move
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latents import LatentShape, Normalisation
from ddmi_core.errors import CheckpointError, PluginError
from ddmi_core.fields.planes import Planes
from ddmi_core.model.provenance import AUTOENCODER, check_origin
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL
from ddmi_core.training.objective import generator_for

BATCH = 64
KEPT_VECTORS = 1024
Vectors = Tensor | TokenSequences  # what a condition gives of signals, or a run keeps of it


@frozen(eq=False)
class Latents:
    """Encoded training signals."""

    flat: Tensor  # (N * copies, L), in the autoencoder's units
    labels: Tensor  # (N * copies,)
    vectors: Vectors  # (N * copies, K, F), of the condition; F = 0 without one. Or token sequences
    shape: LatentShape
    normalisation: Normalisation
    classes: tuple[str, ...]


@frozen
class LatentFacts:
    """Facts about the training latents that a model stores."""

    shape: LatentShape
    classes: tuple[str, ...]
    counts: tuple[int, ...]  # latents of each class


@torch.no_grad()
def encode(
    model: D2CVAE,
    signals: SignalSet,
    copies: int,
    seed: int,
    device: torch.device,
    vectors: Vectors | None = None,
    *,
    drawn: bool = False,
) -> Latents:
    """Encode a set: first all signals unchanged, then `copies - 1` augmented variants of all.

    The latents are the means of the posteriors.

    Args:
        model: the autoencoder.
        signals: the set.
        copies: latents per signal.
        seed: of the variants.
        device: of the model.
        vectors: of the condition, see `vectors_of`; `None` without one.
        drawn: whether the statistics are those of draws from the posteriors (`FreshLatents`), not of their means.
    """
    model.eval()
    rows, variances = [], []
    for copy in range(copies):
        generator = generator_for(seed, "latents", copy) if copy else None
        for start in range(0, len(signals), BATCH):
            indices = range(start, min(start + BATCH, len(signals)))
            posterior = model.encode(move(signals.batch(indices, generator), device))
            rows.append(posterior.mean.map(Tensor.cpu))
            if drawn:
                variances.append(posterior.log_variance.map(_summed_variance))
    shape = LatentShape.of(rows[0])
    flat = torch.cat([shape.pack(row) for row in rows])
    labels = signals.labels.repeat(copies)
    if vectors is None:
        vectors = torch.zeros(len(signals), 1, 0)
    spread = shape.pack(Planes(sum(planes) for planes in zip(*variances, strict=True))) / len(flat) if drawn else None
    statistics = Normalisation.fit(flat, shape, spread)
    given = vectors[torch.arange(len(signals)).repeat(copies)]
    return Latents(flat, labels, given, shape, statistics, signals.classes)


@frozen(eq=False)
class FreshLatents:
    """Draws normalised latents from the posteriors of augmented signals, with a frozen autoencoder.

    Args:
        model: the autoencoder; moved to the device of the first draw.
        signals: the training signals.
        latents: their cache, for the statistics.
    """

    model: D2CVAE
    signals: SignalSet
    latents: Latents

    def read(self, indices: Sequence[int], generator: torch.Generator) -> Any:
        """Augmented signals."""
        return self.signals.batch(indices, generator)

    @torch.no_grad()
    def __call__(self, signal: Any, generator: torch.Generator, device: torch.device) -> Tensor:
        """Draw one latent of each signal: `(B, L)`.

        Args:
            signal: of `read`.
            generator: source of the posterior's noise.
            device: of the result.
        """
        with torch.autocast(device.type, enabled=False):  # as in the cache, whose statistics are used
            planes = self.model.to(device).eval().encode(move(signal, device)).sample(generator)
        return self.latents.normalisation.to(device).apply(self.latents.shape.pack(planes))


def _summed_variance(log_variance: Tensor) -> Tensor:
    """Sum over a batch: `(B, C, *grid)` to `(1, C, *grid)`, in double precision on the CPU."""
    return log_variance.double().exp().sum(dim=0, keepdim=True).cpu()


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


def save(folder: Path, latents: Latents, fingerprint: str, weights: str) -> None:
    """Write the cache (see `checkpoint.save`), with digests of the data and of the autoencoder's weights."""
    tensors = {
        "latents": {"flat": latents.flat, "labels": latents.labels, **group_of(latents.vectors)},
        "normalisation": {"mean": latents.normalisation.mean, "std": latents.normalisation.std},
    }
    record = {**describe(latents), "fingerprint": fingerprint, AUTOENCODER: weights}
    checkpoint.save(folder / FINAL, tensors, record)


def load(folder: Path, fingerprint: str, weights: str) -> Latents:
    """Read the cache.

    Raises:
        CheckpointError: if it is damaged, or was encoded from other data or with other weights.
    """
    stored = checkpoint.load(folder / FINAL)
    if stored.record.get("fingerprint") != fingerprint:
        raise CheckpointError(
            f"the latents in {folder} were encoded from other data; remove the folder and repeat with --resume"
        )
    check_origin(stored, weights)
    group = stored.tensors("latents")
    facts, statistics = described(stored), Normalisation(**stored.tensors("normalisation"))
    vectors = stored_vectors(group) if "vectors" in group else torch.zeros(len(group["flat"]), 1, 0)
    return Latents(group["flat"], group["labels"], vectors, facts.shape, statistics, facts.classes)


def describe(latents: Latents) -> dict[str, object]:
    """`LatentFacts` as JSON values."""
    counts = torch.bincount(latents.labels, minlength=len(latents.classes)) if latents.classes else torch.zeros(0)
    return {
        "channels": latents.shape.channels,
        "grids": [list(grid) for grid in latents.shape.grids],
        "classes": list(latents.classes),
        "counts": counts.tolist(),
    }


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
        if len(counts) != len(classes) or not all(_is_number(count, 0, 2**48) for count in counts):
            raise ValueError("counts must be a number for each class")
        return LatentFacts(shape, classes, counts)
    except KeyError as error:
        raise CheckpointError(f"checkpoint {stored.folder} does not contain the latent's {error}") from error
    except checkpoint.DAMAGED as error:
        raise CheckpointError(f"checkpoint {stored.folder} has a damaged record of latents: {error}") from error


def _is_number(value: object, least: int, most: int = 65536) -> bool:
    return isinstance(value, int) and least <= value <= most

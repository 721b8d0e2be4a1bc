"""The latent cache: training signals encoded once, with statistics, checked against data and autoencoder."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.conditions import Condition
from ddmi_core.api.signals import SignalSet, move
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latents import LatentShape, Normalisation
from ddmi_core.errors import CheckpointError, PluginError
from ddmi_core.model.provenance import AUTOENCODER, check_origin
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL
from ddmi_core.training.objective import generator_for

BATCH = 64
KEPT_VECTORS = 1024


@frozen(eq=False)
class Latents:
    """Encoded training signals."""

    flat: Tensor  # (N * copies, L), in the autoencoder's units
    labels: Tensor  # (N * copies,)
    vectors: Tensor  # (N * copies, K, F), of the condition; F = 0 without one
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
    vectors: Tensor | None = None,
) -> Latents:
    """Encode a set: first all signals unchanged, then `copies - 1` augmented variants of all.

    Args:
        model: the autoencoder.
        signals: the set.
        copies: latents per signal.
        seed: of the variants.
        device: of the model.
        vectors: the condition's vectors of the set, see `vectors_of`; `None` without a condition.
    """
    model.eval()
    rows = []
    for copy in range(copies):
        generator = generator_for(seed, "latents", copy) if copy else None
        for start in range(0, len(signals), BATCH):
            indices = range(start, min(start + BATCH, len(signals)))
            mean = model.encode(move(signals.batch(indices, generator), device)).mean
            rows.append(mean.map(Tensor.cpu))
    shape = LatentShape.of(rows[0])
    flat = torch.cat([shape.pack(row) for row in rows])
    labels = signals.labels.repeat(copies)
    if vectors is None:
        vectors = torch.zeros(len(signals), 1, 0)
    return Latents(flat, labels, vectors.repeat(copies, 1, 1), shape, Normalisation.fit(flat, shape), signals.classes)


def vectors_of(condition: Condition, signals: SignalSet) -> Tensor:
    """The condition's vectors of a set, `(N, K, F)`.

    Raises:
        PluginError: if they do not match the signals, or are not finite.
    """
    found = condition.of(signals).float().cpu()
    vectors = found.unsqueeze(1) if found.ndim == 2 else found
    if vectors.ndim != 3 or len(vectors) != len(signals) or vectors.shape[2] != condition.length:
        name, wanted = type(condition).__name__, f"({len(signals)}, {condition.length})"
        raise PluginError(f"{name}.of returns vectors of shape {tuple(found.shape)}; expected {wanted}")
    if not bool(vectors.isfinite().all()):
        bad = int((~vectors.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        raise PluginError(
            f"{type(condition).__name__}.of returns numbers for {signals.names[bad]!r} that are not finite"
        )
    return vectors


def save(folder: Path, latents: Latents, fingerprint: str, weights: str) -> None:
    """Write the cache (see `checkpoint.save`), with digests of the data and of the autoencoder's weights."""
    tensors = {
        "latents": {"flat": latents.flat, "labels": latents.labels, "vectors": latents.vectors},
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
    vectors = group.get("vectors", torch.zeros(len(group["flat"]), 1, 0))
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


def kept_vectors(latents: Latents) -> Tensor:
    """Evenly spaced vectors of the condition, `(M, F)`, for samples without a requested condition."""
    rows = latents.vectors.flatten(0, 1)
    chosen = torch.linspace(0, len(rows) - 1, min(KEPT_VECTORS, len(rows))).round().long()
    return rows[chosen]


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

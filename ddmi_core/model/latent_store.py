"""Encoding of a set of signals to shards of latents on disk, by all processes, and reading of rows from the shards."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, field, frozen, validators
from torch import Tensor

from ddmi_core.api.signals import SignalSet
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latents import LatentShape, Moments
from ddmi_core.errors import CheckpointError, TrainingError
from ddmi_core.fields.planes import Planes
from ddmi_core.nested import move
from ddmi_core.progress import tracked
from ddmi_core.training import checkpoint, distributed
from ddmi_core.training.checkpoint import Checkpoint
from ddmi_core.training.objective import generator_for

BATCH = 64  # signals that are encoded at once
SHARD_BYTES = 64 << 20  # of the largest shard; a shard is what an interrupted encoding repeats
SHARD_ROWS, SHARDS = 1024, 64  # small sets have shards of so many latents, others about so many shards
MAPPED = 512 << 20  # bytes of shards that a process maps at once
_SUM = "sha256"  # name of the checksum of a shard
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@frozen
class Encoding:
    """How a set is encoded.

    Args:
        copies: latents per signal: one of the signal unchanged, the others of augmented variants.
        seed: of the variants.
        drawn: whether latents are drawn at every step: the statistics are those of draws from the posteriors, and the
            means are not stored.
        dtype: of stored latents: `fp32`, `bf16` or `fp16`.
    """

    copies: int = field(default=1, validator=validators.ge(1))
    seed: int = 0
    drawn: bool = False
    dtype: str = field(default="fp32", validator=validators.in_(DTYPES))

    @property
    def type(self) -> torch.dtype:
        """Type of the latents whose statistics are computed: the stored ones, if they are stored."""
        return torch.float32 if self.drawn else DTYPES[self.dtype]


@frozen
class Shards:
    """The division of `copies * signals` latents into shards: first all signals unchanged, then all augmented, ..."""

    signals: int = field(validator=validators.ge(1))
    copies: int = field(validator=validators.ge(1))
    rows: int = field(validator=validators.ge(1))  # of a shard, a multiple of BATCH; the last of each copy has the rest

    @staticmethod
    def of(signals: int, how: Encoding, shape: LatentShape) -> Shards:
        """About 64 shards, of at least 1024 latents and at most 64 MiB, but of at least one batch."""
        fitting = SHARD_BYTES // (shape.length * how.type.itemsize)
        wanted = max(SHARD_ROWS, -(-signals * how.copies // SHARDS))
        return Shards(signals, how.copies, max(1, min(wanted, fitting) // BATCH) * BATCH)

    def __len__(self) -> int:
        """Number of shards."""
        return self.copies * self._in_copy

    @property
    def _in_copy(self) -> int:
        return -(-self.signals // self.rows)

    def span(self, shard: int) -> tuple[int, range]:
        """The copy that a shard is of, and the indices of its signals."""
        copy, number = divmod(shard, self._in_copy)
        return copy, range(number * self.rows, min((number + 1) * self.rows, self.signals))

    def places(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Shard, and row in the shard, of each row `(B,)`."""
        copy, signal = rows // self.signals, rows % self.signals
        return copy * self._in_copy + signal // self.rows, signal % self.rows


class StoredRows:
    """Latents `(N, L)` in the shards of a checkpoint.

    Shards are mapped into memory when rows of them are read, at most 512 MiB of them at once, so that memory does not
    grow with the number of latents.

    Args:
        stored: the checkpoint.
        shards: their division.
        length: elements of a latent, L.
    """

    def __init__(self, stored: Checkpoint, shards: Shards, length: int) -> None:
        self.stored, self.shards, self.length = stored, shards, length
        size = max(1, stored.bytes(name_of(0)))
        self._shard: Callable[[int], Tensor] = lru_cache(max(2, MAPPED // size))(self._mapped)

    def __len__(self) -> int:
        """Number of latents."""
        return self.shards.signals * self.shards.copies

    def __getitem__(self, rows: Tensor | Sequence[int]) -> Tensor:
        """Latents of rows `(B,)`, copied, in single precision: `(B, L)`."""
        rows = torch.as_tensor(rows, dtype=torch.long)
        if not len(rows):
            return torch.zeros(0, self.length)
        numbers, places = self.shards.places(rows)
        order = numbers.argsort(stable=True)
        found, counts = torch.unique_consecutive(numbers[order], return_counts=True)
        read = torch.empty(len(rows), self.length)
        for number, group in zip(found.tolist(), torch.split(order, counts.tolist()), strict=True):
            read[group] = self._shard(number)[places[group]].float()
        return read

    def _mapped(self, number: int) -> Tensor:
        group = self.stored.tensors(name_of(number))
        if "flat" not in group:
            raise CheckpointError(
                f"{self.stored.folder} has statistics alone: its run draws latents at every step (diffusion.latents = "
                "'fresh'). Fix: use a run with diffusion.latents = 'cached'"
            )
        return group["flat"]


def name_of(shard: int) -> str:
    """Name of a shard's group in the checkpoint."""
    return f"shard-{shard:06d}"


@torch.no_grad()
def encoded(
    model: D2CVAE, signals: SignalSet, how: Encoding, device: torch.device, copy: int, indices: range
) -> Iterator[tuple[Tensor, Moments, LatentShape]]:
    """Means of the posteriors of signals, batch by batch: `(B, L)`, their moments, and their shape.

    Every batch of augmented signals has its own random numbers, which do not depend on the batches before it.

    Args:
        model: the autoencoder, on the device.
        signals: the set.
        how: see `Encoding`.
        device: of the model; latents are on the CPU.
        copy: 0 for unchanged signals, otherwise the number of the variant.
        indices: of the signals; the first is a multiple of BATCH.

    Raises:
        TrainingError: if a latent is not finite, or not in the type in which it is stored.
    """
    model.eval()
    for start in range(indices.start, indices.stop, BATCH):
        part = range(start, min(start + BATCH, indices.stop))
        generator = generator_for(how.seed, "latents", copy, start) if copy else None
        posterior = model.encode(move(signals.batch(part, generator), device))
        shape = LatentShape.of(posterior.mean)
        flat = shape.pack(Planes(plane.cpu() for plane in posterior.mean)).to(how.type)
        if not bool(flat.isfinite().all()):
            bad = part[int((~flat.isfinite()).any(dim=1).nonzero()[0])]
            half = how.type is torch.float16
            fix = "set diffusion.stored to bf16 or fp32" if half else "train the autoencoder anew, at a lower rate"
            name, kind = signals.names[bad], str(how.type).removeprefix("torch.")
            raise TrainingError(f"the latent of signal {name!r} is not finite in {kind}. Fix: {fix}")
        variances = None
        if how.drawn:
            variances = shape.pack(Planes(plane.double().exp().cpu() for plane in posterior.log_variance))
        yield flat, Moments.of(flat, shape, variances), shape


def encode_shards(
    folder: Path,
    model: D2CVAE,
    signals: SignalSet,
    how: Encoding,
    device: torch.device,
    origin: Mapping[str, str],
) -> tuple[Path, Shards, LatentShape]:
    """Encode a set to shards in a folder; every process encodes a share of those that are missing.

    Shards are the same for any number of processes.

    Args:
        folder: in which the folder of the shards is created; those of other settings or data are removed.
        model: the autoencoder, on the device.
        signals: the set.
        how: see `Encoding`.
        device: of the model.
        origin: digests of what the latents depend on.

    Returns:
        folder of the shards, to be completed to a checkpoint; their division; shape of the latents.

    Raises:
        TrainingError: as `encoded`.
        OutputError: if a shard cannot be written.
    """
    with torch.no_grad():
        shape = LatentShape.of(model.eval().encode(move(signals.batch([0]), device)).mean)
    shards = Shards.of(len(signals), how, shape)
    facts = json.dumps([asdict(how), asdict(shards), shape.length, dict(origin)])
    place = folder / f"partial-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"

    def prepare() -> list[int]:
        for other in folder.glob("partial-*"):
            if other != place:
                shutil.rmtree(other, ignore_errors=True)
        return [number for number in range(len(shards)) if not _is_whole(_file(place, number))]

    missing = distributed.on_main(prepare)

    def encode() -> None:
        mine = distributed.share(missing)
        for number in tracked("shards", mine):
            copy, indices = shards.span(number)
            batches = encoded(model, signals, how, device, copy, indices)
            _write(_file(place, number), batches, shape, keep=not how.drawn)

    distributed.from_all(encode)
    return place, shards, shape


def moments_of(place: Path, shards: Shards, shape: LatentShape) -> Moments:
    """Moments of all shards in a folder, merged in their order."""
    return merged((_moments(checkpoint.read_group(_file(place, number))) for number in range(len(shards))), shape)


def merged(parts: Iterable[Moments], shape: LatentShape) -> Moments:
    """Moments of one or more parts of a set, merged in their order."""
    return reduce(lambda first, second: first.merged(second, shape), parts)


def _is_whole(path: Path) -> bool:
    """Whether a shard is there and has its checksum; a damaged one is encoded again."""
    if not path.exists():
        return False
    try:
        group = checkpoint.read_group(path)
        return torch.equal(group.pop(_SUM), _sum(group))
    except (CheckpointError, *checkpoint.DAMAGED):
        return False


def _sum(group: Mapping[str, Tensor]) -> Tensor:
    """The SHA-256 of tensors and their names, as bytes `(32,)`."""
    found = hashlib.sha256()
    for name in sorted(group):
        found.update(f"{name} {group[name].dtype} {tuple(group[name].shape)}".encode())
        found.update(group[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return torch.frombuffer(bytearray(found.digest()), dtype=torch.uint8)


def _write(path: Path, batches: Iterator[tuple[Tensor, Moments, LatentShape]], shape: LatentShape, keep: bool) -> None:
    """Write a shard of batches, with their moments and, if `keep` is set, their latents."""
    rows, parts = [], []
    for flat, part, _ in batches:
        parts.append(part)
        if keep:
            rows.append(flat)
    moments = merged(parts, shape)
    group = {**asdict(moments, recurse=False), "count": torch.tensor(moments.count)}
    group |= {"flat": torch.cat(rows)} if keep else {}
    checkpoint.write_group(path, {**group, _SUM: _sum(group)})


def _moments(group: Mapping[str, Any]) -> Moments:
    return Moments(int(group["count"]), *(group[name] for name in ("mean", "squares", "variances")))


def _file(place: Path, number: int) -> Path:
    return place / f"{name_of(number)}.safetensors"

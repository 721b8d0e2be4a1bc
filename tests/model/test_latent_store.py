"""Latents in shards on disk: the same bytes after kills and for any settings of memory, exact statistics, and rows."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ddmi_core.api.signals import SignalSet
from ddmi_core.diffusion.latents import Normalisation
from ddmi_core.errors import CheckpointError, TrainingError
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.model import latent_cache, latent_store
from ddmi_core.model.latent_store import Encoding, Shards
from ddmi_core.training import checkpoint
from resealed import resealed
from write_boundaries import kill_at

CPU = torch.device("cpu")
ORIGIN = ("data", "weights")


class Numbers(SignalSet):
    """Signal i is the number i / 100; augmentation adds noise."""

    classes = ("even", "odd")

    def __init__(self, count: int) -> None:
        self.names, self.labels = [f"number {i}" for i in range(count)], torch.arange(count) % 2

    def batch(self, indices, generator=None) -> Tensor:
        values = torch.tensor(list(indices)) / 100
        return values if generator is None else values + torch.rand(len(values), generator=generator)

    def fingerprint(self) -> str:
        return "numbers"


class Known(nn.Module):
    """Posteriors of a plane and a line, whose cells differ."""

    scale = 1.0

    def encode(self, values: Tensor) -> Posterior:
        values = values * self.scale
        plane = values.view(-1, 1, 1, 1) * torch.linspace(1, 2, 12).view(1, 2, 3, 2)
        line = values.view(-1, 1, 1).square() * torch.linspace(-1, 3, 8).view(1, 2, 4)
        return Posterior(Planes([plane, line]), Planes([torch.zeros_like(plane), torch.ones_like(line)]))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(latent_store, "SHARD_ROWS", 64)


def store(folder: Path, count: int = 300, how: Encoding = Encoding(), model: Known | None = None) -> None:
    latent_cache.store(folder, model or Known(), Numbers(count), how, CPU, *ORIGIN)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", [Encoding(), Encoding(copies=3, seed=2)])
def test_stored_latents_and_their_statistics_are_those_of_an_encoding_in_memory(how, tmp_path):
    store(tmp_path, how=how)
    stored, whole = latent_cache.load(tmp_path, *ORIGIN), latent_cache.encode(Known(), Numbers(300), how, CPU)
    assert len(list((tmp_path / "final").glob("shard-*"))) == 5 * how.copies
    rows = torch.randperm(len(whole.flat), generator=torch.Generator().manual_seed(0))[:200]
    assert torch.equal(stored.flat[rows], whole.flat[rows])
    assert (len(stored.flat), stored.copies) == (300 * how.copies, how.copies)
    for statistics in (whole.normalisation, Normalisation.fit(whole.flat, whole.shape)):
        torch.testing.assert_close(stored.normalisation.mean, statistics.mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(stored.normalisation.std, statistics.std, rtol=1e-6, atol=0)
    assert latent_cache.describe(stored) == latent_cache.describe(whole)
    assert latent_cache.describe(whole)["counts"] == [150 * how.copies] * 2


def test_an_encoding_killed_at_ten_random_writes_ends_with_the_same_bytes(tmp_path):
    moments, how = random.Random(0), Encoding(copies=2)
    store(tmp_path / "whole", 640, how)
    kept = 0
    for writes in (moments.randint(1, 10) for _ in range(10)):
        if not (child := os.fork()):
            try:
                kill_at(writes, tmp_path / "killed")
                store(tmp_path / "killed", 640, how)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        found = len(list(tmp_path.glob("killed/*/shard-*")))
        assert found >= kept  # no shard is encoded twice
        kept = found
    assert 0 < kept < 20
    store(tmp_path / "killed", 640, how)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["final"]


def test_shards_that_are_stored_are_not_encoded_again(tmp_path, monkeypatch):
    def stopping(path, tensors):
        if path.name == "shard-000003.safetensors":
            raise KeyboardInterrupt
        return write(path, tensors)

    write = checkpoint.write_group
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_group", stopping)
        with pytest.raises(KeyboardInterrupt):
            store(tmp_path)
    seen: list[str] = []
    monkeypatch.setattr(checkpoint, "write_group", lambda path, tensors: (seen.append(path.stem), write(path, tensors)))
    store(tmp_path)
    assert seen == ["shard-000003", "shard-000004"]


def test_shards_of_other_weights_or_settings_are_not_used(tmp_path, monkeypatch):
    def stopping(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "complete", stopping)
        with pytest.raises(KeyboardInterrupt):
            store(tmp_path)
    other = Known()
    other.scale = 2.0
    latent_cache.store(tmp_path, other, Numbers(300), Encoding(), CPU, "data", "other weights")
    loaded = latent_cache.load(tmp_path, "data", "other weights")
    assert torch.equal(loaded.flat[[7]], latent_cache.encode(other, Numbers(8), Encoding(), CPU).flat[7:])
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


@pytest.mark.parametrize(("dtype", "bits"), [("bf16", 8), ("fp16", 11)])
def test_half_precision_halves_the_files_and_rounds(dtype, bits, tmp_path):
    store(tmp_path / "half", how=Encoding(dtype=dtype))
    store(tmp_path / "full")
    half, full = (latent_cache.load(tmp_path / name, *ORIGIN) for name in ("half", "full"))
    rows = torch.arange(300)
    assert half.flat[rows].dtype == torch.float32
    assert not torch.equal(half.flat[rows], full.flat[rows])
    torch.testing.assert_close(half.flat[rows], full.flat[rows], rtol=2.0**-bits, atol=1e-7)
    torch.testing.assert_close(half.normalisation.std, full.normalisation.std, rtol=2.0**-bits, atol=0)
    sizes = [(tmp_path / name / "final" / "shard-000000.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[1] - sizes[0] == pytest.approx(64 * 20 * 2, abs=16)  # the headers differ


def test_latents_that_do_not_fit_the_type_or_are_not_finite_are_refused_with_the_signal(tmp_path):
    large = Known()
    large.scale = 1e5
    with pytest.raises(TrainingError, match=r"signal 'number \d+' is not finite in float16. Fix: set diffusion.stored"):
        store(tmp_path, how=Encoding(dtype="fp16"), model=large)
    large.scale = float("nan")
    with pytest.raises(TrainingError, match="signal 'number 0' is not finite in float32"):
        store(tmp_path, model=large)


def test_few_shards_are_mapped_at_once(tmp_path, monkeypatch):
    store(tmp_path)
    monkeypatch.setattr(latent_store, "MAPPED", 1)
    rows = latent_cache.load(tmp_path, *ORIGIN).flat
    whole = rows[torch.arange(300)]
    assert rows._shard.cache_info().currsize == 2
    assert torch.equal(whole[[299, 0, 150, 299]], rows[[299, 0, 150, 299]])
    assert rows[[]].shape == (0, 20)


def test_latents_that_are_drawn_at_every_step_are_not_stored(tmp_path):
    store(tmp_path, how=Encoding(drawn=True))
    latents = latent_cache.load(tmp_path, *ORIGIN)
    wanted = latent_cache.encode(Known(), Numbers(300), Encoding(drawn=True), CPU).normalisation
    torch.testing.assert_close(latents.normalisation.std, wanted.std, rtol=1e-6, atol=0)
    with pytest.raises(CheckpointError, match=r"has statistics alone.*Fix: use a run with"):
        latents.flat[[0]]


def test_damaged_shards_and_folders_of_earlier_versions_are_refused(tmp_path):
    store(tmp_path)
    path = tmp_path / "final" / "shard-000002.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"shard-000002\.safetensors is truncated or altered"):
        latent_cache.load(tmp_path, *ORIGIN)
    path.write_bytes(whole)
    state = tmp_path / "final" / "state.json"
    state.write_text(resealed(state.read_text().replace('"shards"', '"other"')))
    with pytest.raises(CheckpointError, match="damaged, or of an earlier version; remove the folder"):
        latent_cache.load(tmp_path, *ORIGIN)


@pytest.mark.parametrize(
    ("signals", "length", "rows"), [(100, 64, 1024), (10**6, 64, 15616), (20_000, 1 << 18, 64), (100, 1 << 22, 64)]
)
def test_shards_are_neither_many_nor_large(signals, length, rows, monkeypatch):
    monkeypatch.undo()
    shape = latent_store.LatentShape(1, [(length,)])
    shards = Shards.of(signals, Encoding(), shape)
    assert shards.rows == rows
    spans = [shards.span(number) for number in range(len(shards))]
    assert torch.equal(torch.cat([torch.arange(i.start, i.stop) for _, i in spans]), torch.arange(signals))
    numbers, places = shards.places(torch.arange(signals))
    assert torch.equal(torch.tensor([i.start for _, i in spans])[numbers] + places, torch.arange(signals))

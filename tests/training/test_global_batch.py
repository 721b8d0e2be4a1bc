"""Losses of both stages depend on the seed and the batch of a step, not on how processes and parts share it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ddmi_core.draws import BLOCK, BatchGenerator, normal_like, per_row, shared
from ddmi_core.training.log import Log
from ddmi_core.training.meter import OPERATING
from processes import run


def losses(out: Path, processes: int, *accumulations: int) -> list[list[dict]]:
    """Records of the logs, without times."""
    run(Path(__file__).with_name("one_batch.py"), out, *accumulations, processes=processes, timeout=240)
    logs = [Log(out / str(number) / "log.jsonl").records() for number in accumulations]
    return [[{key: record[key] for key in record.keys() - {"stage", *OPERATING}} for record in log] for log in logs]


def test_losses_depend_on_the_batch_alone_and_not_on_processes_or_parts(tmp_path):
    whole, *others = losses(tmp_path / "1", 1, 1, 2, 4)
    others += losses(tmp_path / "2", 2, 4)
    others += losses(tmp_path / "4", 4, 1)
    assert {"discriminator.loss", "perceptual", "adversarial", "features", "equivariance"} < set(whole[10])
    assert whole[19]["reconstruction"] < whole[0]["reconstruction"]
    for found in others:
        assert len(found) == len(whole) == 40
        for first, second in zip(whole, found, strict=True):
            # Sums in another order differ in the last digits, which the game of the discriminator amplifies.
            assert second == pytest.approx(first, rel=2e-4, abs=1e-4)


def uniform(rows: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(rows, 3, generator=generator)


@pytest.mark.parametrize("sizes", [(1,) * 20, (5, 5, 5, 5), (7, 13), (BLOCK, 12), (19, 1)])
def test_rows_are_those_of_the_whole_batch(sizes):
    whole = BatchGenerator(0, 3, "step", 7)
    expected = [per_row(whole, 20, uniform) for _ in range(2)], torch.rand(2, generator=shared(whole))
    assert (expected[0][0] != expected[0][1]).all()
    assert len(expected[0][0].unique()) == 60
    first, parts = 0, []
    for size in sizes:
        part = BatchGenerator(first, 3, "step", 7)
        parts.append([per_row(part, size, uniform) for _ in range(2)])
        assert torch.equal(torch.rand(2, generator=shared(part)), expected[1])
        first += size
    for number in range(2):
        assert torch.equal(torch.cat([drawn[number] for drawn in parts]), expected[0][number])


def test_other_generators_are_used_as_they_are():
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    assert torch.equal(per_row(first, 4, uniform), uniform(4, second))
    assert shared(first) is first
    values = torch.zeros(2, 3, dtype=torch.float64)
    assert torch.equal(normal_like(values, first), torch.randn(2, 3, generator=second, dtype=torch.float64))


def test_own_numbers_of_a_generator_differ_between_parts_and_purposes():
    drawn = [torch.rand(4, generator=BatchGenerator(*given)) for given in ((0, "a"), (4, "a"), (0, "b"), (0, "a", 1))]
    assert len(torch.cat(drawn).unique()) == 16
    assert torch.equal(drawn[0], torch.rand(4, generator=BatchGenerator(0, "a")))

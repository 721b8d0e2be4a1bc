"""The benchmark: what it reports, not how fast this machine is."""

from __future__ import annotations

import json

import pytest
import torch

from ddmi_core.runs import bench


@pytest.fixture(scope="module")
def result():
    return bench.measure_speed(cells=64)


def test_ratio_is_that_of_the_two_times(result):
    values = {m.name: m.value for m in result.measurements}
    quick = values["default readout, 64 x 64: lattice"]
    plain = values["default readout, 64 x 64: plain path"]
    assert quick > 0
    assert values["default readout: plain path / lattice"] == pytest.approx(plain / quick)


def test_both_paths_compute_the_same(result):
    gaps = [float(m.note.split()[-1]) for m in result.measurements if "largest difference" in m.note]
    assert len(gaps) == 2
    assert max(gaps) < 1e-4


def test_lines_and_json_hold_every_measurement(result):
    names = [m["name"] for m in json.loads(result.to_json())["measurements"]]
    assert names == [m.name for m in result.measurements]
    assert len(result.lines()) == len(names) + 1


@pytest.mark.parametrize(("limit", "tried"), [(0.0, [256]), (60.0, [256, 512])])
def test_larger_products_are_left_out_after_a_slow_one(monkeypatch, limit, tried):
    sizes = []
    randn = torch.randn

    def seen(*shape, **options):
        sizes.append(shape[0])
        return randn(*shape, **options)

    monkeypatch.setattr(bench, "LONG", limit)
    monkeypatch.setattr(bench, "PRODUCTS", (256, 512))
    monkeypatch.setattr(torch, "randn", seen)
    assert bench.product_rate(torch.float32) > 0
    assert sorted(set(sizes)) == tried

"""The benchmark: what it measures and concludes, not how fast this machine is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import nullcontext, suppress
from math import comb
from mmap import mmap
from types import SimpleNamespace

import psutil
import pytest
import torch
from attrs import evolve
from torch.utils.flop_counter import FlopCounterMode

from ddmi_core.errors import DdmiError, RequestError
from ddmi_core.evaluation.results import aligned
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig
from ddmi_core.model.needs import BlankSignals
from ddmi_core.runs.bench import bench, bench_result, products, training_speed, two_processes
from ddmi_core.runs.bench.bench_result import (
    BenchResult,
    Comparison,
    Machine,
    Measurement,
    enough,
    read,
    repeated,
    verdict,
)
from ddmi_core.runs.bench.field_speed import default_field, field_speed, hidden_operations

MACHINE = Machine("a processor", 2, 2, "2.6", "0.1", "CPU")


def measured(*values, better="higher", name="speed"):
    return Measurement(name, "per s", values, better)


def result(*measurements, **others):
    return BenchResult(MACHINE, "image", 1.0, measurements, **others)


@pytest.mark.parametrize(
    ("now", "before", "better", "expected"),
    [
        ((4, 5, 6), (1, 2, 3), "higher", "better"),
        ((4, 5, 6), (1, 2, 3), "lower", "worse"),
        ((1, 2, 3), (4, 5, 6), "higher", "worse"),
        ((1, 2, 3), (4, 5, 6), "lower", "better"),
        ((1, 2, 4), (4, 5, 6), "higher", "within the spread"),  # they touch
        ((1, 9, 9), (4, 5, 6), "higher", "within the spread"),  # one overlaps
        ((5, 5, 5), (4, 5, 6), "higher", "within the spread"),  # one lies in the other
        ((9, 9), (4, 5, 6), "higher", "too few values"),
        ((7, 8, 9), (4, 5), "higher", "too few values"),
    ],
)
def test_a_verdict_needs_values_beyond_the_spread(now, before, better, expected):
    assert verdict(measured(*now, better=better), measured(*before, better=better)) == expected


def test_verdicts_are_rare_if_nothing_changed():
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(4000, 10, generator=generator).tolist()
    found = [verdict(measured(*row[:5]), measured(*row[5:])) != "within the spread" for row in draws]
    expected = 2 / comb(10, 5)
    deviation = (expected * (1 - expected) / len(found)) ** 0.5
    assert abs(sum(found) / len(found) - expected) < 4 * deviation


def test_a_comparison_pairs_measurements_and_names_what_differs():
    now = result(measured(2, 2, 2), measured(1, name="new"))
    before = evolve(result(measured(1, 1, 1), measured(1, name="old")), machine=evolve(MACHINE, threads=1), source="")
    comparison = Comparison(now, before)
    assert [(ours.name, theirs.median) for ours, theirs in comparison.pairs] == [("speed", 1)]
    assert comparison.to_json()["comparison"] == [{"name": "speed", "unit": "per s", "ratio": 2.0, "verdict": "better"}]
    assert comparison.lines() == [
        "threads: 2, before 1",
        "model: image, before none",
        "measured now alone: new",
        "measured before alone: old",
        "              now  before  now / before",
        "speed, per s    2       1          2.00  better",
    ]


def test_a_result_is_read_as_it_was_written(tmp_path):
    kept = result(measured(1.5, 2.5, 9), left_out=("a reason",))
    for name, written in (("one", kept), ("two", Comparison(kept, result(measured(1))))):
        path = tmp_path / name
        path.write_text(json.dumps(written.to_json()))
        assert read(path) == kept
    assert json.loads((tmp_path / "one").read_text())["measurements"][0]["median"] == 2.5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 3}', "\x00"])
def test_a_file_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"bench\.json: .*ddmi bench --json"):
        read(path)
    with pytest.raises(RequestError, match="No such file"):
        read(tmp_path / "nowhere.json")


@pytest.mark.parametrize("values", [(), (float("nan"),), (1, float("inf"))])
def test_a_measurement_has_finite_values(values):
    with pytest.raises(ValueError, match="finite"):
        Measurement("speed", "s", values)


def test_lines_hold_every_measurement_and_what_is_left_out():
    lines = result(measured(1, 2, 1200), measured(0.25, name="share"), left_out=("a reason",)).lines()
    assert [line.split() for line in lines[2:4]] == [
        ["speed", "2", "1", "1,200", "per", "s"],
        ["share", "0.25", "0.25", "0.25", "per", "s"],
    ]
    assert lines[4] == "left out: a reason"


def test_columns_of_a_table_are_aligned():
    assert aligned([("a", "1", "x"), ("long", "1000", "")], "<><") == ["a        1  x", "long  1000"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((), False),
        ((5.0, 5.0), False),  # slow, but without a spread
        ((0.4, 0.4, 0.4), True),  # the second is over
        ((0.1, 0.1, 0.1), False),
        ((0.1, 0.1, 0.1, 0.1, 0.104), True),  # five that are close
        ((0.1, 0.1, 0.1, 0.1, 0.106), False),
        ((0.1, 0.1, 0.1, 0.1, 0.106, 0.5), True),
        ((0.0001, 0.0002) * 25, True),  # the most
    ],
)
def test_repetitions_are_enough_if_they_are_close_or_their_time_is_over(times, expected):
    assert enough(times, 1.0) is expected


@pytest.mark.parametrize(
    ("first", "taken", "expected"),
    [
        (None, [0.9, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),  # the first one allocates memory
        (None, [1.1, 0.9, 0.8], [1.1, 0.9, 0.8]),  # which matters little for slow work
        ("first", [1.1, 0.9, 0.8, 0.7], [0.9, 0.8, 0.7]),  # other work never counts
    ],
)
def test_work_is_repeated_after_a_call_that_counts_only_if_it_is_slow(monkeypatch, first, taken, expected):
    works, seconds = [], iter(taken)
    monkeypatch.setattr(bench_result, "timed", lambda work, device: (works.append(work), next(seconds))[1])
    assert repeated("work", 1.0, first=first) == expected
    assert works == [first or "work"] + ["work"] * (len(taken) - 1)


@pytest.mark.parametrize(("limit", "tried"), [(0.0, [256]), (60.0, [256, 512])])
def test_larger_products_are_left_out_after_a_slow_one(monkeypatch, limit, tried):
    sizes = []
    randn = torch.randn

    def seen(*shape, **options):
        sizes.append(shape[0])
        return randn(*shape, **options)

    monkeypatch.setattr(products, "LONG", limit)
    monkeypatch.setattr(products, "SIZES", (256, 512))
    monkeypatch.setattr(torch, "randn", seen)
    assert products.product_rate(torch.float32) > 0
    assert sorted(set(sizes)) == tried


def test_all_ways_compute_the_same_product():
    a, b = (torch.randn(8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    ways = products._ways(a, b)
    assert len(ways) == 2
    torch.testing.assert_close(ways["convolution"]()[0, :, :, 0].t(), a @ b)


@pytest.mark.parametrize(
    "config",
    [
        ReadoutConfig(width=8),
        ReadoutConfig(width=8, depth=3, tail=1),
        ReadoutConfig(width=16, depth=2, joining="input", residual=True),
    ],
)
def test_hidden_operations_are_those_of_the_fast_path(config):
    plain = default_field()
    readout = CoarseToFineReadout(plain.readout.embedding, 1, 3, config)
    points = evolve(plain, readout=readout).points()
    # torch does not count products that are added in place.
    counted = {torch.ops.aten.addmm_: lambda total, rows, columns, **options: 2 * rows[0] * rows[1] * columns[1]}
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        points.at(torch.zeros(100, 2))
    assert counter.get_total_flops() == 100 * hidden_operations(readout)


def test_field_speed_compares_equal_results():
    speed, ratio, share = field_speed(default_field(), 1e12, points=4096)
    assert speed.note == "lattice of 64 x 64"
    assert float(ratio.note.split()[-1]) < 1e-4
    operations = hidden_operations(default_field().readout)
    for points, percent in zip(speed.values, share.values, strict=True):
        assert percent == pytest.approx(100 * points * 1e6 * operations / 1e12)


def test_blank_signals_fill_a_batch(model):
    blank = BlankSignals(model.parts, 3)
    signal = blank.batch([0, 1, 2])
    assert model.encode(signal).mean[0].shape[0] == len(blank.names) == len(blank.labels) == 3


@pytest.mark.parametrize("stage", training_speed.STAGES)
def test_steps_are_timed_with_the_settings_of_the_model(model, stage, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(training_speed.tempfile, "tempdir", None)
    training, players = training_speed.objectives(model.parts, model.config, stage, model.shape)
    seen = []
    objective = players[stage]
    forward = objective.forward
    monkeypatch.setattr(objective, "forward", lambda context: (seen.append(context), forward(context))[1])
    times = training_speed.step_times(stage, players, training, "fp32", 0.0)
    assert len(times) == 3
    assert len(seen) == 4
    assert len(training_speed.step_times(stage, players, training, "fp32", 60.0, steps=2)) == 2
    assert len(seen) == 7
    assert {len(context.indices) for context in seen} == {training.batch // training.accumulation}
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_measured_in_all_it_does(finished_run, monkeypatch):
    monkeypatch.setattr(products, "SIZES", (256,))
    monkeypatch.setattr(bench, "SECONDS", 0.0)
    monkeypatch.setattr(bench, "VIEWS", ("8", "16"))
    monkeypatch.setattr(bench, "_pairs", lambda *given: nullcontext())
    monkeypatch.setattr(bench, "native_bf16", lambda device: False)
    found = bench.measure_speed(finished_run, points=64)
    names = [one.name for one in found.measurements if "memory" not in one.name]
    assert names == [
        "products, float32",
        "products, bfloat16",
        "field: points",
        "field: plain path / lattice",
        "field: share of the fastest products",
        "samples",
        "native view, rendered and written",
        "8 view, rendered and written",
        "16 view, rendered and written",
        "autoencoder: training steps, fp32",
        "denoiser: training steps, fp32",
    ]
    assert found.left_out == ("training steps in bf16: this processor has no bf16",)
    assert found.source == str(finished_run)


def test_slow_and_impossible_views_are_left_out(model, monkeypatch):
    monkeypatch.setattr(bench, "SLOW", 0.0)
    measuring = bench._Bench(torch.device("cpu"))
    measuring.renders(model)
    assert measuring.left_out == ["larger views: native takes over 0 s"]
    monkeypatch.setattr(bench, "SLOW", 60.0)
    monkeypatch.setattr(bench, "VIEWS", ("eight",))
    measuring.renders(model)
    assert measuring.left_out[1].startswith("--size eight: ")


def test_memory_is_that_since_a_new_peak():
    if not (before := bench.started_peak()):
        pytest.skip("this system cannot start a new peak")
    with mmap(-1, 32 << 20) as large:  # new pages, which an allocator might have kept
        large.write(b"1" * len(large))
        assert 31 < bench.peak_memory() - before < 128
    assert bench.started_peak() - before < 31


def test_without_a_model_two_default_readouts_are_measured(monkeypatch):
    monkeypatch.setattr(products, "SIZES", (256,))
    names = {one.name.partition(":")[0] for one in bench.measure_speed(points=64).measurements}
    assert {"default readout", "readout of width 256"} < names


class Told:
    """An end of a connection to a process that tells the given rates of steps, and remembers what it was asked."""

    def __init__(self, *rates):
        self.rates, self.asked = list(rates), []

    def send(self, asked):
        self.asked.append(asked)

    def poll(self, seconds):
        return True

    def recv(self):
        return self.rates


def test_shares_are_of_the_same_parts_of_as_many_steps():
    pairs = two_processes.Pairs(None, "image", 0.5)
    alone = [Told(10.0, 10.0, 10.0, 10.0), Told(20.0, 20.0, 20.0)]
    joined = [Told(10.0, 10.0, 30.0), Told(20.0, 5.0, 30.0)]
    pairs.connections = [*alone, *joined]
    assert [one.values for one in pairs.measure()] == [pytest.approx((100.0, 50.0, 200.0))] * 2
    stages = training_speed.STAGES
    assert [told.asked for told in alone] == [[(stage, 0.5, 0) for stage in stages]] * 2
    # Processes of one run would wait for each other if one made more steps.
    assert [told.asked for told in joined] == [[(stage, 0.5, 3) for stage in stages]] * 2


def test_a_part_of_the_steps_counts_signals_over_seconds():
    assert two_processes._rate([10.0, 30.0, 7.0], 0, 2) == pytest.approx(2 / (1 / 10 + 1 / 30))


def test_processes_are_forked_before_anything_is_computed(finished_run, monkeypatch):
    order = []

    class Forked:
        def __enter__(self):
            order.append("forked")

        def __exit__(self, *_):
            order.append("ended")

    monkeypatch.setattr(bench, "_pairs", lambda *given: Forked())
    monkeypatch.setattr(bench, "load", lambda *given, **options: order.append("loaded") or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.measure_speed(finished_run)
    assert order == ["forked", "loaded", "ended"]


def test_a_failure_of_a_process_is_left_out_with_its_reason(monkeypatch):
    def failing():
        raise DdmiError("it ended")

    measuring = bench._Bench(torch.device("cpu"))
    measuring.processes(SimpleNamespace(measure=failing))
    assert measuring.left_out == ["it ended"]


TOGETHER = """
import os
from ddmi_core.errors import DdmiError
from ddmi_core.runs.bench.two_processes import PARTS, Pairs

with Pairs(None, "image", 0.0) as pairs, Pairs(None, "no-such", 0.0) as failing:
    alone, steps = pairs._rates("denoiser", False, 0)
    together, same = pairs._rates("denoiser", True, steps)
    assert steps == same == len(alone) == len(together) == PARTS and min(alone + together) > 0
    for _ in range(2):  # they have ended the second time
        try:
            failing._rates("denoiser", False, 0)
        except DdmiError as error:
            print(error)
left = Pairs(None, "image", 0.0).__enter__()
print(*(process.pid for process in left.started), flush=True)
os._exit(0)  # as if it was killed
"""


@pytest.mark.slow
@pytest.mark.skipif(not two_processes.Pairs.possible(), reason="this system cannot fork processes")
def test_two_processes_train_together_tell_failures_and_end_with_the_one_that_asks():
    # In a process of its own, because this one has computed.
    done = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=True)
    first, second, pids = done.stdout.splitlines()
    assert re.match(r"two processes of the stage 'denoiser': .*no-such", first)
    assert second == "two processes of the stage 'denoiser': it ended"
    for pid in map(int, pids.split()):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=60)

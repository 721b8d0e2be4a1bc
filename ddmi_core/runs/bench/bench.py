"""The benchmark of `ddmi bench`: the machine's products, and everything that a user does with one model."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from ddmi_core._version import __version__
from ddmi_core.allowance import cores
from ddmi_core.errors import DdmiError
from ddmi_core.model.loading import load
from ddmi_core.model.model import Model
from ddmi_core.progress import doing
from ddmi_core.runs.bench.bench_result import BenchResult, Machine, Measurement, repeated
from ddmi_core.runs.bench.field_speed import WIDE, default_field, field_speed
from ddmi_core.runs.bench.products import product_rates
from ddmi_core.runs.bench.training_speed import STAGES, objectives, step_times
from ddmi_core.runs.bench.two_processes import Pairs
from ddmi_core.training.distributed import default_device
from ddmi_core.training.precision import native_bf16

SECONDS = 0.5  # of each measurement, about
VIEWS = ("64", "128", "256")  # values of --size
SLOW = 1.0  # seconds of a render, beyond which larger ones are left out
SAMPLES = 8


class _Bench:
    """Measurements as they come, and what is left out."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.found, self.left_out = device, list[Measurement](), list[str]()

    @doing("matrix products")
    def products(self) -> float:
        """Rates of matrix products; returns that of float32."""
        fastest = {}
        for dtype in (torch.float32, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            way, rates = product_rates(dtype, self.device)
            self.found.append(Measurement(f"products, {name}", "GFLOP/s", [rate / 1e9 for rate in rates], note=way))
            fastest[dtype] = max(rates)
        return fastest[torch.float32]

    @doing("sampling")
    def samples(self, model: Model) -> None:
        """Sampling of latents and decoding, with the run's sampler."""
        sampling = model.config.sampling
        times = repeated(
            lambda: model.sample(SAMPLES), SECONDS, self.device, first=lambda: model.sample(SAMPLES, steps=2)
        )
        note = f"{SAMPLES} at once, {sampling.sampler}:{sampling.steps}, guidance {sampling.guidance:g}"
        self.found.append(Measurement("samples", "per s", [SAMPLES / one for one in times], note=note))

    @doing("renders")
    def renders(self, model: Model) -> None:
        """A sample as a file of the domain's first type: the native view, then time and memory of larger ones."""
        field, views = model.sample(1), {"native": None}
        for text in VIEWS:
            try:
                views[text] = model.parts.parse_view(text)
            except DdmiError as error:
                self.left_out.append(f"--size {text}: {error}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"field{model.suffix}")
            model.write(model.render(field), path)  # imports what writes such files
            for name, view in views.items():
                before, peaks = started_peak(), list[float]()

                def drawn(view: Any = view, before: float = before, peaks: list[float] = peaks) -> None:
                    model.write(model.render(field, view), path)
                    if before and not peaks:
                        peaks.append(peak_memory() - before)

                times = repeated(drawn, SECONDS, self.device)
                label = f"{name} view, rendered and written"
                self.found.append(Measurement(label, "s", times, "lower", model.suffix))
                self.found += [Measurement(f"{name} view: memory", "MiB", peaks, "lower", "first time")] * len(peaks)
                if min(times) > SLOW and name != VIEWS[-1]:
                    self.left_out.append(f"larger views: {name} takes over {SLOW:g} s")
                    return

    @doing("training steps")
    def training(self, model: Model) -> None:
        """Training steps of both stages in each precision."""
        precisions = ("fp32", "bf16") if native_bf16(self.device) else ("fp32",)
        if len(precisions) == 1:
            self.left_out.append("training steps in bf16: this processor has no bf16")
        for stage in STAGES:
            config, players = objectives(
                model.parts, model.config, stage, model.shape, len(model.classes), model.vectors
            )
            for precision in precisions:
                times = step_times(stage, players, config, precision, SECONDS)
                name = f"{stage}: training steps, {precision}"
                self.found.append(
                    Measurement(name, "per s", [1 / one for one in times], note=f"batch of {config.batch}")
                )

    @doing("two processes")
    def processes(self, pairs: Pairs) -> None:
        """Two processes of a training."""
        try:
            self.found += pairs.measure()
        except DdmiError as error:
            self.left_out.append(str(error))


@doing("benchmark")
def measure_speed(run: Path | None = None, plugin: str = "", points: int = 0) -> BenchResult:
    """Measure matrix products, and the model of a run or the weights of a plugin; or fields of two default readouts.

    Of a model, it measures the evaluation of its fields, renders of a sample, sampling, and training steps with its
    settings, for which it makes new networks and signals without content.

    Args:
        run: folder of a finished run.
        plugin: a plugin with weights; see `ddmi_core.load`.
        points: of the lattice on which fields are evaluated, about; 0 for a number that suits the device.

    Raises:
        DdmiError: as `ddmi_core.load`.
    """
    started = perf_counter()
    device = default_device()
    bench = _Bench(device)
    if run is None and not plugin:
        rate = bench.products()
        for name, field in (("default readout", default_field()), (f"readout of width {WIDE}", default_field(WIDE))):
            bench.found += field_speed(field.to(device), rate, points, name)
    else:
        with _pairs(bench, run, plugin) as pairs:
            model = load(run, plugin=plugin or None)
            rate = bench.products()
            bench.found += field_speed(model.sample(1), rate, points)
            bench.samples(model)
            bench.renders(model)
            bench.training(model)
            if pairs:
                bench.processes(pairs)
    seconds = perf_counter() - started
    return BenchResult(_machine(device), str(run or plugin), seconds, tuple(bench.found), tuple(bench.left_out))


def _pairs(bench: _Bench, run: Path | None, plugin: str) -> AbstractContextManager[Pairs | None]:
    """Processes, which have to be started before this one computes anything; `None` if there can be none."""
    reasons = {
        "they are measured on CPUs alone": bench.device.type != "cpu",
        "there is one core": cores() < 2,
        "this system cannot fork processes": not Pairs.possible(),
    }
    if why := [reason for reason, holds in reasons.items() if holds]:
        bench.left_out.append(f"two processes of one run: {why[0]}")
        return nullcontext()
    return Pairs(run, plugin, SECONDS)


def _machine(device: torch.device) -> Machine:
    name = "CPU" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return Machine(processor(), cores(), torch.get_num_threads(), torch.__version__, __version__, name)


def processor() -> str:
    """Name of the processor, as far as the system tells it."""
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return


def started_peak() -> float:
    """Start a new peak of this process's memory, and return its present memory in MiB; 0 where that is impossible."""
    gc.collect()
    _give_back()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return 0.0
    return _status("VmRSS")


def _give_back() -> None:
    """Return memory that nothing uses to the system, where the C library can: otherwise work takes that of others."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim:
        trim(0)


def peak_memory() -> float:
    """Largest resident memory of this process since the last `started_peak`, in MiB; without one, since its start."""
    # `ru_maxrss` would include the memory of the parent when it started this process.
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _status(name: str) -> float:
    for line in _lines(Path("/proc/self/status")):
        if found := re.match(rf"{name}:\s+(\d+)", line):
            return int(found[1]) / 1024
    return 0.0

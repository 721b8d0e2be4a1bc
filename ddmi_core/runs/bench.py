"""Benchmark of field evaluation, relative to the matrix-product peak of the machine."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from attrs import asdict, frozen
from torch import Tensor, nn

from ddmi_core.autoencoder.config import DecoderConfig
from ddmi_core.fields.config import ReadoutConfig
from ddmi_core.fields.coordinates import cell_centres, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout

PLAIN_CHUNKS = (2048, 4096, 8192, 16384, 65536)  # the fastest counts
WIDE = 256
COARSEST = 12  # cells along each axis of the coarsest basis fields
CPU = torch.device("cpu")
REPEATS = 3  # the fastest counts
PRODUCTS, GPU_PRODUCTS = (256, 512, 1024, 2048), (4096, 8192)  # rows of square matrices
LONG = 0.1  # seconds


@frozen
class Measurement:
    """One measured number."""

    name: str
    value: float
    unit: str
    note: str = ""


@frozen
class BenchResult:
    """Results of one benchmark."""

    threads: int
    measurements: tuple[Measurement, ...]

    def lines(self) -> list[str]:
        """The results as text."""
        rows = [f"{self.threads} threads, torch {torch.__version__}"]
        for m in self.measurements:
            value = f"{m.value:.0f}" if abs(m.value) >= 100 else f"{m.value:.3g}"
            rows.append(f"{m.name}: {value} {m.unit}".rstrip() + (f" ({m.note})" if m.note else ""))
        return rows

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), indent=1)


def measure_speed(plugin: str = "", size: Sequence[int] = (), cells: int = 1024) -> BenchResult:
    """Measure the matrix-product peak, lattice evaluation relative to the plain path, and optionally a large render.

    Args:
        plugin: plugin with shipped weights, for the render and export of one sample; empty for none.
        size: size of this render, slowest axis first.
        cells: points along each axis of the lattice for the default readout; half as many for the wide one.
    """
    peaks = {dtype: product_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    peak = peaks[torch.float32]
    found = [
        Measurement("matrix-product peak, float32", peak / 1e9, "GFLOP/s"),
        Measurement("matrix-product peak, bfloat16", peaks[torch.bfloat16] / 1e9, "GFLOP/s"),
    ]
    found += _lattice("default readout", _field(ReadoutConfig()), cells, peak)
    found += _lattice(f"readout of width {WIDE}", _field(ReadoutConfig(width=WIDE, depth=2)), cells // 2, peak)
    if plugin:
        found += _render(plugin, size)
    return BenchResult(torch.get_num_threads(), tuple(found))


def _field(config: ReadoutConfig) -> Field:
    """A field over a plane with random basis fields and the default channels."""
    layout = Layout(axes=("x", "y"), planes=(("x", "y"),), extra=("footprint",))
    channels = DecoderConfig().basis
    generator = torch.Generator().manual_seed(0)
    sizes = [COARSEST << scale for scale in range(len(channels))]
    basis = tuple(Planes([torch.randn(1, c, n, n, generator=generator)]) for c, n in zip(channels, sizes, strict=True))
    return Field(basis, CoarseToFineReadout(channels, 1, 3, config), layout)


@torch.inference_mode()
def _lattice(name: str, field: Field, n: int, peak: float) -> list[Measurement]:
    centres, extra = cell_centres(n), torch.full((1,), -2.0)
    coords = lattice_points((centres, centres))[None]

    def fast() -> Tensor:
        return torch.cat([values for _, values in field.lattice((centres, centres), extra).slabs()])

    def plain(chunk: int) -> Tensor:
        return torch.cat([field(part, extra) for part in torch.split(coords, chunk, dim=1)], dim=1)

    gap = float((fast().reshape(1, -1, 3) - plain(PLAIN_CHUNKS[0])).abs().max())
    quick = _fastest(fast)
    times = {chunk: _fastest(lambda chunk=chunk: plain(chunk)) for chunk in PLAIN_CHUNKS}  # type: ignore[misc]
    best = min(times, key=lambda chunk: times[chunk])
    whole = sum(2 * m.weight.numel() for m in field.readout.modules() if isinstance(m, nn.Linear))
    config = field.readout.config
    layers = len(field.readout.blocks) * config.depth - 1  # the first layer takes no hidden state
    state = 2 * layers * config.width**2
    points = n * n
    return [
        Measurement(f"{name}, {n} x {n}: lattice", quick, "s"),
        Measurement(f"{name}, {n} x {n}: plain path", times[best], "s", f"best chunk {best}"),
        Measurement(f"{name}: plain path / lattice", times[best] / quick, "times", f"largest difference {gap:.1e}"),
        Measurement(
            f"{name}: share of the matrix-product peak", 100 * state * points / quick / peak, "%", "hidden layers only"
        ),
        Measurement(
            f"{name}: share of the peak, whole MLP",
            100 * whole * points / quick / peak,
            "%",
            "operations of the plain path",
        ),
    ]


def _render(plugin: str, size: Sequence[int]) -> list[Measurement]:
    """Time and peak memory of one exported render in a separate process, compared with a process that imports torch."""
    view = ",".join(map(str, size))
    measure = "from ddmi_core.runs.bench import peak_memory; print('peak', peak_memory())"
    with tempfile.TemporaryDirectory() as folder:
        work = (
            "import sys, time; from pathlib import Path; import ddmi_core\n"
            "from ddmi_core.runs.generate import sample_files; from ddmi_core.settings.config import Export, Sampling\n"
            "model = ddmi_core.load(plugin=sys.argv[1]); started = time.perf_counter()\n"
            "size = tuple(map(int, sys.argv[2].split(','))) if sys.argv[2] else None\n"
            "sample_files(model, 1, Sampling(), Export(out=Path(sys.argv[3]), size=size))\n"
            "print('seconds', time.perf_counter() - started)\n"
        )
        rows = {}
        for name, program in (("idle", ""), ("work", work)):
            command = [sys.executable, "-c", program + measure, plugin, view, folder]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rows[name] = {key: float(value) for key, value in (line.split() for line in output.splitlines())}
        written = sum(path.stat().st_size for path in Path(folder).iterdir())
    label = f"{plugin} at {' x '.join(map(str, size)) or 'its native size'}"
    return [
        Measurement(f"{label}: sample, render, write", rows["work"]["seconds"], "s", f"file {written / 1e6:.1f} MB"),
        Measurement(f"{label}: peak memory", rows["work"]["peak"], "MiB"),
        Measurement(f"{label}: above a process with torch", rows["work"]["peak"] - rows["idle"]["peak"], "MiB"),
    ]


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))):
        # `ru_maxrss` would include the memory of the parent when it started this process.
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def product_rate(dtype: torch.dtype, device: torch.device = CPU) -> float:
    """Operations per second of the fastest square matrix product.

    Sizes grow until a product takes a tenth of a second: processors without bf16 take minutes for the larger ones.
    """
    best = 0.0
    for n in PRODUCTS if device.type == "cpu" else GPU_PRODUCTS:
        generator = torch.Generator().manual_seed(0)
        a, b = (torch.randn(n, n, generator=generator).to(device, dtype) for _ in range(2))

        def work(a: Tensor = a, b: Tensor = b) -> None:
            (a @ b)[0, 0].item()  # waits for the result

        seconds = _fastest(work)
        best = max(best, 2 * n**3 / seconds)
        if seconds > LONG:
            break
    return best


def _fastest(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)

"""Measurements with their spread, the result of a benchmark, and the comparison of two results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen, validators

from ddmi_core import record_files
from ddmi_core.errors import RequestError
from ddmi_core.evaluation.results import aligned

if TYPE_CHECKING:
    import torch

FEWEST = 3  # values on each side of a verdict, and repetitions of what takes long
LEAST, MOST = 5, 50  # other repetitions
CLOSE = 0.05  # difference of the repetitions as a share of their median, below which no more are needed


def _values(given: Iterable[float]) -> tuple[float, ...]:
    return tuple(given)


def _all_finite(instance: object, attribute: object, values: Sequence[float]) -> None:
    if not values or not all(map(isfinite, values)):
        raise ValueError("a measurement has one or more finite values")


@frozen
class Measurement:
    """A figure that was measured several times.

    Args:
        name: what was measured.
        unit: of the values.
        values: one for each repetition, in the order in which they were measured.
        better: `higher` or `lower`.
        note: how it was measured.
    """

    name: str
    unit: str
    values: tuple[float, ...] = field(converter=_values, validator=_all_finite)
    better: str = field(default="higher", validator=validators.in_(("higher", "lower")))
    note: str = ""

    @property
    def median(self) -> float:
        """Median of the values."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return min(self.values), max(self.values)


@frozen
class Machine:
    """What the figures depend on beside the code."""

    processor: str
    cores: int
    threads: int
    torch: str
    ddmi: str
    device: str


@frozen
class BenchResult:
    """Results of one benchmark.

    Args:
        machine: on which it ran.
        source: the plugin or the run whose model was measured; empty for none.
        seconds: that it took.
        measurements: in order.
        left_out: sentences about what could not be measured, and why.
    """

    machine: Machine
    source: str
    seconds: float
    measurements: tuple[Measurement, ...]
    left_out: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """A table with median, lowest and highest value of each measurement."""
        m = self.machine
        rows: list[tuple[str, ...]] = [("", "median", "lowest", "highest", "")]
        rows += [
            (one.name, *map(number, (one.median, *one.spread)), one.unit + (f", {one.note}" if one.note else ""))
            for one in self.measurements
        ]
        about = f"{m.processor}, {m.cores} cores, {m.threads} threads, {m.device}; torch {m.torch}, ddmi {m.ddmi}"
        end = f"{self.seconds:.0f} s"
        return [about, *aligned(rows, "<>>><"), *(f"left out: {sentence}" for sentence in self.left_out), end]

    def to_json(self) -> dict[str, Any]:
        """JSON values, which `read` takes; each measurement also has its `median`."""
        values = asdict(self)
        for entry, one in zip(values["measurements"], self.measurements, strict=True):
            entry["median"] = one.median
        return values


@frozen
class Comparison:
    """Measurements of two results, paired by name and unit.

    Args:
        now, before: the results.
    """

    now: BenchResult
    before: BenchResult

    @property
    def pairs(self) -> list[tuple[Measurement, Measurement]]:
        """Measurements `(now, before)` that both results have."""
        known = {(one.name, one.unit): one for one in self.before.measurements}
        return [(one, known[one.name, one.unit]) for one in self.now.measurements if (one.name, one.unit) in known]

    def lines(self) -> list[str]:
        """A table of ratios with verdicts."""
        rows: list[tuple[str, ...]] = [("", "now", "before", "now / before", "")]
        for now, before in self.pairs:
            ratio = f"{now.median / before.median:.2f}" if before.median else "-"
            rows.append(
                (f"{now.name}, {now.unit}", number(now.median), number(before.median), ratio, verdict(now, before))
            )
        return [*self._notes(), *aligned(rows, "<>>><"), *(f"left out: {sentence}" for sentence in self.now.left_out)]

    def to_json(self) -> dict[str, Any]:
        """JSON values: both results, and ratio and verdict of each pair."""
        found = [
            {
                "name": now.name,
                "unit": now.unit,
                "ratio": now.median / before.median if before.median else None,
                "verdict": verdict(now, before),
            }
            for now, before in self.pairs
        ]
        return {"now": self.now.to_json(), "before": self.before.to_json(), "comparison": found}

    def _notes(self) -> list[str]:
        ours, theirs = asdict(self.now.machine), asdict(self.before.machine)
        notes = [f"{key}: {ours[key]}, before {theirs[key]}" for key in ours if ours[key] != theirs[key]]
        if self.now.source != self.before.source:
            notes.append(f"model: {self.now.source or 'none'}, before {self.before.source or 'none'}")
        paired = {(one.name, one.unit) for pair in self.pairs for one in pair}
        for result, which in ((self.now, "now"), (self.before, "before")):
            alone = [one.name for one in result.measurements if (one.name, one.unit) not in paired]
            if alone:
                notes.append(f"measured {which} alone: {', '.join(alone)}")
        return notes


def verdict(now: Measurement, before: Measurement) -> str:
    """`better` or `worse` if no value of one side lies within the spread of the other, else `within the spread`.

    If nothing changed, five values on each side separate by chance in 2 of 252 comparisons (`2 / binomial(10, 5)`).
    """
    if min(len(now.values), len(before.values)) < FEWEST:
        return "too few values"
    (low, high), (lowest, highest) = now.spread, before.spread
    if low <= highest and lowest <= high:
        return "within the spread"
    return "better" if (low > highest) == (now.better == "higher") else "worse"


def read(path: Path) -> BenchResult:
    """The result in a file that `ddmi bench --json` has written; of a comparison, the newer one.

    Raises:
        RequestError: if it is no such file.
    """
    try:
        values = record_files.parsed(record_files.read_bytes(path))
        return record_files.structured(values.get("now", values), BenchResult)
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror or error}. Fix: give a file of ddmi bench --json") from error
    except record_files.DamagedRecord as error:
        raise RequestError(f"{path}: {error}. Fix: give a file of ddmi bench --json") from error


def enough(times: Sequence[float], seconds: float) -> bool:
    """Whether work has been repeated often enough: five times with close results, or until its time was over.

    Args:
        times: of the repetitions so far, in seconds.
        seconds: after which three repetitions are enough.
    """
    if sum(times) >= seconds:
        return len(times) >= FEWEST
    return len(times) >= LEAST and (len(times) >= MOST or max(times) - min(times) <= CLOSE * median(times))


def repeated(
    work: Callable[[], object],
    seconds: float,
    device: torch.device | None = None,
    first: Callable[[], object] | None = None,
) -> list[float]:
    """Seconds of each call, until they are enough.

    The first call, which allocates memory, counts only if it takes so long that this matters little.

    Args:
        work: what is measured.
        seconds: of all calls, about; see `enough`.
        device: whose work is waited for; the CPU if omitted.
        first: is called first instead, and never counts.
    """
    before = timed(first or work, device)
    found = [before] if first is None and before >= seconds else []
    while not enough(found, seconds):
        found.append(timed(work, device))
    return found


def timed(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Seconds of one call, with the work that it leaves to a device."""
    started = perf_counter()
    work()
    if device is not None and device.type == "cuda":
        import torch  # late, because results are compared without it

        torch.cuda.synchronize(device)
    return perf_counter() - started


def number(value: float) -> str:
    """A value with three digits at least."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

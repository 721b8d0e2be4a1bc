"""Export of samples and reconstructions of a model as files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

from attrs import frozen

from ddmi_core.api.evaluation import NORMAL, RECONSTRUCTION, Figure
from ddmi_core.atomic import write_error
from ddmi_core.errors import OutputError, RequestError
from ddmi_core.fields.field import Field
from ddmi_core.model.model import LARGEST_BATCH, Model
from ddmi_core.nested import move
from ddmi_core.out_of_memory import lowering
from ddmi_core.progress import doing, tracked
from ddmi_core.settings.config import Export, Sampling
from ddmi_core.sources.account import Change, accounting
from ddmi_core.sources.files import check_regular

HIGHER = ("_db", "iou", "ssim", "score", "consistency")  # ends of names of metrics that are better when higher
UNLIKE = 3.0  # standard deviations from the mean of held-out signals, beyond which a signal is unlike the data
LONGEST_NAME = 200  # bytes of the name of a result, which leaves room for suffixes and for prefixes while it is written
LEAST = 16  # held-out signals from which the deviation is taken

log = logging.getLogger(__name__)


@frozen
class Reconstruction:
    """A file that was written, and how good the reconstruction is.

    Args:
        path: of the file.
        measure: name of the metric; empty if the domain has none.
        value: of the metric.
        usual: its mean over held-out signals, if the run has figures.
        limit: its value that hardly any held-out signal reaches on the bad side.
        higher: whether higher values are better.
    """

    path: Path
    measure: str = ""
    value: float = 0.0
    usual: float | None = None
    limit: float = 0.0
    higher: bool = True

    @property
    def unlike(self) -> bool:
        """Whether the reconstruction is worse than those of held-out signals are."""
        beyond = self.value < self.limit if self.higher else self.value > self.limit
        return self.usual is not None and beyond

    def lines(self) -> list[str]:
        """The figure, and a warning, as text."""
        if not self.measure:
            return []
        unit, digits = (" dB", 1) if self.measure.endswith("_db") else ("", 3)
        usual = "" if self.usual is None else f" (held-out signals {self.usual:.{digits}f}{unit})"
        found = [f"{self.path.name}: {self.measure} {self.value:.{digits}f}{unit}{usual}"]
        if self.unlike:
            found.append(
                f"warning: {self.path.name}: unlike the data that the model was trained on, so its reconstruction is "
                f"poor: {self.measure} beyond {self.limit:.{digits}f}{unit}, which held-out signals hardly reach"
            )
        return found


def sample_files(model: Model, n: int, sampling: Sampling, export: Export) -> list[Path]:
    """Generate fields and export one artefact each, `sample-0000.*`, in parts: memory does not grow with `n`.

    Artefacts have the units and axes that the domain's settings name, unless `export.normalised`.

    Raises:
        RequestError: for names or numbers that the model does not accept.
        OutputError: if files exist already or cannot be written.
        NotFiniteError: if a sample is not finite; those before it are written.
    """
    if n < 1:
        raise RequestError(f"n={n} must be at least 1")
    finish = finisher(model, export)
    paths = _paths(model, export, [f"sample-{number:04d}" for number in range(n)])
    parts = model.sample_parts(n, sampling=sampling)
    fewer = f"draw fewer samples at once: -n below {min(n, LARGEST_BATCH)}, and others with another --seed"
    done = 0
    while done < n:
        with lowering("the sampling", fewer):
            fields = next(parts)
        for number in tracked("files", range(len(fields))):
            with rendering():
                path = paths[done + number]
                model.write(finish(model.render(fields[number], export.size), (), path.suffix), path)
        done += len(fields)
        del fields  # before the next part
    return paths


@contextmanager
def rendering() -> Iterator[None]:
    """Where fields are rendered and written: names the size if memory is exhausted."""
    fix = "give a smaller --size; the file type decides what else is in memory (--format)"
    with doing("rendering"), lowering("the rendering", fix):
        yield


def finisher(model: Model, export: Export) -> Callable[[Any, Sequence[Change], str], Any]:
    """A function `(artefact, changes, suffix)` that simplifies and restores artefacts, as is requested.

    Raises:
        RequestError: if the domain cannot simplify them.
    """
    simplify = model.parts.simplifier(export.faces) if export.faces else None

    def finish(artefact: Any, changes: Sequence[Change], suffix: str) -> Any:
        reduced = simplify(artefact) if simplify else artefact
        return reduced if export.normalised else model.parts.restored(reduced, changes, suffix)

    return finish


def reconstruct_files(
    model: Model, inputs: Sequence[Path], export: Export, figures: Sequence[Figure] = ()
) -> list[Reconstruction]:
    """Encode and decode signals from files, and export one artefact each, named by `output_names`.

    Artefacts have the units, position and axes of their files, unless `export.normalised`.

    Args:
        model: the model.
        inputs: files.
        export: where and how to write.
        figures: of the run, for comparison with its held-out signals.

    Raises:
        DataError: if an input cannot be read.
        RequestError: if the domain writes no files of the suffix, or cannot simplify artefacts.
        OutputError: if files exist already or cannot be written.
    """
    finish = finisher(model, export)
    paths = _paths(model, export, output_names(inputs))
    made = []
    for source, path in tracked("files", list(zip(inputs, paths, strict=True))):
        with lowering("the encoding of one input", "give a smaller input, or use a machine with more memory"):
            signal, changes = read_input(model, source)
            field = model.reconstruct(signal)
        with rendering():
            model.write(finish(model.render(field, export.size), changes, path.suffix), path)
        made.append(_measured(model, field, signal, path, figures))
    return made


def read_input(model: Model, path: Path) -> tuple[Any, tuple[Change, ...]]:
    """The signal (B = 1) in a file, and what its reader changed; warnings of the reader go to the log.

    Raises:
        DataError: if it cannot be read.
    """
    check_regular(path)
    with accounting() as opened:
        signal = model.read(path)
    for remark in opened.warnings:
        log.warning("%s", remark.sentence())
    return signal, opened.changes.get(path.name, ())


def _measured(model: Model, field: Field, signal: Any, path: Path, figures: Sequence[Figure]) -> Reconstruction:
    """The domain's first metric of a reconstruction, and the range that it has for held-out signals."""
    name, metric = next(iter(model.parts.metrics().items()), ("", None))
    if metric is None:
        return Reconstruction(path)
    value = float(metric(field, move(signal, model.device), model.renderer)[0])
    found = next((figure for figure in figures if figure.name == f"{RECONSTRUCTION}{name}"), None)
    n = found.protocol.get("n", 0) if found is not None else 0
    if found is None or found.interval is None or not isinstance(n, int) or n < LEAST:
        return Reconstruction(path, name, value)
    # The interval of the mean is 1.96 standard deviations of the signals, over the root of their number.
    deviation = (found.interval[1] - found.interval[0]) / 2 / NORMAL * n**0.5
    sign = 1 if name.endswith(HIGHER) else -1
    return Reconstruction(path, name, value, found.value, found.value - sign * UNLIKE * deviation, sign > 0)


def _paths(model: Model, export: Export, names: Sequence[str]) -> list[Path]:
    """Paths of new files, in a folder that is ready for them."""
    suffix = export.suffix or model.suffix
    model.exporter(suffix)
    paths = [export.out / f"{name}{suffix}" for name in names]
    prepare(export.out, paths, export.overwrite)
    return paths


def output_names(inputs: Sequence[Path]) -> list[str]:
    """Unique names for the results of inputs: the inputs' names without suffix.

    Equal names in different folders are prefixed with as many folders as necessary: `circles/0.png` and
    `squares/0.png` give `circles-0` and `squares-0`. Names of more than `LONGEST_NAME` bytes lose their end. Names that
    are still equal are numbered.
    """
    keys = [(*(part for part in path.parent.parts if part not in (path.anchor, "..")), path.stem) for path in inputs]
    same: dict[str, set[tuple[str, ...]]] = {}
    for key in keys:
        same.setdefault(key[-1], set()).add(key)
    depths = {
        stem: next(n for n in count(1) if len({key[-n:] for key in group}) == len(group))
        for stem, group in same.items()
    }
    names: dict[str, None] = {}
    for key in keys:
        name = "-".join(key[-depths[key[-1]] :])
        while len(os.fsencode(name)) > LONGEST_NAME:
            name = name[:-1]
        candidates = chain([name], (f"{name}-{number}" for number in count(2)))
        names[next(candidate for candidate in candidates if candidate not in names)] = None
    return list(names)


def prepare(out: Path, paths: Sequence[Path], overwrite: bool) -> None:
    """Create the output folder and check that no file would be lost.

    Raises:
        OutputError: if the folder cannot be created, or files exist and must not be overwritten.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{out} is a file; choose another --out folder") from error
    except OSError as error:
        raise write_error(out, error) from error
    if (existing := [path for path in paths if path.exists()]) and not overwrite:
        raise OutputError(f"{existing[0]} exists already; use another --out folder, or --overwrite")

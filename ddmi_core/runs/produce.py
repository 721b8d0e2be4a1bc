"""Samples and reconstructions written as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ddmi_core.errors import OutputError, RequestError, unknown_name
from ddmi_core.fields.field import Field
from ddmi_core.runs.model import Model
from ddmi_core.training.checkpoint import write_error, written_aside


def sample(
    model: Model,
    n: int,
    *,
    seed: int = 0,
    steps: int | None = None,
    sampler: str | None = None,
    size: tuple[int, ...] | None = None,
    condition: str | None = None,
    guidance: float | None = None,
    out: Path,
    overwrite: bool = False,
) -> list[Path]:
    """Generate fields and export one artefact each, `sample-0000.*`.

    Raises:
        RequestError: for names or numbers that the model cannot use.
        OutputError: if files exist already or cannot be written.
    """
    suffix, export = exporter(model)
    paths = [out / f"sample-{number:04d}{suffix}" for number in range(n)]
    prepare(out, paths, overwrite)
    fields = model.sample(n, seed=seed, steps=steps, sampler=sampler, condition=condition, guidance=guidance)
    return _write(model, fields, size, export, paths)


def reconstruct(
    model: Model,
    inputs: Sequence[Path],
    *,
    size: tuple[int, ...] | None = None,
    out: Path,
    overwrite: bool = False,
) -> list[Path]:
    """Encode and decode signals from files, and export one artefact each under the input's name.

    Raises:
        DataError: if an input cannot be read.
        OutputError: if files exist already or cannot be written.
    """
    suffix, export = exporter(model)
    paths = [out / f"{path.stem}{suffix}" for path in inputs]
    if len(set(paths)) < len(paths):
        raise RequestError("two inputs have the same name, so their results would overwrite each other")
    prepare(out, paths, overwrite)
    read = model.domain.resolve(model.domain.read)
    written = []
    for source, path in zip(inputs, paths, strict=True):
        signal = read(source, model.config.domain)
        field = model.decode(model.encode(signal).mean)
        written += _write(model, field, size, export, [path])
    return written


def exporter(model: Model, suffix: str | None = None) -> tuple[str, Callable[[Any, Path], None]]:
    """A file suffix with its export function; the domain's first by default.

    Raises:
        RequestError: if the domain cannot write such files.
    """
    exporters = model.domain.exporters
    chosen = suffix or next(iter(exporters))
    if chosen not in exporters:
        raise RequestError(unknown_name("file type", chosen, exporters))
    return chosen, model.domain.resolve(exporters[chosen])


def prepare(out: Path, paths: Sequence[Path], overwrite: bool) -> None:
    """Make the output folder and see that nothing in it would be lost.

    Raises:
        OutputError: if the folder cannot be made, or files exist already and may not be overwritten.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{out} is a file; choose another --out folder") from error
    except OSError as error:
        raise write_error(out, error) from error
    if (existing := [path for path in paths if path.exists()]) and not overwrite:
        raise OutputError(f"{existing[0]} exists already; give another --out folder, or --overwrite")


def _write(
    model: Model,
    fields: Field,
    size: tuple[int, ...] | None,
    export: Callable[[Any, Path], None],
    paths: Sequence[Path],
) -> list[Path]:
    for field, path in zip(fields, paths, strict=True):
        with written_aside(path) as aside:
            export(model.render(field, size), aside)
    return list(paths)

"""Export of samples and reconstructions of a model as files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from ddmi_core.atomic import write_error
from ddmi_core.errors import OutputError
from ddmi_core.model.model import Model
from ddmi_core.settings.config import Export, Sampling


def sample_files(model: Model, n: int, sampling: Sampling, export: Export) -> list[Path]:
    """Generate fields and export one artefact each, `sample-0000.*`.

    Raises:
        RequestError: for names or numbers that the model does not accept.
        OutputError: if files exist already or cannot be written.
    """
    paths = _paths(model, export, [f"sample-{number:04d}" for number in range(n)])
    fields = model.fields(model.sample_latents(n, sampling))
    for field, path in zip(fields, paths, strict=True):
        model.write(model.render(field, export.size), path)
    return paths


def reconstruct_files(model: Model, inputs: Sequence[Path], export: Export) -> list[Path]:
    """Encode and decode signals from files, and export one artefact each, named by `output_names`.

    Raises:
        DataError: if an input cannot be read.
        RequestError: if the domain writes no files of the suffix.
        OutputError: if files exist already or cannot be written.
    """
    paths = _paths(model, export, output_names(inputs))
    for source, path in zip(inputs, paths, strict=True):
        model.write(model.render(model.reconstruct(model.read(source)), export.size), path)
    return paths


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
    `squares/0.png` give `circles-0` and `squares-0`. Names that are still equal are numbered.
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

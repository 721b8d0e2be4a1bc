"""Export of fields as programs of `torch.export` and ONNX, with a check that they give the field's values."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddmi_core.atomic import written_aside
from ddmi_core.errors import NotFiniteError, OutputError, RequestError, unknown_name
from ddmi_core.fields.field import Field
from ddmi_core.model.model import Model
from ddmi_core.runs.generate import prepare
from ddmi_core.settings.config import Sampling

FORMATS = (".pt2", ".onnx")
RECORD = "ddmi.json"  # in the extra files of a pt2 file, and among the metadata of an ONNX file
POINTS = 1024  # at which program and field are compared
TOLERANCE = 1e-4  # of the largest value, or of 1: some roundings of float32
PACKAGES = ("onnxscript", "onnxruntime")

Program = Callable[..., Tensor]


def export_files(model: Model, n: int, sampling: Sampling, out: Path, suffix: str, overwrite: bool) -> list[Path]:
    """Generate samples, and export each field as a program, `sample-0000.*`.

    Raises:
        RequestError: for an unknown format, names or numbers that the model does not accept, or missing packages.
        OutputError: if files exist already or cannot be written, or a program gives other values than its field.
        NotFiniteError: if a sample is not finite.
    """
    check_format(suffix)
    paths = [out / f"sample-{number:04d}{suffix}" for number in range(n)]
    prepare(out, paths, overwrite)
    fields = (field for part in model.sample_parts(n, sampling=sampling) for field in part)
    for field, path in zip(fields, paths, strict=True):
        export(field, path, model.parts.channels())
    return paths


def check_format(suffix: str) -> None:
    """Check that programs of a format can be written here.

    Raises:
        RequestError: if it is unknown, or a package is missing.
    """
    if suffix not in FORMATS:
        raise RequestError(unknown_name("format of programs", suffix, FORMATS))
    if suffix == ".onnx" and (missing := [name for name in PACKAGES if find_spec(name) is None]):
        raise RequestError(f"ONNX files require {', '.join(missing)}. Fix: pip install 'ddmi[onnx]'")


@torch.no_grad()
def export(field: Field, path: Path, names: Sequence[str] = ()) -> float:
    """Write a field as a program from coordinates to values, in the format of the path's suffix, atomically.

    The program takes `coords`, float32 `(B, N, D)` for any N, and, if the layout has extra columns, `extra`
    `(B, N, X)`; it returns `values` `(B, N, V)`. The written file is read again and compared with the field.

    Args:
        field: one function or a batch, which determines B.
        path: ends in `.pt2` or `.onnx`.
        names: of the value channels, for the file's record.

    Returns:
        the largest difference at 1024 random points, some of them outside of [-1, 1]

    Raises:
        RequestError: for another suffix, or if a package is missing.
        OutputError: if the file cannot be written, or its program gives other values than the field.
        NotFiniteError: if the field has values that are not finite.
    """
    check_format(path.suffix)
    plain, layout = field.to("cpu", torch.float32), field.layout
    if not all(plane.isfinite().all() for planes in plain.basis for plane in planes):
        raise NotFiniteError.of_field()
    inputs = ("coords", "extra")[: 1 + bool(layout.extra)]
    generator = torch.Generator().manual_seed(0)
    columns = {"coords": len(layout.axes), "extra": len(layout.extra)}
    given = [2.2 * torch.rand(len(plain), POINTS, columns[name], generator=generator) - 1.1 for name in inputs]
    wanted = plain(given[0], given[1] if layout.extra else None)
    record = {
        "inputs": {name: getattr(layout, kind) for name, kind in zip(inputs, ("axes", "extra"), strict=False)},
        "values": tuple(names),
    }
    with written_aside(path) as aside:
        write, read = (_write_onnx, _read_onnx) if path.suffix == ".onnx" else (_write_pt2, _read_pt2)
        with _quiet():
            write(plain, [part[:, :2] for part in given], inputs, json.dumps(record), aside)
            values = read(aside, inputs)(*given)
        difference = float((values - wanted).abs().max())
        # A difference that is not a number is one as well.
        if not difference <= TOLERANCE * max(1.0, float(wanted.abs().max())):
            raise OutputError(
                f"{path}: the program differs from the field by up to {difference:.2g}, so it is not written. Fix: "
                f"update torch{' and onnxscript' * (path.suffix == '.onnx')}, or use another --format"
            )
    return difference


def _shapes(count: int) -> tuple[dict[int, Any], ...]:
    """The number of points is any; that of functions is fixed."""
    return ({1: torch.export.Dim("points")},) * count


def _write_pt2(field: Field, example: Sequence[Tensor], inputs: Sequence[str], record: str, path: Path) -> None:
    program = torch.export.export(field.module().eval(), tuple(example), dynamic_shapes=_shapes(len(inputs)))
    with path.open("wb") as file:  # the name of an unfinished file has another suffix
        torch.export.save(program, file, extra_files={RECORD: record})


def _read_pt2(path: Path, inputs: Sequence[str]) -> Program:
    with path.open("rb") as file:
        program: Program = torch.export.load(file).module()
    return program


def _write_onnx(field: Field, example: Sequence[Tensor], inputs: Sequence[str], record: str, path: Path) -> None:
    program: Any = torch.onnx.export(
        field.module().eval(),
        tuple(example),
        input_names=list(inputs),
        output_names=["values"],
        dynamic_shapes=_shapes(len(inputs)),
        dynamo=True,
        optimize=False,  # runtimes do it when they load the file
        verbose=False,
    )
    program.model.metadata_props[RECORD] = record
    program.save(str(path))


def _read_onnx(path: Path, inputs: Sequence[str]) -> Program:
    session = import_module("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(*given: Tensor) -> Tensor:
        fed = {name: part.numpy() for name, part in zip(inputs, given, strict=True)}
        return torch.from_numpy(session.run(["values"], fed)[0])

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the messages of exporters about packages and axes that no field needs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

"""Field files: basis fields, readout and layout in one safetensors file, readable without a plugin."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError, PluginError
from ddmi_core.fields.layout import Embedding, Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig

FORMAT = 2  # since 2, layouts with periodic axes or an embedding; other fields still have format 1
_RECORD = "ddmi.field"
# RecursionError, which deep nesting raises, is a RuntimeError.
_DAMAGED = (OSError, safetensors.SafetensorError, LookupError, ValueError, TypeError, RuntimeError, OverflowError)

Built = TypeVar("Built", bound=Callable[[Tensor], Tensor])


def save(basis: Sequence[Planes], readout: CoarseToFineReadout, layout: Layout, path: Path) -> None:
    """Write the parts of a field.

    Raises:
        OutputError: if the file cannot be written; an existing file stays unchanged.
    """
    tensors = {
        f"basis.{scale}.{plane}": grid.detach().cpu().contiguous()
        for scale, planes in enumerate(basis)
        for plane, grid in enumerate(planes)
    }
    tensors |= {f"readout.{name}": weight.cpu().contiguous() for name, weight in readout.state_dict().items()}
    record = {
        "format": FORMAT if layout.periodic or layout.embedding else 1,
        "layout": attrs.asdict(layout, filter=lambda part, value: value or part.name not in ("periodic", "embedding")),
        "readout": attrs.asdict(readout.config),
        "embedding": readout.embedding,
        "values": readout.values,
        "planes": [len(planes) for planes in basis],
    }
    data = safetensors.torch.save(tensors, metadata={_RECORD: json.dumps(record)})
    with written_aside(path) as aside:
        aside.write_bytes(data)


def load(path: Path, build: Callable[[tuple[Planes, ...], CoarseToFineReadout, Layout], Built]) -> Built:
    """Read a field.

    Args:
        path: a file that `save` wrote.
        build: makes a field of its parts.

    Raises:
        CheckpointError: if the file is not a field, is damaged, comes from a newer version, or needs the embedding
            of a package that is not imported.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as stored:
            record = json.loads((stored.metadata() or {})[_RECORD])
            # Copies, since tensors of a mapped file lie at any address, and the last digits depend on the alignment.
            tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118
        if record["format"] <= FORMAT:
            return _built(record, tensors, build)
    except PluginError as error:
        raise CheckpointError(f"{path} cannot be evaluated: {error}") from error
    except _DAMAGED as error:
        raise CheckpointError(f"{path} is not a stored field, or is damaged: {error}") from error
    raise CheckpointError(
        f"{path} has field format {record['format']}; this version reads up to {FORMAT}. Fix: install a newer ddmi"
    )


def _built(
    record: dict[str, Any],
    tensors: dict[str, Tensor],
    build: Callable[[tuple[Planes, ...], CoarseToFineReadout, Layout], Built],
) -> Built:
    """The field of a record and its tensors, evaluated once, which detects inconsistent shapes."""
    layout = _layout(record["layout"])
    # On the meta device, the readout allocates nothing and draws no random numbers; the stored tensors replace it.
    with torch.device("meta"):
        config = ReadoutConfig(**record["readout"])
        readout = CoarseToFineReadout(record["embedding"], len(layout.extra), record["values"], config)
    weights = {name.removeprefix("readout."): t for name, t in tensors.items() if name.startswith("readout.")}
    readout.load_state_dict(weights, assign=True)
    basis = tuple(
        Planes(tensors[f"basis.{scale}.{plane}"] for plane in range(count))
        for scale, count in enumerate(record["planes"])
    )
    field = build(basis, readout.eval().requires_grad_(False), layout)
    with torch.no_grad():
        field(basis[0][0].new_zeros(basis[0].batch, 1, len(layout.axes)))
    return field


def _layout(record: dict[str, Any]) -> Layout:
    """The layout of a record; a file cannot make a program import a package that it does not use already."""
    if not record.get("embedding"):
        return Layout(**record)
    embedding = Embedding(**record["embedding"])
    for reference in filter(None, (embedding.function, embedding.weights)):
        package = reference.split(":")[0].split(".")[0]
        if package not in sys.modules:
            raise PluginError(
                f"its layout's embedding {reference!r} belongs to the package {package!r}, which is not imported. "
                f"Fix: install the plugin that contains it, and write `import {package}` before loading the field"
            )
    return Layout(**{**record, "embedding": embedding})

"""Field files: basis fields, readout and layout in one safetensors file, readable without a plugin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig

FORMAT = 1
_RECORD = "ddmi.field"


def save(field: Field, path: Path) -> None:
    """Write a field with its readout and layout.

    Raises:
        OutputError: if the file cannot be written; an existing file stays unchanged.
    """
    tensors = {
        f"basis.{scale}.{plane}": grid.detach().cpu().contiguous()
        for scale, planes in enumerate(field.basis)
        for plane, grid in enumerate(planes)
    }
    tensors |= {f"readout.{name}": weight.cpu().contiguous() for name, weight in field.readout.state_dict().items()}
    record = {
        "format": FORMAT,
        "layout": attrs.asdict(field.layout),
        "readout": attrs.asdict(field.readout.config),
        "embedding": field.readout.embedding,
        "values": field.readout.values,
        "planes": [len(planes) for planes in field.basis],
    }
    data = safetensors.torch.save(tensors, metadata={_RECORD: json.dumps(record)})
    with written_aside(path) as aside:
        aside.write_bytes(data)


def load(path: Path) -> Field:
    """Read a field.

    Raises:
        CheckpointError: if the file is not a field, is damaged, or comes from a newer version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as stored:
            record = json.loads((stored.metadata() or {})[_RECORD])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        if record["format"] <= FORMAT:
            return _build(record, tensors)
    except (OSError, safetensors.SafetensorError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a stored field, or is damaged: {error}") from error
    raise CheckpointError(
        f"{path} has field format {record['format']}; this version reads up to {FORMAT}. Fix: install a newer ddmi"
    )


def _build(record: dict[str, Any], tensors: dict[str, Tensor]) -> Field:
    """Build a field from its record and tensors, and evaluate it once, which detects inconsistent shapes."""
    layout = Layout(**record["layout"])
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
    field = Field(basis, readout.requires_grad_(False), layout)
    with torch.no_grad():
        field(basis[0][0].new_zeros(len(field), 1, len(layout.axes)))
    return field

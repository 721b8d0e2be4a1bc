"""Fields in files: basis fields, readout and layout in one safetensors file that needs no plugin."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import safetensors
import safetensors.torch

from ddmi_core.errors import CheckpointError
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig

FORMAT = 1


def save(field: Field, path: Path) -> None:
    """Write a field with everything that is needed to call it."""
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
    path.write_bytes(safetensors.torch.save(tensors, metadata={"ddmi.field": json.dumps(record)}))


def load(path: Path) -> Field:
    """Read a field.

    Raises:
        CheckpointError: if the file is not a field, is damaged, or comes from a newer version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        record = json.loads(metadata["ddmi.field"])
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a stored field, or is damaged: {error}") from error
    if record["format"] > FORMAT:
        raise CheckpointError(f"{path} has field format {record['format']}; this version reads up to {FORMAT}")
    layout = Layout(**record["layout"])
    config = ReadoutConfig(**record["readout"])
    readout = CoarseToFineReadout(record["embedding"], len(layout.extra), record["values"], config)
    readout.load_state_dict(
        {name.removeprefix("readout."): t for name, t in tensors.items() if name.startswith("readout.")}
    )
    basis = tuple(
        Planes(tensors[f"basis.{scale}.{plane}"] for plane in range(count))
        for scale, count in enumerate(record["planes"])
    )
    return Field(basis, readout, layout)

"""Checks of fields: what `observe` gives, alone, against a render, and in any order of the points."""

from __future__ import annotations

from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from ddmi_core.api.signals import Queries
from ddmi_core.fields.coordinates import cell_axes, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.testing.check import NotApplicable, expect
from ddmi_core.testing.grids import grid_of, on_native_grid
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import finite, furthest, leaves
from ddmi_core.training.objective import generator_for

CLOSE = 1e-4
CHUNK = 37
LATTICE = (9, 7, 5, 3)


def check_decode(subject: Subject) -> None:
    """A decoded field takes coordinates (B, N, D) and gives float32 values (B, N, V), differentiable in both."""
    fields, axes = subject.fields, len(subject.domain.layout.axes)
    coords = _coords(subject).requires_grad_()
    values = fields(coords)
    wanted = (len(fields), coords.shape[1], len(subject.domain.values))
    expect(
        values.shape == wanted and values.dtype == torch.float32 and finite(values),
        "values of a field have a wrong shape or type, or are not finite",
        "give the decoder's `channels` and the layout as they are; `values` names one channel each",
        shape=tuple(values.shape),
        wanted=wanted,
        dtype=str(values.dtype),
    )
    (slope,) = torch.autograd.grad(values.sum(), coords)
    largest = [float(column.abs().max()) for column in slope.unbind(-1)]
    expect(
        finite(slope) and min(largest) > 0,
        "values do not depend on every coordinate",
        "let every axis be spanned by a plane, and basis fields vary along it",
        axes=axes,
        largest_slopes=largest,
    )


def check_observe(subject: Subject) -> None:
    """observe gives finite float32 values of the targets' shape, and the same for the same field and queries."""
    queries = subject.queries(0)
    with torch.no_grad():
        values = subject.parts.renderer.observe(subject.fields, queries)
        again = subject.parts.renderer.observe(subject.fields, queries)
    expect(
        values.shape == queries.targets.shape and values.dtype == queries.targets.dtype and finite(values),
        "what observe gives does not fit the targets",
        "give one finite float32 value a target: (B, N, V)",
        shape=tuple(values.shape),
        targets=tuple(queries.targets.shape),
        dtype=str(values.dtype),
    )
    apart = furthest(values, again)
    expect(
        apart == 0,
        "observe gives other values the second time",
        "draw no random numbers in observe; what is to vary comes with the queries",
        difference=apart,
    )


def check_observe_agrees_with_render(subject: Subject) -> None:
    """observe at the cells of the native grid gives what a render of that size shows."""
    shown = torch.from_numpy(grid_of(subject.native))
    values = on_native_grid(subject, subject.fields[0])[0]
    # Renders may be clipped, values at points are not.
    low, high = getattr(subject.parts.renderer, "limits", (float(shown.min()), float(shown.max())))
    values = values.clamp(low, high)
    expect(
        values.shape == shown.shape,
        "a render has another shape than what is observed",
        "give (*size, V), slowest axis first",
        render=tuple(shown.shape),
        observed=tuple(values.shape),
    )
    apart = float((values - shown).abs().max())
    expect(
        apart <= CLOSE,
        "a render shows other values than observe gives at its cells",
        "evaluate both at the same coordinates, cell i of n at (2 i + 1) / n - 1, with the same extra columns",
        difference=apart,
        tolerance=CLOSE,
        cells=tuple(shown.shape[:-1]),
    )


def check_points_are_independent(subject: Subject) -> None:
    """A value depends on its own coordinate alone: points in any order and number give the same values."""
    queries = subject.queries(0)
    count = queries.targets.shape[1]
    order = torch.randperm(count, generator=generator_for(0, "permutation"))
    with torch.no_grad():
        wanted = subject.parts.renderer.observe(subject.fields, queries)
        moved = subject.parts.renderer.observe(subject.fields, _some(queries, order))
        parts = [
            subject.parts.renderer.observe(subject.fields, _some(queries, part))
            for part in torch.split(torch.arange(count), CHUNK)
        ]
    for how, apart in (
        ("in another order", furthest(moved, wanted[:, order])),
        (f"in chunks of {CHUNK}", furthest(torch.cat(parts, dim=1), wanted)),
    ):
        expect(
            apart <= CLOSE,
            f"observe gives other values for points {how}",
            "mix nothing across points: no normalisation or attention over them",
            difference=apart,
            tolerance=CLOSE,
            points=count,
        )


def check_lattice_agrees_with_points(subject: Subject) -> None:
    """The fast evaluation on a lattice gives what single points give, whatever its chunk."""
    field, count = subject.fields[0], len(subject.domain.layout.axes)
    size = tuple(LATTICE[axis % len(LATTICE)] for axis in range(count))
    axes = cell_axes(size)
    with torch.no_grad():
        wanted = field(lattice_points(axes)[None])[0]
    for chunk in (CHUNK, 4096):
        with torch.inference_mode():
            values = torch.cat([slab.flatten(0, -2) for _, slab in field.lattice(axes, chunk=chunk).slabs()])
        apart = furthest(values, wanted)
        expect(
            apart <= CLOSE,
            "a lattice gives other values than its points",
            "leave the readout and the basis fields as the core makes them, in float32",
            difference=apart,
            tolerance=CLOSE,
            chunk=chunk,
        )


def check_fields_are_stored(subject: Subject) -> None:
    """A field that is saved and loaded gives the same values, without the plugin."""
    path = subject.scratch("field") / "field.safetensors"
    subject.fields.save(path)
    coords = _coords(subject)
    with torch.no_grad():
        apart = furthest(Field.load(path)(coords), subject.fields(coords))
    expect(
        apart <= CLOSE,
        "a stored field gives other values",
        "use the core's readout, and basis fields that hold all that a field knows",
        difference=apart,
        tolerance=CLOSE,
    )


def check_cpu(subject: Subject) -> None:
    """Without being asked for, nothing is put on a GPU: signals, queries, weights and fields are on the CPU."""
    parts = {
        "signals": subject.batch,
        "queries": subject.queries(0),
        "weights": tuple(subject.autoencoder.state_dict().values()),
        "basis fields": subject.fields.basis,
    }
    for name, item in parts.items():
        places = {tensor.device.type for _, tensor in leaves(item)}
        expect(places <= {"cpu"}, f"{name} are on {places}", "leave moving to the core", devices=len(places))
    expect(not subject.process_report.cuda, "a GPU was taken into use", "leave devices to the core", processes=1)


def _coords(subject: Subject) -> Tensor:
    shape = (subject.count, 64, len(subject.domain.layout.axes))
    return 2 * torch.rand(shape, generator=generator_for(0, "coords")) - 1


def _some(queries: Queries, chosen: Tensor) -> Queries:
    """Some of the points, as points that are no patch."""
    batch, count = queries.targets.shape[:2]
    changed: dict[str, Any] = {"patch": ()}
    for name, tensor in leaves(queries):
        if tensor.shape[:2] == (batch, count):
            if not hasattr(queries, name):
                raise NotApplicable(f"{name} of {type(queries).__name__} is inside another class")
            changed[name] = tensor[:, chosen]
    return evolve(queries, **changed)

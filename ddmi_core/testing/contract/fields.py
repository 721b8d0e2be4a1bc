"""Checks of fields: values of `observe`, agreement with renders, independence of points, and storage."""

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
        "make the decoder's `channels` and the layout consistent with its output, and name each channel in `values`",
        shape=tuple(values.shape),
        wanted=wanted,
        dtype=str(values.dtype),
    )
    (slope,) = torch.autograd.grad(values.sum(), coords)
    largest = [float(column.abs().max()) for column in slope.unbind(-1)]
    expect(
        finite(slope) and min(largest) > 0,
        "values do not depend on every coordinate",
        "let a plane span every axis, and basis fields vary along it",
        axes=axes,
        largest_slopes=largest,
    )


def check_observe(subject: Subject) -> None:
    """observe gives finite float32 values of the targets' shape, equal for equal fields and queries."""
    queries = subject.queries(0)
    with torch.no_grad():
        values = subject.parts.renderer.observe(subject.fields, queries)
        again = subject.parts.renderer.observe(subject.fields, queries)
    expect(
        values.shape == queries.targets.shape and values.dtype == queries.targets.dtype and finite(values),
        "the values of observe do not match the targets",
        "return one finite float32 value per target: (B, N, V)",
        shape=tuple(values.shape),
        targets=tuple(queries.targets.shape),
        dtype=str(values.dtype),
    )
    apart = furthest(values, again)
    expect(
        apart == 0,
        "repeated calls of observe give different values",
        "draw no random numbers in observe; draw them in the sampler and store them in the queries",
        difference=apart,
    )


def check_observe_agrees_with_render(subject: Subject) -> None:
    """observe at the cells of the native grid gives the values of a render of that size."""
    if subject.parts.likelihood() == "bernoulli":
        raise NotApplicable("fields give logits, and renders may show labels or probabilities")
    values = on_native_grid(subject, subject.fields[0])[0]
    shown = torch.from_numpy(grid_of(subject.native))
    # Renders may be clipped, values at points are not.
    values = values.clamp(*subject.parts.renderer.limits)
    expect(
        values.shape == shown.shape,
        "the shape of a render differs from that of the observed values",
        "return (*size, V), slowest axis first",
        render=tuple(shown.shape),
        observed=tuple(values.shape),
    )
    apart = float((values - shown).abs().max())
    expect(
        apart <= CLOSE,
        "a render differs from the values of observe at its cells",
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
            f"observe gives different values for points {how}",
            "use no operations across points, such as normalisation or attention",
            difference=apart,
            tolerance=CLOSE,
            points=count,
        )


def check_lattice_agrees_with_points(subject: Subject) -> None:
    """The fast evaluation on a lattice agrees with single points, for any chunk size."""
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
            "a lattice gives different values than its points",
            "keep the readout and the basis fields of the core unchanged, in float32",
            difference=apart,
            tolerance=CLOSE,
            chunk=chunk,
        )


def check_fields_are_stored(subject: Subject) -> None:
    """A saved and loaded field gives the same values, without the plugin."""
    path = subject.scratch("field") / "field.safetensors"
    subject.fields.save(path)
    coords = _coords(subject)
    with torch.no_grad():
        apart = furthest(Field.load(path)(coords), subject.fields(coords))
    expect(
        apart <= CLOSE,
        "a stored field gives different values",
        "use the core's readout, and keep all state of a field in its basis fields",
        difference=apart,
        tolerance=CLOSE,
    )


def check_cpu(subject: Subject) -> None:
    """Nothing is moved to a GPU without request: signals, queries, weights and fields are on the CPU."""
    parts = {
        "signals": subject.batch,
        "queries": subject.queries(0),
        "weights": tuple(subject.autoencoder.state_dict().values()),
        "basis fields": subject.fields.basis,
    }
    for name, item in parts.items():
        places = {tensor.device.type for _, tensor in leaves(item)}
        expect(places <= {"cpu"}, f"{name} are on {places}", "leave devices to the core", devices=len(places))
    expect(not subject.process_report.cuda, "a GPU was initialised", "leave devices to the core", processes=1)


def _coords(subject: Subject) -> Tensor:
    shape = (subject.count, 64, len(subject.domain.layout.axes))
    return 2 * torch.rand(shape, generator=generator_for(0, "coords")) - 1


def _some(queries: Queries, chosen: Tensor) -> Queries:
    """A subset of the points, not as a patch."""
    batch, count = queries.targets.shape[:2]
    changed: dict[str, Any] = {"patch": ()}
    for name, tensor in leaves(queries):
        if tensor.shape[:2] == (batch, count):
            if not hasattr(queries, name):
                raise NotApplicable(f"{name} of {type(queries).__name__} is an attribute of another class")
            changed[name] = tensor[:, chosen]
    return evolve(queries, **changed)

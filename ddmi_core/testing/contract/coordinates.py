"""Checks of the coordinate sampler: shapes, coverage, reproducibility and targets."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from ddmi_core.api.signals import Queries
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.testing.check import NotApplicable, expect
from ddmi_core.testing.grids import levels_of, on_layout, other_lattice
from ddmi_core.testing.subject import POINTS, Subject
from ddmi_core.testing.tensors import difference, finite
from ddmi_core.training.objective import generator_for

DRAWS = 200
PARTS = 8  # intervals of each axis, each of which must be sampled
CLOSE = 1e-5
TRIALS = 12


def check_queries(subject: Subject) -> None:
    """Queries are float32 and finite: coords (B, N, D) in [-1, 1], extra (B, N, X), targets (B, N, V), about n."""
    layout, batch, measured = subject.domain.layout, subject.count, subject.parts.observed()
    for points in (1, 7, POINTS):
        queries = subject.queries(points, points)
        expect(
            isinstance(queries, Queries),
            f"sample returns a {type(queries).__name__}",
            "return ddmi_core.api.Queries",
            requested=points,
        )
        coords, extra, targets = queries.coords, queries.extra, queries.targets
        count = coords.shape[1]
        expect(
            1 <= count <= 2 * points,
            "the number of points differs too much from the requested number",
            "draw about n points of each signal",
            requested=points,
            drawn=count,
        )
        # A domain's own subclass of queries may describe locations in another way.
        own = type(queries) is not Queries
        axes, more = (coords.shape[2], extra.shape[2]) if own else (len(layout.axes), len(layout.extra))
        expect(
            coords.shape == (batch, count, axes)
            and extra.shape == (batch, count, more)
            and targets.shape == (batch, count, len(measured)),
            "queries have wrong shapes",
            "return coords (B, N, axes), extra (B, N, extra columns) and targets (B, N, V), and name the columns of "
            "targets in `observed` if they are not the field's values",
            coords=tuple(coords.shape),
            extra=tuple(extra.shape),
            targets=tuple(targets.shape),
            columns=measured,
        )
        types = {str(tensor.dtype) for tensor in (coords, extra, targets)}
        expect(types == {"torch.float32"}, "queries are not float32", "convert them with .float()", dtypes=types)
        expect(
            finite(queries),
            "queries have values that are not finite",
            "draw finite coordinates and targets; where a target is unknown, give it weight 0 and any finite number",
            in_coords=int((~coords.isfinite()).sum()),
            in_targets=int((~targets.isfinite()).sum()),
        )
        weights = queries.weights
        fits = weights.ndim == 2 and len(weights) in (1, batch) and weights.shape[1] in (1, count)
        expect(
            fits and bool((weights >= 0).all()),
            "weights of points are negative, or have a wrong shape",
            "return one weight per point, (B, N), with 1 in place of B or N if all are equal",
            shape=tuple(weights.shape),
            lowest=float(weights.min()),
        )
        expect(
            points < POINTS or bool((weights > 0).any(dim=1).all()),
            "all points of a signal have weight 0",
            "draw coordinates at which the signal is known; a signal without known points belongs in no data set",
            points=count,
        )
        low, high = float(coords.min()), float(coords.max())
        expect(
            type(queries) is not Queries or (low >= -1 and high <= 1),
            "coordinates are outside [-1, 1]",
            "normalise each axis so that cell i of n is centred at (2 i + 1) / n - 1",
            lowest=low,
            highest=high,
        )


def check_patches(subject: Subject) -> None:
    """If queries declare a patch, their points are a regular block, slowest axis first."""
    queries, axes = subject.queries(0), len(subject.domain.layout.axes)
    if not queries.patch:
        raise NotApplicable("the sampler draws no patches")
    expect(
        prod(queries.patch) == queries.coords.shape[1],
        "the number of cells of a patch is not the number of points",
        "set `patch` to the sides of the block",
        patch=queries.patch,
        points=queries.coords.shape[1],
    )
    if len(queries.patch) != axes:
        raise NotApplicable(f"patches have {len(queries.patch)} sides for {axes} axes")
    blocks = queries.coords.reshape(len(queries.coords), *queries.patch, axes)
    for number in range(axes):
        column = blocks[..., axes - 1 - number]
        if subject.domain.layout.wraps[axes - 1 - number]:
            # A patch may continue across the border.
            first = column[(slice(None), *[slice(0, 1)] * axes)]
            column = first + (column - first).remainder(2)
        line = column.movedim(1 + number, -1).reshape(len(column), -1, queries.patch[number])
        step = line.diff(dim=-1)
        name = subject.domain.layout.axes[axes - 1 - number]
        expect(
            bool((line == line[:, :1]).all()) and bool(((step > 0) & (step <= 1)).all()),
            f"the points of a patch are not a block, slowest axis first: {name} does not increase along side {number}",
            "order points like the values of a stored grid, with x fastest",
            patch=queries.patch,
        )


def check_sampler_repeats(subject: Subject) -> None:
    """Equal states of the generator give equal queries, different states different ones."""
    for seed in range(TRIALS // 4):
        where = difference(subject.queries(seed), subject.queries(seed))
        expect(
            not where,
            f"two draws from one state of the generator differ: {where}",
            "draw every random number from the generator passed to sample()",
            seed=seed,
        )
    points = max(1, POINTS // 64)
    drawn = [subject.queries(seed, points).coords for seed in range(TRIALS)]
    different = _different(drawn)
    expect(
        different > 0,
        "every state of the generator gives the same coordinates",
        "draw coordinates at random from the generator",
        different=different,
        of=TRIALS - 1,
    )
    generator = generator_for(0, "check")
    drawn = [subject.parts.sampler.sample(subject.batch, points, generator).coords for _ in range(TRIALS)]
    different = _different(drawn)
    expect(
        different > 0,
        "repeated calls with one generator give the same coordinates",
        "draw from the generator itself, without reseeding or copying it",
        different=different,
        of=TRIALS - 1,
    )


def check_sampler_covers(subject: Subject) -> None:
    """Many draws sample every eighth of every axis of grids; rays, points and similar queries are varied."""
    queries = [subject.queries(seed, 16) for seed in range(DRAWS)]
    coords = torch.cat([drawn.coords for drawn in queries], dim=1)
    if type(queries[0]) is not Queries or not callable(getattr(subject.batch, "levels", None)):
        # Rays start at cameras, and measurements at points may leave parts of the axes out.
        _varied(coords)
        return
    for column, axis in enumerate(subject.domain.layout.axes):
        for number, row in enumerate(coords[..., column]):
            places = len(torch.unique(row))
            parts = max(p for p in (1, 2, 4, PARTS) if p <= places)
            hit = ((row + 1) / 2 * parts).floor().clamp(0, parts - 1).long()
            missed = sorted(set(range(parts)) - set(hit.tolist()))
            expect(
                not missed and (places > 1 or _single(subject, column)),
                f"some parts of the axis {axis} are never sampled",
                "let random offsets reach both ends of every axis",
                signal=number,
                parts=parts,
                missed=missed,
                lowest=float(row.min()),
                highest=float(row.max()),
            )


def check_targets(subject: Subject) -> None:
    """Targets are values of the cells that contain the coordinates, at their centres or where renders have them."""
    levels = levels_of(subject.batch)
    on_layout(subject, levels[0].shape[2:], "signals")
    seen: list[list[Tensor]] = [[] for _ in levels]
    for seed in range(TRIALS * len(levels)):
        queries = subject.queries(seed)
        best = _level(levels, queries)
        error = _error(levels[best], queries)
        expect(
            error <= CLOSE,
            "targets are not the values of the cells that contain the coordinates",
            "check the order of the axes (coords are x first, grids x last) and that each signal has its own targets",
            error=error,
            tolerance=CLOSE,
            level=best,
        )
        seen[best].append(queries.coords)
    for number, (level, drawn) in enumerate(zip(levels, seen, strict=True)):
        # Renders may show another lattice: check_observe_agrees_with_render compares it with the sampler's.
        if not drawn or (number == 0 and other_lattice(subject)):
            continue
        coords = torch.cat(drawn, dim=1)
        for column, (axis, length) in enumerate(zip(subject.domain.layout.axes, level.shape[:1:-1], strict=True)):
            apart = float(_off(coords[..., column], length).max())
            # Repeated coordinates are on a lattice; others may lie anywhere in their cells.
            expect(
                apart <= CLOSE * length or len(torch.unique(coords[..., column])) > length,
                f"coordinates along {axis} are not at the centres of cells",
                "place cell i of n at (2 i + 1) / n - 1, as ddmi_core.parts.cell_centres does",
                off_by_cells=apart,
                cells=length,
            )


def check_extra_columns(subject: Subject) -> None:
    """Extra columns are equal in training and in a render of that size."""
    layout, renderer = subject.domain.layout, subject.parts.renderer
    if not layout.extra:
        raise NotApplicable("the layout has no extra columns")
    if not isinstance(renderer, GridRenderer):
        raise NotApplicable(f"{type(renderer).__name__} does not expose the extra columns of a render")
    levels = levels_of(subject.batch)
    on_layout(subject, levels[0].shape[2:], "signals")
    fitting = 0
    for seed in range(TRIALS * len(levels)):
        queries = subject.queries(seed)
        level = levels[_level(levels, queries)]
        if _error(level, queries) > CLOSE:
            continue
        fitting += 1
        wanted = renderer.extra(level.shape[2:])
        apart = float((queries.extra - wanted).abs().max())
        expect(
            apart <= CLOSE,
            f"extra columns ({', '.join(layout.extra)}) of points of a level differ from those of its render",
            "compute them in one place for sampler and renderer",
            difference=apart,
            cells=tuple(level.shape[2:]),
        )
    if not fitting:
        raise NotApplicable("targets match no level, which another check reports")


def _different(drawn: Sequence[Tensor]) -> int:
    """Number of tensors that differ from the first one."""
    return sum(drawn[0].shape != other.shape or not torch.equal(drawn[0], other) for other in drawn[1:])


def _varied(coords: Tensor) -> None:
    for number, rows in enumerate(coords):
        places = len(torch.unique(rows, dim=0))
        expect(
            places >= PARTS,
            "many draws have few different coordinates",
            "sample all of the signal",
            signal=number,
            different=places,
            least=PARTS,
        )


def _single(subject: Subject, column: int) -> bool:
    """Whether the signals are grids with one cell along an axis."""
    try:
        return levels_of(subject.batch)[0].shape[-1 - column] == 1
    except NotApplicable:
        return False


def _level(levels: Sequence[Tensor], queries: Queries) -> int:
    """The level that matches queries best: by the targets, then by the centres of its cells."""

    def fit(number: int) -> tuple[float, float]:
        level = levels[number]
        columns = zip(queries.coords.unbind(-1), level.shape[:1:-1], strict=True)
        return _error(level, queries), max(float(_off(column, length).max()) for column, length in columns)

    return min(range(len(levels)), key=fit)


def _error(level: Tensor, queries: Queries) -> float:
    """Largest difference between targets of weight > 0 and the cells of a level that contain the coordinates."""
    index = torch.zeros(queries.coords.shape[:2], dtype=torch.long)
    for column, length in reversed(list(zip(queries.coords.unbind(-1), level.shape[:1:-1], strict=True))):
        index = index * length + ((column + 1) / 2 * length).floor().clamp(0, length - 1).long()
    values = level.flatten(2).gather(2, index[:, None].expand(-1, level.shape[1], -1)).transpose(1, 2)
    if values.shape != queries.targets.shape:
        return float("inf")
    return float(((values - queries.targets).abs() * (queries.weights.unsqueeze(-1) > 0)).max())


def _off(column: Tensor, length: int) -> Tensor:
    """Distance of coordinates from the centres of their cells, in cells."""
    place = (column + 1) / 2 * length
    return (place - place.floor().clamp(0, length - 1) - 0.5).abs()

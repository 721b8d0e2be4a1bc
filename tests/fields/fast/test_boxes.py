"""Bounds over boxes: no value lies outside of them, whatever the planes and the readout are."""

from __future__ import annotations

import pytest
import torch
from test_scattered import LAYOUTS, READOUTS, make_field

plain = pytest.mark.parametrize(
    "layout",
    [layout for layout in LAYOUTS.values() if layout.embedding is None],
    ids=[name for name, layout in LAYOUTS.items() if layout.embedding is None],
)
SIZES = (4, 3, 2, 3)


def edges_of(layout, parts=1):
    """Irregular edges, the first of them beyond the outer cells; each interval divided in equal parts."""
    found = []
    for number, size in enumerate(SIZES[: len(layout.axes)]):
        edges = torch.linspace(-1.2, 1, size + 1) + 0.03 * number
        inner = torch.lerp(edges[:-1, None], edges[1:, None], torch.arange(parts) / parts)
        found.append(torch.cat([inner.flatten(), edges[-1:]]))
    return found


def all_of(edges):
    return torch.cartesian_prod(*(torch.arange(len(edge) - 1) for edge in edges)).view(-1, len(edges)).t()


def values_in(field, edges, indices, extra, count=60):
    """Values `(V, N, count)` at random points of boxes, and at their corners."""
    share = torch.rand(count, indices.shape[1], len(edges), generator=torch.Generator().manual_seed(4))
    share[: count // 2] = share[: count // 2].round()
    low, high = (
        torch.stack([edge[index + ahead] for edge, index in zip(edges, indices, strict=True)], 1) for ahead in (0, 1)
    )
    points = torch.lerp(low, high, share)
    with torch.no_grad():
        return field(points.view(1, -1, len(edges)), extra)[0].view(count, indices.shape[1], -1).permute(2, 1, 0)


@pytest.mark.parametrize("joining", ["coarse_to_fine", "input"])
@pytest.mark.parametrize("options", [{"activation": name} for name in ("relu", "silu", "gelu")] + [*READOUTS], ids=str)
@plain
def test_no_value_lies_outside(layout, options, joining):
    if options.get("modulated") and not layout.extra:
        pytest.skip("nothing to modulate by")
    field, edges = make_field(layout, "sum", joining, **options), edges_of(layout)
    extra = torch.linspace(-1, 1, len(layout.extra))
    values = values_in(field, edges, all_of(edges), extra)
    low, high = field.boxes(edges, extra).at(all_of(edges))
    assert (low[..., None] <= values + 1e-5).all()
    assert (values <= high[..., None] + 1e-5).all()


@plain
def test_bounds_of_small_boxes_are_close(layout):
    field = make_field(layout, "concatenate")

    def widest(parts):
        edges = edges_of(layout, parts)
        some = torch.stack([torch.arange(5) * (len(edge) - 1) // 5 for edge in edges])
        low, high = field.boxes(edges).at(some)
        return (high - low).max()

    assert 0 < widest(64) < widest(4) / 4


def test_bounds_do_not_depend_on_the_chunk():
    layout = LAYOUTS["four axes"]
    field, edges = make_field(layout), edges_of(layout)
    whole = field.boxes(edges).at(all_of(edges))
    evaluator = field.boxes(edges)
    evaluator.chunk = 7
    for part, wanted in zip(evaluator.at(all_of(edges)), whole, strict=True):
        torch.testing.assert_close(part, wanted, atol=1e-6, rtol=1e-6)


def test_a_value_that_is_no_number_is_no_bound():
    layout = LAYOUTS["four axes"]
    broken = make_field(layout).map(lambda plane: torch.full_like(plane, torch.nan))
    edges = edges_of(layout)
    assert torch.stack(broken.boxes(edges).at(all_of(edges))).isnan().all()

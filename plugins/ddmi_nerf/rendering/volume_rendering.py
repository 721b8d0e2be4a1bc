"""Volume rendering: what a ray through a medium of given densities and colours shows, differentiable.

The emission-absorption model (Max 1995) as in NeRF (Mildenhall et al. 2020, equation 3). On each interval of a ray,
density and colour are taken for constant; for such media the results are exact.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

SERIES = 0.25  # optical thickness below which differences of near numbers are replaced by a series
THICK = 50.0  # optical thickness beyond which nothing passes


@frozen(eq=False)
class Samples:
    """Intervals of rays, and a place in each at which the medium is looked at; all as distances along the ray."""

    edges: Tensor  # (..., S + 1), increasing
    places: Tensor  # (..., S)

    @property
    def lengths(self) -> Tensor:
        """Lengths of the intervals, `(..., S)`."""
        return self.edges.diff(dim=-1)


@frozen(eq=False)
class Light:
    """What rays show."""

    colour: Tensor  # (..., 3), over the background
    opacity: Tensor  # (...), in [0, 1]: the share of the background that is hidden
    depth: Tensor  # (...), mean distance at which the ray is stopped, if it is; infinite where nothing stops it
    weights: Tensor  # (..., S), shares of the colour that come from each interval


def stratified(near: Tensor, far: Tensor, count: int, jitter: Tensor | None = None) -> Samples:
    """Equal intervals between two distances, with one place in each.

    Args:
        near: `(...)`, where the intervals begin.
        far: `(...)`, where they end.
        count: S, the number of intervals.
        jitter: `(...)` or `(..., S)`, in [0, 1]: where in its interval each place is, random numbers in training; in
            the middle if left out.
    """
    shares = torch.linspace(0, 1, count + 1, dtype=near.dtype, device=near.device)
    edges = torch.lerp(near[..., None], far[..., None], shares)
    return Samples(edges, _placed(edges, jitter))


def closer(samples: Samples, close: Tensor, count: int, jitter: Tensor | None = None) -> Samples:
    """Intervals that are cut further where an object is known to be, in equal parts of that stretch.

    Args:
        samples: S equal intervals of each ray, which all stay.
        close: `(..., 2)`, distances between which the object lies; what is beyond the intervals is cut off, and where
            nothing is left, the cuts are spread over the whole ray.
        count: cuts a ray, C; the first and the last of them are the two ends.
        jitter: as for `stratified`.

    Returns:
        S + C intervals a ray.
    """
    first, last = samples.edges[..., :1], samples.edges[..., -1:]
    start, end = torch.maximum(close[..., :1], first), torch.minimum(close[..., 1:], last)
    missed = end <= start
    shares = torch.linspace(0, 1, count, dtype=first.dtype, device=first.device)
    cuts = torch.lerp(torch.where(missed, first, start), torch.where(missed, last, end), shares)
    edges = torch.cat([samples.edges, cuts], dim=-1).sort(dim=-1).values
    return Samples(edges, _placed(edges, jitter))


def importance(edges: Tensor, weights: Tensor, count: int, jitter: Tensor | None = None) -> Samples:
    """Intervals that are cut further where they weigh most: at quantiles of the weights (section 5.2 of NeRF).

    Weights are spread to neighbours before (section 3.4 of mip-NeRF, Barron et al. 2021): what lies partly in an
    interval may miss the place in it that was looked at.

    Args:
        edges: `(..., S + 1)`, of the coarse intervals, which all stay.
        weights: `(..., S)`, of the coarse intervals; no gradient reaches them.
        count: cuts a ray, F.
        jitter: `(...)`, as for `stratified`; it shifts the cuts too.

    Returns:
        S + F intervals a ray.
    """
    cuts = quantiles(edges.detach(), _spread(weights.detach()), count, jitter)
    finer = torch.cat([edges.detach(), cuts], dim=-1).sort(dim=-1).values
    return Samples(finer, _placed(finer, jitter))


def quantiles(edges: Tensor, weights: Tensor, count: int, jitter: Tensor | None = None) -> Tensor:
    """Distances `(..., F)` that part a density on intervals evenly, by its inverse distribution function.

    Args:
        edges: `(..., S + 1)`.
        weights: `(..., S)`, not negative; the density is constant on each interval. Rays without weights have it even.
        count: F; number i is the quantile `(i + jitter) / F`.
        jitter: `(...)` or `(..., F)`, in [0, 1]; 1/2 if left out.
    """
    tiny = torch.finfo(weights.dtype).tiny
    lengths = edges.diff(dim=-1)
    total = weights.sum(dim=-1, keepdim=True)
    shares = torch.where(total > tiny, weights, lengths)
    ends = torch.cumsum(shares, dim=-1)
    reached = torch.cat([torch.zeros_like(ends[..., :1]), ends], dim=-1) / ends[..., -1:].clamp_min(tiny)
    steps = torch.arange(count, dtype=edges.dtype, device=edges.device)
    within = torch.full_like(edges[..., :1], 0.5) if jitter is None else _columns(jitter, edges)
    wanted = ((steps + within) / count).contiguous()
    last = weights.shape[-1] - 1
    interval = (torch.searchsorted(reached.contiguous(), wanted, right=True) - 1).clamp(0, last)
    low, high = reached.gather(-1, interval), reached.gather(-1, interval + 1)
    share = ((wanted - low) / (high - low).clamp_min(tiny)).clamp(0, 1)
    return edges.gather(-1, interval) + share * lengths.gather(-1, interval)


def absorbed(density: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of light that intervals stop, and what passes all of them.

    Args:
        density: `(..., S)`, not negative, a unit of length.
        lengths: `(..., S)`.

    Returns:
        weights `(..., S)`, `T_i (1 - exp(-density_i length_i))`, and transmittance `(...)`; together they are one.
    """
    thickness = density * lengths
    passed = torch.cumsum(thickness, dim=-1)
    before = torch.cat([torch.zeros_like(passed[..., :1]), passed[..., :-1]], dim=-1)
    return torch.exp(-before) * -torch.expm1(-thickness), torch.exp(-passed[..., -1])


def stopped_at(thickness: Tensor) -> Tensor:
    """Where in an interval light is stopped on average, if it is: 1/2 in a thin one, towards 0 in a thick one.

    Args:
        thickness: optical thickness, density times length.
    """
    thin = thickness < SERIES
    small = torch.where(thin, thickness, 0)
    series = 0.5 - small / 12 + small**3 / 720 - small**5 / 30240
    large = torch.where(thin, 1, thickness)
    return torch.where(thin, series, 1 / large - 1 / torch.expm1(large.clamp_max(THICK)))


def composite(density: Tensor, colour: Tensor, edges: Tensor, background: Tensor) -> Light:
    """What rays show; differentiable in all arguments.

    Args:
        density: `(..., S)`, not negative, of each interval.
        colour: `(..., S, 3)`, of each interval.
        edges: `(..., S + 1)`, distances between which the intervals lie.
        background: `(..., 3)` or `(3,)`, what is seen where nothing hides it.
    """
    lengths = edges.diff(dim=-1)
    weights, left = absorbed(density, lengths)
    shown = (weights[..., None] * colour).sum(dim=-2) + left[..., None] * background
    opacity = weights.sum(dim=-1)
    places = edges[..., :-1] + lengths * stopped_at(density * lengths)
    return Light(shown, opacity, mean_depth((weights * places).sum(dim=-1), opacity), weights)


def mean_depth(total: Tensor, opacity: Tensor) -> Tensor:
    """Mean distance from the sum of weighted ones; infinite where the opacity is zero."""
    seen = opacity > 0
    return torch.where(seen, total / torch.where(seen, opacity, 1), torch.inf)


def _spread(weights: Tensor) -> Tensor:
    """Means of the larger ones of neighbouring weights."""
    wide = torch.cat([weights[..., :1], weights, weights[..., -1:]], dim=-1)
    larger = torch.maximum(wide[..., :-1], wide[..., 1:])
    return (larger[..., :-1] + larger[..., 1:]) / 2


def _placed(edges: Tensor, jitter: Tensor | None) -> Tensor:
    within = 0.5 if jitter is None else _columns(jitter, edges)
    return edges[..., :-1] + edges.diff(dim=-1) * within


def _columns(jitter: Tensor, edges: Tensor) -> Tensor:
    """One number a ray becomes one column."""
    return jitter if jitter.ndim == edges.ndim else jitter[..., None]

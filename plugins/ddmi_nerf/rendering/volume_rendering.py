"""Differentiable volume rendering: sampling of intervals along rays, and compositing of density and colour.

The emission-absorption model (Max 1995) as in NeRF (Mildenhall et al. 2020, equation 3). Density and colour are
constant on each interval of a ray; for such media the results are exact.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

SERIES = 0.25  # optical thickness below which a series avoids cancellation
THICK = 50.0  # optical thickness of an opaque interval


@frozen(eq=False)
class Samples:
    """Intervals along rays, and a sample position in each, as distances along the ray."""

    edges: Tensor  # (..., S + 1), increasing
    places: Tensor  # (..., S)

    @property
    def lengths(self) -> Tensor:
        """Lengths of the intervals, `(..., S)`."""
        return self.edges.diff(dim=-1)


@frozen(eq=False)
class Light:
    """Composited result of rays."""

    colour: Tensor  # (..., 3), over the background
    opacity: Tensor  # (...), in [0, 1]
    depth: Tensor  # (...), mean distance at which light is absorbed; infinite where opacity is 0
    weights: Tensor  # (..., S), contribution of each interval to the colour


def stratified(near: Tensor, far: Tensor, count: int, jitter: Tensor | None = None) -> Samples:
    """Equal intervals between two distances, with one sample position in each.

    Args:
        near: `(...)`, start of the intervals.
        far: `(...)`, end of the intervals.
        count: S, the number of intervals.
        jitter: `(...)` or `(..., S)`, in [0, 1]: position of each sample within its interval, random in training; the
            middle by default.
    """
    shares = torch.linspace(0, 1, count + 1, dtype=near.dtype, device=near.device)
    edges = torch.lerp(near[..., None], far[..., None], shares)
    return Samples(edges, _placed(edges, jitter))


def closer(samples: Samples, close: Tensor, count: int, jitter: Tensor | None = None) -> Samples:
    """Intervals with additional equal cuts in a range that contains the object.

    Args:
        samples: S equal intervals of each ray; all their edges are kept.
        close: `(..., 2)`, distances between which the object lies, clipped to the intervals; if the range is empty, the
            cuts are spread over the whole ray.
        count: cuts a ray, C; the first and the last are the ends of the range.
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
    """Intervals with additional cuts at quantiles of the weights (section 5.2 of NeRF).

    Weights are blurred first (section 3.4 of mip-NeRF, Barron et al. 2021), because a sample may miss a surface that
    fills only part of its interval.

    Args:
        edges: `(..., S + 1)`, of the coarse intervals; all are kept.
        weights: `(..., S)`, of the coarse intervals; they receive no gradient.
        count: cuts a ray, F.
        jitter: `(...)`, as for `stratified`; it also shifts the cuts.

    Returns:
        S + F intervals a ray.
    """
    cuts = quantiles(edges.detach(), _spread(weights.detach()), count, jitter)
    finer = torch.cat([edges.detach(), cuts], dim=-1).sort(dim=-1).values
    return Samples(finer, _placed(finer, jitter))


def quantiles(edges: Tensor, weights: Tensor, count: int, jitter: Tensor | None = None) -> Tensor:
    """Quantiles `(..., F)` of a piecewise constant density along rays, by inversion of its distribution function.

    Args:
        edges: `(..., S + 1)`.
        weights: `(..., S)`, not negative, probability of each interval up to a factor; uniform density if all are zero.
        count: F; number i is the quantile `(i + jitter) / F`.
        jitter: `(...)` or `(..., F)`, in [0, 1]; 1/2 by default.
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
    """Share of light that each interval absorbs, and the transmittance of the whole ray.

    Args:
        density: `(..., S)`, not negative, per unit of length.
        lengths: `(..., S)`.

    Returns:
        weights `(..., S)`, `T_i (1 - exp(-density_i length_i))`, and transmittance `(...)`; their sum is one.
    """
    thickness = density * lengths
    passed = torch.cumsum(thickness, dim=-1)
    before = torch.cat([torch.zeros_like(passed[..., :1]), passed[..., :-1]], dim=-1)
    return torch.exp(-before) * -torch.expm1(-thickness), torch.exp(-passed[..., -1])


def stopped_at(thickness: Tensor) -> Tensor:
    """Mean position within an interval at which light is absorbed: 1/2 for a thin interval, towards 0 for a thick one.

    Args:
        thickness: optical thickness, density times length.
    """
    thin = thickness < SERIES
    small = torch.where(thin, thickness, 0)
    series = 0.5 - small / 12 + small**3 / 720 - small**5 / 30240
    large = torch.where(thin, 1, thickness)
    return torch.where(thin, series, 1 / large - 1 / torch.expm1(large.clamp_max(THICK)))


def composite(density: Tensor, colour: Tensor, edges: Tensor, background: Tensor) -> Light:
    """Composite intervals over the background; differentiable in all arguments.

    Args:
        density: `(..., S)`, not negative, of each interval.
        colour: `(..., S, 3)`, of each interval.
        edges: `(..., S + 1)`, distances between which the intervals lie.
        background: `(..., 3)` or `(3,)`, colour behind the medium.
    """
    lengths = edges.diff(dim=-1)
    weights, left = absorbed(density, lengths)
    shown = (weights[..., None] * colour).sum(dim=-2) + left[..., None] * background
    opacity = weights.sum(dim=-1)
    places = edges[..., :-1] + lengths * stopped_at(density * lengths)
    return Light(shown, opacity, mean_depth((weights * places).sum(dim=-1), opacity), weights)


def mean_depth(total: Tensor, opacity: Tensor) -> Tensor:
    """Mean depth from the sum of weighted depths; infinite where the opacity is zero."""
    seen = opacity > 0
    return torch.where(seen, total / torch.where(seen, opacity, 1), torch.inf)


def _spread(weights: Tensor) -> Tensor:
    """Blurred weights: means of pairwise maxima of neighbours."""
    wide = torch.cat([weights[..., :1], weights, weights[..., -1:]], dim=-1)
    larger = torch.maximum(wide[..., :-1], wide[..., 1:])
    return (larger[..., :-1] + larger[..., 1:]) / 2


def _placed(edges: Tensor, jitter: Tensor | None) -> Tensor:
    within = 0.5 if jitter is None else _columns(jitter, edges)
    return edges[..., :-1] + edges.diff(dim=-1) * within


def _columns(jitter: Tensor, edges: Tensor) -> Tensor:
    """Add an interval axis to jitter that has one number a ray."""
    return jitter if jitter.ndim == edges.ndim else jitter[..., None]

"""Figures of a set of samples against a reference set, in the features of one network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from torch import Tensor

from ddmi_core.api.evaluation import OF_REAL, Figure
from ddmi_core.evaluation.distances import Estimate, copying, density_coverage, frechet, kid, precision_recall

NAMED = {"inception": "fid", "i3d": "fvd"}  # Fréchet distances with a name of their own, by network
COPYING = "copying_"  # start of the names of copy ratios
LEAST = 2  # signals of each set, for a covariance
OF_KERNEL = 4  # signals of each set, for a variance of the kernel distance
NEIGHBOUR = 3  # of precision and recall (arXiv 1904.06991, section 2)
RADIUS = 5  # the same of density and coverage (arXiv 2002.09797, section 3.1)


@frozen(eq=False)
class FeatureSets:
    """Features of the sets of an evaluation, `(number, F)` each.

    Args:
        samples: of samples.
        training: of all training signals.
        held_out: of held-out signals.
    """

    samples: Tensor
    training: Tensor
    held_out: Tensor


def set_figures(
    network: str, rows: Tensor, reference: Tensor, seed: int, protocol: Mapping[str, Any], *, real: bool = False
) -> Iterator[Figure]:
    """Fréchet distance, KID, precision, recall, density and coverage of a set against a reference.

    Figures that require more signals than there are left out.

    Args:
        network: name of the feature network.
        rows: features `(n, F)` of samples, or of real signals.
        reference: features `(m, F)`.
        seed: of the random parts of the estimates.
        protocol: of the figures.
        real: whether the rows are of real signals, so that the names end in `_of_real`.
    """
    for name, about, found in _found(network, rows, reference, seed):
        value, interval = (found, None) if isinstance(found, float) else (found.value, found.interval)
        yield Figure(
            f"{name}{OF_REAL}" if real else name,
            value,
            protocol,
            f"{name} of real signals" if real else about,
            interval,
        )


def copying_figure(network: str, sets: FeatureSets, seed: int, protocol: Mapping[str, Any]) -> Figure:
    """Distance of samples to the nearest training signal, over that of held-out signals."""
    ratio = copying(sets.samples, sets.training, sets.held_out, seed)
    about = "distance to the nearest training signal, over that of held-out signals; 0 for copies"
    return Figure(f"{COPYING}{network}", ratio.value, protocol, about, ratio.interval)


def _found(network: str, rows: Tensor, reference: Tensor, seed: int) -> Iterator[tuple[str, str, Estimate | float]]:
    """Name, meaning and value of each figure."""
    n = min(len(rows), len(reference))
    if n < LEAST:
        return
    about = "Fréchet distance to the reference; lower is better"
    yield f"{NAMED.get(network, 'frechet')}_{network}", about, frechet(rows, reference)
    if n >= OF_KERNEL:
        about = "kernel distance to the reference; lower is better"
        yield f"kid_{network}", about, kid(rows, reference, seed)
    if n > NEIGHBOUR:
        precision, recall = precision_recall(rows, reference, NEIGHBOUR)
        yield f"precision_{network}", "share of samples that lie near the reference; higher is better", precision
        yield f"recall_{network}", "share of the reference that lies near samples; higher is better", recall
    if n > RADIUS:
        density, coverage = density_coverage(rows, reference, RADIUS)
        about = "reference neighbourhoods around a sample; higher is better"
        yield f"density_{network}", about, density
        yield f"coverage_{network}", "share of reference neighbourhoods with a sample; higher is better", coverage

"""Queries of weight zero are not known places."""

from __future__ import annotations

import torch

from ddmi_core.api import CoordinateSampler, Queries
from ddmi_core.api.observations import known, select


class Gaps(CoordinateSampler):
    """Draws each of ten places twice, first with weight zero; places with odd numbers are unknown."""

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def sample(self, signal, n, generator) -> Queries:
        coords = (torch.arange(10.0) / 10).repeat(2)[None, :, None]
        weights = ((torch.arange(20) >= 10) & (torch.arange(20) % 2 == 0))[None] * self.share
        targets = torch.where(weights[..., None] > 0, coords, torch.nan)
        return Queries(coords, coords[..., :0], targets, weights=weights)


def test_places_are_those_of_positive_weight():
    queries = Gaps().places(None, 100, torch.Generator())
    torch.testing.assert_close(queries.coords[0, :, 0], torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8]))
    assert torch.equal(queries.targets, queries.coords)
    assert queries.weights.shape == (1, 5)


def test_without_a_known_place_there_is_none():
    assert Gaps(share=0.0).places(None, 100, torch.Generator()).coords.shape == (1, 0, 1)


def test_known_takes_weights_that_broadcast():
    coords = torch.rand(1, 4, 2)
    for weight, count in ((0.5, 4), (0.0, 0)):
        found = known(Queries(coords, coords[..., :0], coords, weights=torch.full((1, 1), weight)))
        assert torch.equal(found.coords, coords[:, :count])
    assert torch.equal(select(Queries(coords, coords, coords), slice(1, 3)).weights, torch.ones(1, 1))

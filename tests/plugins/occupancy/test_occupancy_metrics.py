"""Measures of reconstructions on balls, whose overlaps and distances are known."""

from __future__ import annotations

import math

import pytest
import torch
from attrs import frozen

from ddmi_core.api import Renderer
from ddmi_core.parts import extract_surface
from ddmi_occupancy.evaluation.metrics import chamfer, f_score, iou, normal_consistency
from ddmi_occupancy.signal import ShapeSignal


@frozen
class Ball:
    """In place of a field: a ball; none where the radius is not above 0."""

    radius: float
    shift: float = 0.0  # of its centre, along x

    def __call__(self, points):
        return self.radius - (points - torch.tensor([self.shift, 0, 0])).norm(dim=-1)


class BallRenderer(Renderer):
    """Logits and meshes of balls."""

    def observe(self, field, queries):
        return torch.stack([ball(points) for ball, points in zip(field, queries.coords, strict=True)])[..., None]

    def render(self, field, view=None):
        return extract_surface(field, (40, 40, 40))


def signal_of(*balls, points=40_000, surface=8000):
    """Balls as a signal: the first half of the points uniform; the others, beside the surface, have no weight."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(len(balls), surface, 3, generator=generator), dim=-1)
    radii = torch.tensor([[[max(ball.radius, 0.0)]] for ball in balls])
    shifts = torch.tensor([[[ball.shift, 0, 0]] for ball in balls])
    uniform = torch.rand(len(balls), points // 2, 3, generator=generator) * 2 - 1
    beside = (radii * directions[:, : points // 2] * 1.02 + shifts).repeat(1, 4, 1)[:, : points // 2]
    space = torch.cat([uniform, beside], dim=1)
    inside = torch.stack([ball(own) > 0 for ball, own in zip(balls, space, strict=True)])
    weights = torch.cat([torch.full(uniform.shape[:2], 2.0), torch.zeros(beside.shape[:2])], dim=1)
    return ShapeSignal(radii * directions + shifts, directions, space, inside.to(torch.uint8), weights)


def measured(metric, found, true, **options):
    return metric(list(found), signal_of(*true, **options), BallRenderer()).tolist()


def test_iou_of_balls_is_the_ratio_of_their_volumes_or_that_of_the_lens():
    lens = math.pi * (4 * 0.6 + 0.2) * (2 * 0.6 - 0.2) ** 2 / 12
    whole = 4 / 3 * math.pi * 0.6**3
    found = [Ball(0.6), Ball(0.5), Ball(0.7), Ball(0.6, 0.2)]
    expected = [1, (5 / 6) ** 3, (6 / 7) ** 3, lens / (2 * whole - lens)]
    assert measured(iou, found, [Ball(0.6)] * 4) == pytest.approx(expected, abs=0.015)


def test_iou_of_many_points_does_not_depend_on_how_they_are_cut_into_parts(monkeypatch):
    found, true = [Ball(0.5), Ball(0.6, 0.1)], [Ball(0.6)] * 2
    whole = measured(iou, found, true)
    monkeypatch.setattr("ddmi_occupancy.evaluation.metrics.CHUNK", 999)
    assert measured(iou, found, true) == whole


def test_distances_of_balls_around_one_centre_are_those_of_their_radii():
    found = [Ball(0.6), Ball(0.61), Ball(0.7)]
    distances = measured(chamfer, found, [Ball(0.6)] * 3)
    assert distances[0] < 0.02  # what is left between points of one surface
    assert distances[2] == pytest.approx(0.1, abs=0.005)
    assert measured(f_score, found, [Ball(0.6)] * 3) == pytest.approx([1, 1, 0], abs=0.02)
    assert min(measured(normal_consistency, found, [Ball(0.6)] * 3)) > 0.99


def test_distances_grow_and_scores_fall_with_a_shift():
    found, true = [Ball(0.5, shift) for shift in (0.0, 0.05, 0.2)], [Ball(0.5)] * 3
    near, middle, far = measured(chamfer, found, true)
    assert near < middle < far
    # At an angle a to the shift, a point is about shift |cos a| off the other ball: half of the shift in the mean.
    assert far == pytest.approx(0.1, abs=0.01)
    for metric in (f_score, normal_consistency):
        values = measured(metric, found, true)
        assert values[0] > values[1] > values[2]


def test_a_field_without_a_surface_has_the_worst_figures():
    found, true = [Ball(-1.0), Ball(0.5)], [Ball(0.5)] * 2
    assert measured(iou, found, true) == pytest.approx([0, 1])
    assert measured(chamfer, found, true)[0] == pytest.approx(1.8)
    assert measured(f_score, found, true)[0] == 0
    assert measured(normal_consistency, found, true)[0] == 0


@pytest.mark.parametrize("metric", [iou, chamfer, f_score, normal_consistency])
def test_figures_repeat(metric):
    assert measured(metric, [Ball(0.5)], [Ball(0.55)]) == measured(metric, [Ball(0.5)], [Ball(0.55)])

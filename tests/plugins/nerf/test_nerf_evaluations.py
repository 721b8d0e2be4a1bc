"""Figures of sets of objects, for samples that are held-out objects or others, and of views that were held out."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import attrs
import numpy as np
import pytest
import torch
from nerf_scenes import Medium, ball_of
from torch import nn

from ddmi_core.api import Split
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.packing import Packing
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.evaluation.evaluations import novel_views, view_distance
from ddmi_nerf.evaluation.metrics import pictures, psnr_db, ssim
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.settings import NerfSettings

SIZE = 32
SETTINGS = NerfSettings(size=SIZE, views=2, shown=2, held_views=1, points=16)
RENDERER = NerfRenderer((SIZE, SIZE))
CAMERAS = [Camera.orbit(turn, rise, 2.5, width=SIZE, height=SIZE) for turn, rise in ((0, 0), (90, 30), (200, 60))]
NAME = "frechet_view_distance_colour_and_edges"


def set_of(numbers):
    """Objects with two views to train on and one that is held out."""
    packing = Packing(3, SIZE, 32)
    rows = []
    for number in numbers:
        shown = pictures(RENDERER.scene(Medium(ball_of(number))), CAMERAS).movedim(1, -1)
        opaque = torch.cat([shown / 2 + 0.5, torch.ones_like(shown[..., :1])], dim=-1).clamp(0, 1)
        views = (opaque * 255).round().byte().numpy()
        rows.append(packing.row(CAMERAS, views, np.zeros((32, 3)), np.zeros((32, 3))))
    names = [f"ball-{number}" for number in numbers]
    return ViewSet(packing.stack(np.stack(rows)), names, SETTINGS.showing)


class Model:
    """In place of a trained model: samples are given balls, and encoding keeps which ball it was."""

    condition = None
    renderer = RENDERER

    def __init__(self, balls, split, settings=SETTINGS):
        self.balls, self.split, self.settings = balls, split, settings

    def sample(self, n, *, seed=0, condition=None):
        return [Medium(ball_of(number)) for number in self.balls[:n]]

    def reconstruct(self, signal):
        held = self.split.held_out.batch(range(len(self.split.held_out))).images
        which = [(held - one).abs().flatten(1).sum(dim=1).argmin().item() for one in signal.images]
        return [Medium(ball_of(HELD[number])) for number in which]


HELD, TRAINED = range(12), range(100, 118)


@pytest.fixture(scope="module")
def split():
    return Split(train=set_of(TRAINED), held_out=set_of(HELD))


def distances(balls, split, settings=SETTINGS):
    return {figure.name: figure for figure in view_distance(Model(balls, split, settings), split, 50, seed=3)}


def test_copies_of_the_held_out_objects_have_no_distance_and_others_more_than_those_of_training(split):
    same = distances(HELD, split)
    assert list(same) == [NAME, f"{NAME}_of_training"]
    assert same[NAME].value == pytest.approx(0, abs=1e-3)
    assert same[f"{NAME}_of_training"].value > 10 * same[NAME].value
    alike = distances([100] * 12, split)[NAME].value
    assert alike > 3 * same[f"{NAME}_of_training"].value


def test_the_distance_says_how_it_was_obtained(split):
    found = distances(HELD, split)
    protocol = found[NAME].protocol
    assert (protocol["samples"], protocol["reference"]) == (12, "12 held-out objects")
    assert (protocol["views an object"], protocol["resolution"], protocol["background"]) == (2, SIZE, "white")
    assert protocol["cameras"] == "those of the held-out objects: elevations 0 to 30 degrees, distances 2.5 to 2.5"
    assert {"features", "preprocessing", "seed"} <= set(protocol)
    assert found[f"{NAME}_of_training"].protocol["samples"] == "12 training objects"


def test_parts_make_no_difference(split, monkeypatch):
    whole = distances(TRAINED, split)[NAME].value
    monkeypatch.setattr("ddmi_nerf.evaluation.evaluations.PART", 5)
    assert distances(TRAINED, split)[NAME].value == pytest.approx(whole, rel=1e-5)


def test_one_object_has_no_distance(split):
    assert view_distance(Model(HELD, split), split, 1, seed=0) == []


def test_novel_views_are_compared_in_parts_with_an_interval_over_objects(monkeypatch):
    whole = set_of(range(3))
    two = attrs.evolve(whole.showing, views=1, shown=1)  # of three views, two are held out
    split = Split(train=whole, held_out=ViewSet(whole.stack, whole.names, two))
    model, balls = Model(range(3), split), [Medium(ball_of(number)) for number in (1, 2, 3)]
    model.reconstruct = lambda signal: balls
    monkeypatch.setattr("ddmi_nerf.evaluation.evaluations.VIEWS", 1)
    decibels, similarity = novel_views(model, split, 50, 0)
    assert (decibels.protocol["objects"], decibels.protocol["views"]) == (3, 2)
    signal = split.held_out.novel(range(3))
    assert decibels.value == pytest.approx(float(psnr_db(balls, signal, RENDERER).mean()))
    assert similarity.value == pytest.approx(float(ssim(balls, signal, RENDERER).mean()))
    assert decibels.interval[0] < decibels.value < decibels.interval[1]


class Distance(nn.Module):
    """In place of LPIPS: the mean absolute difference, times a weight that its file brings."""

    def __init__(self, net, pretrained, pnet_rand, verbose):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, first, second):
        return self.weight * (first - second).abs().mean(dim=(1, 2, 3), keepdim=True)


def test_lpips_of_held_out_views_is_given_where_it_is_asked_for(split, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Distance))
    path = tmp_path / "network.pth"
    torch.save({"weight": torch.tensor([10.0])}, path)
    asked = NerfSettings(size=SIZE, views=2, shown=2, held_views=1, points=16, lpips=str(path))
    without = [figure.name for figure in novel_views(Model(HELD, split), split, 5, 0)]
    assert without == ["novel_view_psnr_db", "novel_view_ssim"]
    *_, found = novel_views(Model(HELD, split, asked), split, 5, 0)
    assert found.name == "novel_view_lpips"
    assert found.value == pytest.approx(0, abs=0.05)  # bytes are not exact
    assert found.protocol["weights"] == str(path)
    assert found.protocol["objects"] == 5
    wrong = Model(HELD, split, asked)
    wrong.reconstruct = lambda signal: [Medium(ball_of(900)) for _ in signal.images]
    *_, found = novel_views(wrong, split, 5, 0)
    assert found.value > 0.3

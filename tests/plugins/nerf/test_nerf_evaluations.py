"""Figures of views that were held out."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from nerf_scenes import Medium, ball_of

import lpips_stand_in
from ddmi_core.api import Split
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.packing import Packing
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.evaluation.evaluations import novel_views
from ddmi_nerf.evaluation.metrics import pictures, psnr_db, ssim
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.settings import NerfSettings

SIZE = 32
SETTINGS = NerfSettings(size=SIZE, views=2, shown=2, held_views=1, points=16)
RENDERER = NerfRenderer((SIZE, SIZE))
CAMERAS = [Camera.orbit(turn, rise, 2.5, width=SIZE, height=SIZE) for turn, rise in ((0, 0), (90, 30), (200, 60))]


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
    """In place of a trained model: encoding keeps which ball it was."""

    condition = None
    renderer = RENDERER

    def __init__(self, split, settings=SETTINGS):
        self.split, self.settings = split, settings

    def reconstruct(self, signal):
        held = self.split.held_out.batch(range(len(self.split.held_out))).images
        which = [(held - one).abs().flatten(1).sum(dim=1).argmin().item() for one in signal.images]
        return [Medium(ball_of(HELD[number])) for number in which]


HELD, TRAINED = range(12), range(100, 118)


@pytest.fixture(scope="module")
def split():
    return Split(train=set_of(TRAINED), held_out=set_of(HELD))


def test_novel_views_are_compared_in_parts_with_an_interval_over_objects(monkeypatch):
    whole = set_of(range(3))
    two = attrs.evolve(whole.showing, views=1, shown=1)  # of three views, two are held out
    split = Split(train=whole, held_out=ViewSet(whole.stack, whole.names, two))
    model, balls = Model(split), [Medium(ball_of(number)) for number in (1, 2, 3)]
    model.reconstruct = lambda signal: balls
    monkeypatch.setattr("ddmi_nerf.evaluation.evaluations.VIEWS", 1)
    decibels, similarity = novel_views(model, split, 50, 0)
    assert (decibels.protocol["n"], decibels.protocol["reference"]) == (3, "2 held-out views of each")
    signal = split.held_out.novel(range(3))
    assert decibels.value == pytest.approx(float(psnr_db(balls, signal, RENDERER).mean()))
    assert similarity.value == pytest.approx(float(ssim(balls, signal, RENDERER).mean()))
    assert decibels.interval[0] < decibels.value < decibels.interval[1]


def test_lpips_of_held_out_views_is_given_where_it_is_asked_for(split, monkeypatch, tmp_path):
    path = lpips_stand_in.install(monkeypatch, tmp_path / "network.pth", 10.0)
    asked = NerfSettings(size=SIZE, views=2, shown=2, held_views=1, points=16, lpips=str(path))
    without = [figure.name for figure in novel_views(Model(split), split, 5, 0)]
    assert without == ["novel_view_psnr_db", "novel_view_ssim"]
    *_, found = novel_views(Model(split, asked), split, 5, 0)
    assert found.name == "novel_view_lpips"
    assert found.value == pytest.approx(0, abs=0.05)  # bytes are not exact
    assert found.protocol["network"]["file"] == "network.pth"
    assert len(found.protocol["network"]["sha256"]) == 64
    assert found.protocol["n"] == 5
    wrong = Model(split, asked)
    wrong.reconstruct = lambda signal: [Medium(ball_of(900)) for _ in signal.images]
    *_, found = novel_views(wrong, split, 5, 0)
    assert found.value > 0.3

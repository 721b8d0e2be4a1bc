"""The panel of `ddmi view`: pictures by the page's camera, small while it moves, and scenes that are kept."""

from __future__ import annotations

import io
from math import radians

import numpy as np
import pytest
import torch
from PIL import Image

from ddmi_core.api import Field, Look, Planes
from ddmi_core.errors import RequestError
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig
from ddmi_core.registry.registry import domain_named
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import DISTANCE
from ddmi_nerf.parts import NerfParts
from ddmi_nerf.rendering import panel as panels
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import Picture
from ddmi_nerf.settings import NerfSettings


def some_field(seed: int = 0, scale: float = 3.0) -> Field:
    """A field with cloudy, coloured things in it."""
    generator = torch.Generator().manual_seed(seed)
    planes = Planes([scale * torch.randn(1, 4, 6, 6, generator=generator) for _ in range(3)])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        readout = CoarseToFineReadout((4,), 0, 4, ReadoutConfig(width=16, depth=1))
    return Field((planes,), readout, domain_named("nerf").layout).map(torch.Tensor.detach)


@pytest.fixture(scope="module")
def field():
    return some_field()


@pytest.fixture
def panel():
    return panels.RadiancePanel(NerfRenderer((16, 16), step=0.05))


def pixels(shown) -> np.ndarray:
    assert shown.kind == "image/png"
    return np.asarray(Image.open(io.BytesIO(shown.data)))


def test_the_domain_is_orbited():
    panel = NerfParts(domain_named("nerf"), NerfSettings()).panel()
    assert (panel.gesture, panel.axes, panel.sliders) == ("orbit", (), ())


def test_a_look_at_rest_is_what_its_camera_sees(panel, field):
    look = Look(size=(20, 30), azimuth=radians(40), elevation=radians(-15), distance=1.25)
    wanted = Picture.of(panel.renderer.scene(field), Camera.orbit(40, -15, 1.25 * DISTANCE, height=20, width=30))
    assert np.abs(pixels(panel.show(field, look)).astype(int) - wanted.pixels()).max() <= 1
    assert wanted.pixels().std() > 10


def test_while_moving_pictures_are_smaller_with_the_same_sides(panel, field, monkeypatch):
    size = (2 * panels.MOVING, panels.MOVING)
    assert pixels(panel.show(field, Look(size=size, rest=False))).shape == (panels.MOVING, panels.MOVING // 2, 3)
    assert pixels(panel.show(field, Look(size=(9, 7), rest=False))).shape == (9, 7, 3)
    assert pixels(panel.show(field, Look(size=(120, 100)))).shape == (120, 100, 3)
    monkeypatch.setattr(panels, "AT_REST", 40)
    assert pixels(panel.show(field, Look(size=(120, 60)))).shape == (40, 20, 3)


def test_a_picture_while_moving_is_near_to_that_at_rest(panel, field):
    moving, rest = (pixels(panel.show(field, Look(size=(24, 24), rest=rest))).astype(float) for rest in (False, True))
    assert 0 < np.abs(moving - rest).mean() < 6


def test_the_same_look_has_the_same_bytes_and_another_azimuth_others(panel, field):
    def data(**look):
        return panel.show(field, Look(size=(16, 16), **look)).data

    assert data(azimuth=0.5) == data(azimuth=0.5)
    assert len({data(azimuth=0.5), data(azimuth=0.6), data(elevation=0.4), data(distance=0.8)}) == 4
    assert data(elevation=1.6) == data(elevation=radians(90))


def test_thumbnails_are_the_usual_view(panel, field):
    assert pixels(panel.thumbnail(field)).shape == (panels.THUMBNAIL, panels.THUMBNAIL, 3)


def test_fields_without_numbers_are_told(panel):
    broken = some_field().map(lambda plane: plane * torch.nan)
    with pytest.raises(RequestError, match="not finite"):
        panel.show(broken, Look(size=(4, 4)))

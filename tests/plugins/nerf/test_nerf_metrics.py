"""Figures of views: of scenes that are known, and of scenes that are known to be wrong."""

import pytest
import torch
from nerf_scenes import Medium, decibels, fog, nothing, solids

from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import orbit
from ddmi_nerf.evaluation.features import field_features, signal_features
from ddmi_nerf.evaluation.metrics import (
    DISTANCE,
    ELEVATION,
    depth_agreement,
    depth_consistency,
    pictures,
    psnr_db,
    ssim,
)
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.signal import ViewSignal

SIZE = 24
RENDERER = NerfRenderer((SIZE, SIZE))
CAMERAS = orbit(Camera.orbit(0, ELEVATION, DISTANCE, width=SIZE, height=SIZE), 4)


def signal_of(*scenes, shift=0.0):
    """Views of scenes, as a data set would have them, lighter by `shift`."""
    images = torch.stack([pictures(RENDERER.scene(Medium(scene)), CAMERAS) for scene in scenes]) + shift
    poses = torch.stack([torch.tensor(camera.to_world, dtype=torch.float32) for camera in CAMERAS])
    count = len(scenes)
    return ViewSignal(
        images=images,
        opacity=torch.ones(count, len(CAMERAS), 1, SIZE, SIZE),
        to_world=poses.expand(count, -1, -1, -1),
        intrinsics=torch.tensor([camera.intrinsics for camera in CAMERAS]).expand(count, -1, -1),
        points=torch.zeros(count, 4, 3),
        point_colours=torch.zeros(count, 4, 3),
        background=torch.ones(count, 3),
    )


def test_pictures_of_the_true_scene_have_no_error():
    signal = signal_of(solids, fog)
    assert psnr_db([Medium(solids), Medium(fog)], signal, RENDERER).min() > 80
    assert ssim([Medium(solids), Medium(fog)], signal, RENDERER) == pytest.approx([1, 1], abs=1e-5)


def test_decibels_are_those_of_the_mean_squared_error():
    """A shift by a tenth is 26 dB for colours from -1 to 1; an empty cube is compared with each view by itself."""
    assert psnr_db([Medium(solids)], signal_of(solids, shift=0.1), RENDERER).item() == pytest.approx(26.02, abs=0.01)
    signal = signal_of(solids)
    expected = sum(decibels(torch.ones(3, SIZE, SIZE), view) for view in signal.images[0]) / len(CAMERAS)
    assert psnr_db([Medium(nothing)], signal, RENDERER).item() == pytest.approx(expected, abs=1e-3)


def test_depths_of_surfaces_agree_and_those_of_fog_and_of_nothing_do_not():
    found = depth_consistency([Medium(solids), Medium(thick_fog), Medium(nothing)], None, RENDERER)
    assert found[0] > 0.9
    assert found[1] < 0.6
    assert found[2] == 0


def thick_fog(points):
    """Thick enough to count as seen, with depths that depend on the side."""
    density, colour = fog(points)
    return 3 * density, colour


def test_places_that_another_scene_lacks_are_looked_through():
    there, elsewhere = RENDERER.scene(Medium(solids)), RENDERER.scene(Medium(nothing))
    one, other = CAMERAS[:2]
    kept, counted = depth_agreement(one, there.view(one), other, there.view(other))
    assert kept > 0.9 * counted > 0
    kept, counted = depth_agreement(one, there.view(one), other, elsewhere.view(other))
    assert kept == 0 < counted


def test_descriptions_of_a_scene_and_of_its_views_are_near_and_tell_scenes_apart():
    of_fields = field_features([Medium(solids), Medium(fog)], RENDERER)
    of_views = signal_features(signal_of(solids, fog))
    assert of_fields.shape == of_views.shape == (2, 96)
    same, other = ((of_fields[0] - of_views[i]).norm() for i in (0, 1))
    assert same < 0.5 * other


def test_descriptions_are_means_and_deviations_of_colours():
    signal = signal_of(nothing)
    white = signal_features(signal)[0]
    assert white[:48] == pytest.approx([1.0] * 48)
    assert white[48:] == pytest.approx([0.0] * 48, abs=1e-6)

"""The encoder of posed pictures: where it looks, and what of its pictures it depends on."""

import pytest
import torch
from attrs import evolve

from ddmi_core.api import Layout
from ddmi_core.parts import EncoderConfig, cell_centres, lattice_points
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.signal import ViewSignal
from ddmi_nerf.view_encoder import ViewEncoder, projected

LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))
CAMERAS = [Camera.orbit(azimuth, elevation, 2.6, width=24, height=20) for azimuth, elevation in ((0, 10), (100, 40))]

OF_PICTURES = ("images", "opacity", "to_world", "intrinsics")


def views(seed=0, cameras=CAMERAS):
    generator = torch.Generator().manual_seed(seed)
    count, height, width = len(cameras), cameras[0].height, cameras[0].width
    return ViewSignal(
        images=torch.rand(1, count, 3, height, width, generator=generator) * 2 - 1,
        opacity=torch.ones(1, count, 1, height, width),
        to_world=torch.stack([torch.tensor(camera.to_world, dtype=torch.float32) for camera in cameras])[None],
        intrinsics=torch.tensor([camera.intrinsics for camera in cameras])[None],
        points=torch.zeros(1, 4, 3),
        point_colours=torch.zeros(1, 4, 3),
        background=torch.ones(1, 3),
    )


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ViewEncoder(LAYOUT, 8, 2, EncoderConfig(widths=(8, 16))).eval()


def test_pixels_are_projected_where_their_rays_go():
    """Places along the ray of a pixel are seen at its centre."""
    for number, camera in enumerate(CAMERAS):
        origins, directions = camera.rays()
        for distance in (0.5, 3.0):
            spots, shown = projected(views(), origins + distance * directions)
            rows, columns = torch.meshgrid(torch.arange(20) + 0.5, torch.arange(24) + 0.5, indexing="ij")
            expected = torch.stack([columns, rows], dim=-1).view(-1, 2)
            torch.testing.assert_close(spots[0, number], expected, atol=2e-3, rtol=0)
            assert shown[0, number].all()


def test_what_is_behind_a_camera_or_beside_its_picture_is_not_seen():
    camera = CAMERAS[0]
    behind = torch.tensor(camera.origin * 1.5, dtype=torch.float32)
    beside = torch.tensor([5.0, 0.0, 0.0])
    _, shown = projected(views(), torch.stack([behind, beside, torch.zeros(3)]))
    assert shown[0, 0].tolist() == [False, False, True]


def test_posteriors_have_a_latent_a_plane_and_a_gradient_to_the_pictures(encoder):
    posterior = encoder(views())
    assert [tuple(plane.shape) for plane in posterior.mean] == [(1, 2, 4, 4)] * 3
    sum(plane.square().sum() for plane in (*posterior.mean, *posterior.log_variance)).backward()
    own = [*encoder.pictures.parameters(), *encoder.join.parameters(), *encoder.heads.parameters()]
    assert all(weight.grad is not None and weight.grad.any() for weight in own)
    encoder.zero_grad()


def test_the_order_of_pictures_does_not_matter(encoder):
    signal = views()
    turned = evolve(signal, **{name: getattr(signal, name).flip(1) for name in OF_PICTURES})
    for one, other in zip(encoder(signal).mean, encoder(turned).mean, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_one_picture_twice_agrees_with_itself(encoder):
    """The variance over equal pictures is zero, and the mean is that of one."""
    camera = CAMERAS[0]
    one = views(cameras=[camera])
    two = evolve(one, **{name: getattr(one, name).repeat_interleave(2, 1) for name in OF_PICTURES})
    places = lattice_points([cell_centres(4)] * 3)
    with torch.no_grad():
        single, double = encoder.joined(one, places), encoder.joined(two, places)
    torch.testing.assert_close(single, double, atol=1e-5, rtol=1e-4)
    assert double[..., 8:16].abs().max() < 1e-8


def test_features_at_a_place_are_those_of_its_pixel(encoder):
    """A place in the middle between four features has their mean, and what no picture shows is zero."""
    camera = Camera.orbit(0, 0, 2.6, width=24, height=20)
    signal = views(cameras=[camera])
    with torch.no_grad():
        features = encoder.pictures(torch.cat([signal.images, signal.opacity], dim=2)[0])
        joined = encoder.joined(signal, torch.tensor([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]))
    # The origin is seen in the middle of the picture, between features (4, 5) and (5, 6) of 10 x 12.
    torch.testing.assert_close(joined[0, 0, :8], features[0, :, 4:6, 5:7].mean(dim=(1, 2)), atol=1e-5, rtol=1e-4)
    assert not joined[0, 1, :17].any()

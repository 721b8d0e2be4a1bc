"""Viewer panel of radiance fields: views from a camera that the user moves around the object."""

from __future__ import annotations

from io import BytesIO
from math import degrees

from attrs import evolve
from PIL import Image

from ddmi_core.api import Field, Look, Panel, Shown
from ddmi_core.errors import RequestError
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import DISTANCE, usual_camera
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import Scene, as_bytes

MOVING = 96  # pixels of the longer side while the camera moves
COARSER = 2.0  # factor of the step while the camera moves
AT_REST = 384  # pixels of the longer side at rest on a CPU, so that the next movement does not wait
THUMBNAIL = 128  # pixels a side
HIGHEST = 90.0  # elevation, in degrees


class RadiancePanel(Panel):
    """Renders a field again for each camera position.

    While the camera moves, images are small and rays are sampled coarsely. At rest, images have the requested size,
    limited to 384 pixels a side on a CPU. The occupancy grid of a field is computed once.

    Args:
        renderer: provides background and step.
    """

    gesture = "orbit"

    def __init__(self, renderer: NerfRenderer) -> None:
        self.renderer = renderer

    def show(self, field: Field, look: Look) -> Shown:
        """Render a look as a PNG image; azimuths and elevations are those of `Camera.orbit`."""
        scene, (rows, columns) = self.renderer.scene(field), look.size
        most = max(rows, columns) if scene.background.is_cuda else AT_REST
        if not look.rest:
            scene, most = evolve(scene, step=COARSER * scene.step), MOVING
        shrink = min(1.0, most / max(rows, columns))
        rows, columns = max(1, round(rows * shrink)), max(1, round(columns * shrink))
        rise = min(max(degrees(look.elevation), -HIGHEST), HIGHEST)
        camera = Camera.orbit(degrees(look.azimuth), rise, DISTANCE * look.distance, height=rows, width=columns)
        return drawn(scene, camera)

    def thumbnail(self, field: Field) -> Shown:
        """Render the default view at 128 pixels."""
        return drawn(self.renderer.scene(field), usual_camera((THUMBNAIL, THUMBNAIL)))


def drawn(scene: Scene, camera: Camera) -> Shown:
    """Render colours only, without the normals of a `Picture`."""
    place = scene.background.device
    origins, directions = (part.to(place) for part in camera.rays())
    colours = march(scene.radiance, origins, directions, scene.background, step=scene.step, grid=scene.grid).colour
    if not colours.isfinite().all():
        raise RequestError("the field has values that are not finite and cannot be rendered; check the model's weights")
    pixels = as_bytes(colours.view(camera.height, camera.width, 3).cpu().numpy())
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return Shown("image/png", file.getvalue())

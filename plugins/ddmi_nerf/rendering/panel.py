"""Viewer panel of radiance fields: views from a camera that the user moves around the object."""

from __future__ import annotations

from collections import OrderedDict
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
KEPT = 16  # cached scenes, as many as a gallery shows
HIGHEST = 90.0  # elevation, in degrees


class RadiancePanel(Panel):
    """Renders a field again for each camera position.

    While the camera moves, images are small and rays are sampled coarsely. At rest, images have the requested size,
    limited to 384 pixels a side on a CPU. The occupancy grid of a field is computed once and cached.

    Args:
        renderer: provides background and step.
    """

    gesture = "orbit"

    def __init__(self, renderer: NerfRenderer) -> None:
        self.renderer = renderer
        self._scenes: OrderedDict[int, tuple[Field, Scene]] = OrderedDict()

    def show(self, field: Field, look: Look) -> Shown:
        """Render a look as a PNG image; azimuths and elevations are those of `Camera.orbit`."""
        scene, (rows, columns) = self.scene(field), look.size
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
        return drawn(self.scene(field), usual_camera((THUMBNAIL, THUMBNAIL)))

    def scene(self, field: Field) -> Scene:
        """The scene of a field, from a cache of the 16 most recently used ones."""
        key = id(field)  # unique, because the cache keeps the field alive
        if key not in self._scenes:
            self._scenes[key] = (field, self.renderer.scene(field))
            while len(self._scenes) > KEPT:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(key)
        return self._scenes[key][1]


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

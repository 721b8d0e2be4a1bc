"""How the page of `ddmi view` shows radiance fields: what a camera sees that the user moves around them."""

from __future__ import annotations

from collections import OrderedDict
from io import BytesIO
from math import degrees

from attrs import evolve
from PIL import Image

from ddmi_core.api import Domain, Field, Look, Panel, Shown
from ddmi_core.errors import RequestError
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import DISTANCE, usual_camera
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import Scene, as_bytes
from ddmi_nerf.settings import NerfSettings

MOVING = 96  # pixels of the longer side while the camera moves
COARSER = 2.0  # times as far apart are samples of rays then
AT_REST = 384  # at rest, where a processor draws; a picture must not keep the next movement waiting
THUMBNAIL = 128  # pixels a side
KEPT = 16  # scenes, as many as a gallery shows
HIGHEST = 90.0  # degrees


class RadiancePanel(Panel):
    """A field as its camera sees it, drawn anew for each place of the camera.

    While the camera moves, pictures are small and their rays are sampled coarsely; at rest they have all pixels that
    the page has room for, on a CPU up to 384 a side. Where a field's medium is, is found once and kept.

    Args:
        renderer: whose background and steps are used.
    """

    gesture = "orbit"

    def __init__(self, renderer: NerfRenderer) -> None:
        self.renderer = renderer
        self._scenes: OrderedDict[int, tuple[Field, Scene]] = OrderedDict()

    def show(self, field: Field, look: Look) -> Shown:
        """What the camera of a look sees, as a PNG picture; azimuths and elevations are as in `Camera.orbit`."""
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
        """The usual view in 128 pixels."""
        return drawn(self.scene(field), usual_camera((THUMBNAIL, THUMBNAIL)))

    def scene(self, field: Field) -> Scene:
        """The scene of a field, made when the field is first asked for, and kept for the 16 last ones."""
        key = id(field)  # of a field that is kept beside it, so that no other one has the same
        if key not in self._scenes:
            self._scenes[key] = (field, self.renderer.scene(field))
            while len(self._scenes) > KEPT:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(key)
        return self._scenes[key][1]


def drawn(scene: Scene, camera: Camera) -> Shown:
    """Colours alone, without the normals that a `Picture` has too."""
    place = scene.background.device
    origins, directions = (part.to(place) for part in camera.rays())
    colours = march(scene.radiance, origins, directions, scene.background, step=scene.step, grid=scene.grid).colour
    if not colours.isfinite().all():
        raise RequestError("this field has values that are not numbers, so there is nothing to show")
    pixels = as_bytes(colours.view(camera.height, camera.width, 3).cpu().numpy())
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return Shown("image/png", file.getvalue())


def panel(domain: Domain, settings: NerfSettings, renderer: NerfRenderer) -> RadiancePanel:
    """A camera that goes around the field."""
    return RadiancePanel(renderer)

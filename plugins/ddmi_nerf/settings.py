"""Settings of the radiance-field domain: data, number of views, and rendering."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_core.api import acts_on, inside, within

SPARE = 2  # points stored of an object, for each one in a batch
BACKGROUNDS = {"white": (1.0, 1.0, 1.0), "grey": (0.0, 0.0, 0.0), "black": (-1.0, -1.0, -1.0)}
ENCODERS = ("points", "views")
FETCHED = "vgg"
OPACITIES = ("alpha", "white", "full")


@frozen
class Showing:
    """Which of the stored views and points a batch contains.

    Args:
        views: training views, the first of the stored ones; the others are held out.
        shown: views in a batch.
        points: points in a batch.
        background: colour behind objects, in [-1, 1].
    """

    views: int
    shown: int
    points: int
    background: tuple[float, float, float]


@frozen
class NerfSettings:
    """Settings of the radiance-field domain.

    Args:
        size: rows and columns of a view.
        plane: cells along each axis of the encoder's finest planes.
        views: training views of an object.
        held_views: further views of each object, held out to evaluate novel views.
        test_views: views of each test car of `srn-cars` to evaluate novel views, besides the `views` that the encoder
            gets; 0 uses `held_views`.
        shown: views of an object in a batch.
        points: coloured surface points in a batch.
        background: colour behind objects, `white`, `grey` or `black`.
        count: number of cars that the default source generates.
        held_out: share of the objects that are held out of training.
        limit: maximum number of objects, chosen by a stable hash of their names; 0 uses all.
        classes: use the sub-folders of a folder of objects as classes.
        extent: for files: half the side of the cube around the origin that is mapped to [-1, 1]^3, in their units; 0
            uses the value in the file, or the usual one of its format.
        opacity: for files: source of the opacity: `alpha` uses the images' alpha channel, `white` treats white pixels
            as background, with the noise of their border, `full` treats all pixels as opaque.
        up: for files: the axis of their world that points up, `z`, or `y` as in many engines.
        place: for files: `file` keeps the place and axes of their world, `cameras` derives them from the cameras of an
            object, as structure from motion requires: what they look at is the origin, their upper sides point up, the
            first one is in front, and 3 is their mean distance.
        agreement: for files: least share of the borders of outlines that the visual hull of the views must cover, 1
            with right cameras; 0 accepts all.
        encoder: input of the encoder: `points`, coloured surface points, or `views`, images with their cameras.
        samples: intervals of a ray in training.
        close: additional cuts of these intervals near the object's points.
        fine: additional cuts by importance sampling from a first, coarse pass; 0 omits that pass.
        directions: degree of the spherical harmonics for view-dependent colour, up to 3; 0 makes colour independent of
            the viewing direction, as for matt objects.
        lpips: computes LPIPS of held-out views, with the extra `lpips`: `vgg` downloads the backbone's weights, and a
            path names a local file of the whole network; empty omits the figure.
        strict: stop at objects that cannot be used; otherwise skip them with a warning.
    """

    size: int = field(default=64, validator=within(8, 1024))
    plane: int = field(default=32, validator=within(8, 512))
    views: int = field(default=24, validator=within(1, 1024))
    held_views: int = field(default=4, validator=within(0, 1024))
    test_views: int = field(default=0, validator=within(0, 1024))
    shown: int = field(default=6, validator=within(1, 1024))
    points: int = field(default=2048, validator=within(16, 1 << 24))
    background: str = field(default="white", validator=validators.in_(tuple(BACKGROUNDS)))
    count: int = field(default=600, validator=within(8, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))
    limit: int = field(default=0, validator=within(0, 10**9))
    classes: bool = True
    extent: float = field(default=0.0, validator=within(0, 1e9))
    opacity: str = field(default="alpha", validator=validators.in_(OPACITIES))
    up: str = field(default="z", validator=validators.in_(("y", "z")))
    place: str = field(default="file", validator=validators.in_(("file", "cameras")))
    agreement: float = field(default=0.95, validator=within(0, 1))
    encoder: str = field(default="points", validator=validators.in_(ENCODERS))
    samples: int = field(default=12, validator=within(4, 1024))
    close: int = field(default=16, validator=within(0, 1024))
    fine: int = field(default=0, validator=within(0, 1024))
    directions: int = field(default=0, validator=within(0, 3))
    lpips: str = field(default="", metadata=acts_on("figures"))
    strict: bool = True

    @property
    def kept_points(self) -> int:
        """Number of points that are stored of an object."""
        return SPARE * self.points

    @property
    def showing(self) -> Showing:
        """Which of the stored views and points a batch contains."""
        return Showing(self.views, min(self.shown, self.views), self.points, BACKGROUNDS[self.background])

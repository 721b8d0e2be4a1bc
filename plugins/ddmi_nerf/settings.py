"""Settings of the radiance-field domain: which data, how many views, and how they are shown."""

from __future__ import annotations

from attrs import field, frozen, validators

SPARE = 2  # points kept of an object, for each one that a batch shows
BACKGROUNDS = {"white": (1.0, 1.0, 1.0), "grey": (0.0, 0.0, 0.0), "black": (-1.0, -1.0, -1.0)}
ENCODERS = ("points", "views")
PLAIN = "colour-and-edges"  # features of views that need no file
FETCHED = "vgg"
OPACITIES = ("alpha", "white", "full")


@frozen
class Showing:
    """What a batch shows of what is kept.

    Args:
        views: views to train on, the first of those that are kept; the others are held out.
        shown: views that a batch shows.
        points: points that a batch shows.
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
        plane: cells along each axis of the finest planes of the encoder.
        views: views of an object that training may see.
        held_views: further views of each object, kept to judge views that were never trained on.
        shown: views of an object that a batch shows.
        points: coloured points on the surface that a batch shows.
        background: colour behind objects, `white`, `grey` or `black`.
        count: cars that the default source makes.
        held_out: share of the objects that training never sees.
        limit: greatest number of objects, chosen by a stable hash of their names; 0 takes all.
        classes: take the sub-folders of a folder of objects as classes.
        extent: of files: half the side of the cube around their origin that becomes [-1, 1]^3, in their units; 0 takes
            what the file says, or what is usual for its format.
        opacity: of files: where objects are opaque: `alpha` takes the pictures' alpha channel, `white` takes pixels
            that are not white, `full` takes all.
        encoder: what the encoder sees: `points`, coloured and on the surface, or `views`, pictures with their cameras.
        samples: intervals of a ray in training.
        close: how many times these are cut where the object's points are.
        fine: how many times they are cut where they weigh most, after a first look; 0 spares it.
        directions: degree of the spherical harmonics by which colours depend on where they are seen from, up to 3; 0 is
            for things that look the same from all sides, as matt ones do.
        features: what Fréchet distances of views are computed on: `colour-and-edges`, or the path of a TorchScript
            file.
        lpips: measures LPIPS of held-out views, with the extra `lpips`: `vgg` fetches the backbone's weights, and a
            path names a local file of the whole network; empty leaves the figure out.
        strict: stop at objects that cannot be used; otherwise leave them out with a warning.
    """

    size: int = field(default=64, validator=[validators.ge(8), validators.le(1024)])
    plane: int = field(default=32, validator=[validators.ge(8), validators.le(512)])
    views: int = field(default=24, validator=[validators.ge(1), validators.le(1024)])
    held_views: int = field(default=4, validator=[validators.ge(0), validators.le(1024)])
    shown: int = field(default=6, validator=validators.ge(1))
    points: int = field(default=2048, validator=validators.ge(16))
    background: str = field(default="white", validator=validators.in_(tuple(BACKGROUNDS)))
    count: int = field(default=600, validator=validators.ge(8))
    held_out: float = field(default=0.1, validator=[validators.gt(0), validators.lt(1)])
    limit: int = field(default=0, validator=validators.ge(0))
    classes: bool = True
    extent: float = field(default=0.0, validator=validators.ge(0))
    opacity: str = field(default="alpha", validator=validators.in_(OPACITIES))
    encoder: str = field(default="points", validator=validators.in_(ENCODERS))
    samples: int = field(default=12, validator=[validators.ge(4), validators.le(1024)])
    close: int = field(default=16, validator=[validators.ge(0), validators.le(1024)])
    fine: int = field(default=0, validator=[validators.ge(0), validators.le(1024)])
    directions: int = field(default=0, validator=[validators.ge(0), validators.le(3)])
    features: str = PLAIN
    lpips: str = ""
    strict: bool = True

    @property
    def kept_points(self) -> int:
        """Points that are kept of an object."""
        return SPARE * self.points

    @property
    def showing(self) -> Showing:
        """What a batch shows."""
        return Showing(self.views, min(self.shown, self.views), self.points, BACKGROUNDS[self.background])

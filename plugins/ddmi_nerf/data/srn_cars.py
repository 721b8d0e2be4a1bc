"""The source `srn-cars`: ShapeNet cars in the published layout of scene representation networks."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import default_place
from ddmi_nerf.data.folder import load_all
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.settings import NerfSettings

TRAINING, HELD_OUT = "cars_train", "cars_test"
HINT = (
    "The data are published with https://github.com/vsitzmann/scene-representation-networks "
    "(cars_train.zip, cars_val.zip, cars_test.zip; ShapeNet's terms of use apply). Unpack them so that {place} has "
    f"{TRAINING}/ID/intrinsics.txt, pose/000000.txt and rgb/000000.png, and {HELD_OUT}/ID likewise, or give their "
    "location: --data srn-cars:PATH"
)


def srn_cars(location: Path | None, settings: NerfSettings) -> Split:
    """Load SRN Cars; its test cars are held out, with `settings.test_views` views to evaluate novel views.

    The images have a white background, so all pixels that are not white count as opaque. Cars have white parts, which
    count as holes, so views that contradict each other are accepted; the account has the figure.

    Raises:
        DataError: if the data are missing or damaged.
    """
    place = location or default_place("srn-cars")
    tested = evolve(settings, held_views=settings.test_views) if settings.test_views else settings
    return Split(
        train=_part(place, TRAINING, settings),
        held_out=_part(place, HELD_OUT, tested, trained=not settings.test_views),
    )


def _part(place: Path, name: str, settings: NerfSettings, trained: bool = True) -> ViewSet:
    if not (place / name).is_dir():
        raise DataError(f"{place / name}: no such folder. {HINT.format(place=place)}")
    return load_all(place / name, evolve(settings, opacity="white", classes=False, agreement=0.0), trained)

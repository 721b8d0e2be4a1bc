"""The data sources AFHQv2 and CelebA-HQ, read from their official directory layouts."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import default_place
from ddmi_image.folder import load_all
from ddmi_image.settings import ImageSettings

AFHQ_HINT = (
    "AFHQv2 comes from https://github.com/clovaai/stargan-v2 (afhq_v2.zip, CC BY-NC 4.0). "
    "Unpack it so that {place} has train/{kind}/*.png and test/{kind}/*.png, or give its place: "
    "--data afhqv2-{kind}:PATH"
)
CELEBA_HINT = (
    "CelebA-HQ comes from https://github.com/tkarras/progressive_growing_of_gans (non-commercial). "
    "Put its 30000 pictures (png or jpg) into one of {names} below {place}, or give their folder: "
    "--data celeba-hq:PATH"
)
CELEBA_FOLDERS = (  # the largest pictures first, which reach most multiples of the native size
    "CelebA-HQ-img",
    "data1024x1024",
    "data512x512",
    "CelebA-HQ-256",
    "celeba_hq_256",
    "data256x256",
)


def afhqv2_cat(location: Path | None, settings: ImageSettings) -> Split:
    """Cats of AFHQv2; the official test pictures are held out."""
    return _afhq("cat", location, settings)


def afhqv2_dog(location: Path | None, settings: ImageSettings) -> Split:
    """Dogs of AFHQv2; the official test pictures are held out."""
    return _afhq("dog", location, settings)


def celeba_hq(location: Path | None, settings: ImageSettings) -> Split:
    """CelebA-HQ; as it has no official split, a stable hash of the picture's number holds some out.

    Raises:
        DataError: if the pictures are missing.
    """
    place = location or default_place("celeba-hq")
    found = [place / name for name in CELEBA_FOLDERS if (place / name).is_dir()]
    if not found and not (location is not None and _has_pictures(place)):
        hint = CELEBA_HINT.format(names=", ".join(CELEBA_FOLDERS), place=place)
        raise DataError(f"{place}: CelebA-HQ is not there. {hint}")
    whole = load_all(found[0] if found else place, evolve(settings, classes=False))
    keys = [Path(name).stem.lstrip("0") or "0" for name in whole.names]
    return whole.split(settings.held_out, keys)


def _has_pictures(place: Path) -> bool:
    return place.is_dir() and any(path.suffix.lower() in (".png", ".jpg", ".jpeg") for path in place.iterdir())


def _afhq(kind: str, location: Path | None, settings: ImageSettings) -> Split:
    place = location or default_place("afhqv2")
    sides = [place / part / kind for part in ("train", "test")]
    missing = [str(side) for side in sides if not side.is_dir()]
    if missing:
        hint = AFHQ_HINT.format(place=place, kind=kind)
        raise DataError(f"{', '.join(missing)}: no such folder. {hint}")
    train, held_out = (load_all(side, evolve(settings, classes=False)) for side in sides)
    return Split(train=train, held_out=held_out)

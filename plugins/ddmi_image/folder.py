"""The data source `folder`: pictures of a folder or zip archive, and single picture files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from attrs import evolve

from ddmi_core.api import Split
from ddmi_core.parts import (
    PICTURE_MAKERS,
    Decoded,
    Decoding,
    Entry,
    FolderSource,
    GridSet,
    GridSignal,
    given_file,
    picture_suffixes,
    reached_multiples,
    required_location,
    source_digest,
)
from ddmi_image.packing import pack, picture_set, row_bytes
from ddmi_image.reading import reached_rows, read_picture
from ddmi_image.settings import ImageSettings

MAKERS = (*PICTURE_MAKERS, *(Path(__file__).with_name(name) for name in ("reading.py", "packing.py")))  # of rows


def load(location: Path, settings: ImageSettings) -> Split:
    """Pictures of a folder or zip archive; some are held out by a stable hash of their names.

    If all pictures are in two or more sub-folders, these are the classes; folders `train` and `test` are a split
    instead. Files of all formats that Pillow decodes are read, as sRGB. Pictures are stored at those of
    `settings.multiples` that every picture reaches without enlargement; a warning names the others. Pictures smaller
    than the native size are enlarged to it. If every picture has captions, they are read: see `captions_beside`.
    Pictures whose captions mention left or right are not mirrored.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file
            that cannot be used.
    """
    return load_all(location, settings).split(settings.held_out)


def load_all(location: Path | None, settings: ImageSettings) -> GridSet:
    """All usable pictures of a folder or zip archive.

    Raises:
        DataError: as `load`.
    """
    location = required_location(location, "pictures")
    folder = FolderSource(location, "pictures", picture_suffixes(), settings.strict, settings.classes)
    entries, found_rows = folder.usable(
        folder.entries(settings.limit),
        lambda entry: _rows(entry, settings),
        key=("image", source_digest(*MAKERS), settings.native, settings.fit),
    )
    settings = _reaching(found_rows, settings, [entry.name for entry in entries])
    pixels, kept = folder.decode(entries, _decoding(settings))
    names = [entries[i].name for i in kept]
    found = folder.labels(names)
    return picture_set(
        pixels,
        names,
        settings.sizes,
        channels=settings.channels,
        rows=kept,
        classes=found.classes,
        labels=found.labels,
        mirrored=[settings.augment and may for may in found.mirrorable],
        captions=found.captions,
    )


def read(path: Path, settings: ImageSettings) -> GridSignal:
    """One picture file as a signal with B = 1, at the native size and the larger ones that it reaches.

    Raises:
        DataError: if the file is missing, is not a picture, or is beyond a limit.
    """
    entry = given_file(path, "picture file")
    sizes = _reaching([_rows(entry, settings)], settings).sizes
    with entry.opened() as file:
        row = pack(read_picture(file, entry.name, sizes[-1], settings.reading)[0], sizes)
    return picture_set(row[None], [path.name], sizes, channels=settings.channels).batch([0])


def _reaching(reached: Sequence[int], settings: ImageSettings, names: Sequence[str] = ()) -> ImageSettings:
    """The settings without the multiples that pictures do not reach; warns if their names are given."""
    rows = [size[0] for size in settings.sizes]
    fitting = reached_multiples(settings.multiples, rows, reached, "size", names)
    return evolve(settings, multiples=fitting, shares=settings.shares[: len(fitting)])


def _rows(entry: Entry, settings: ImageSettings) -> int:
    with entry.opened() as file:
        return reached_rows(file, entry.name, settings.native, settings.fit)


def _decoding(settings: ImageSettings) -> Decoding:
    """How a picture file becomes a packed row."""
    sizes, how = settings.sizes, settings.reading

    def read(entry: Entry) -> Decoded:
        with entry.opened() as file:
            picture, changes = read_picture(file, entry.name, sizes[-1], how)
        return Decoded(pack(picture, sizes), changes)

    key = ("image", source_digest(*MAKERS), how.fit, how.background, repr(how.white), repr(sizes))
    return Decoding(row_bytes(sizes, settings.channels), np.dtype(np.uint8), read, key, repeatable=True)

"""Discovery of objects in folders and zip archives, and access to their cameras, images and text files."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_core.parts import Entry, find_files
from ddmi_nerf.cameras import srn
from ddmi_nerf.cameras.camera import Capture, Shot
from ddmi_nerf.cameras.camera_checks import check_centres
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.transforms import count_frames, read_transforms
from ddmi_nerf.data.reading import SUFFIXES, picture_header

TRANSFORMS, TRAINING, TESTING = "transforms.json", "transforms_train.json", "transforms_test.json"
MARKERS = (TRANSFORMS, TRAINING, srn.SRN_INTRINSICS)
POINTS = "points.ply"
CAPTION = "caption.txt"


@frozen(eq=False)
class ObjectFiles:
    """Files of one object: its images, and `transforms.json`, or `intrinsics.txt` with `pose/` and `rgb/`."""

    name: str
    folder: str  # below the location, with /; empty for the location itself
    marker: str  # the camera file: one of MARKERS, or a given .json file
    entries: Mapping[str, Entry]  # all files of the location

    @property
    def entry(self) -> Entry:
        """The object as a single entry, whose stamp changes when any of its files changes."""
        own = sorted(name for name in self.entries if not self.folder or name.startswith(f"{self.folder}/"))
        stamps = "\n".join(f"{name} {self.entries[name].stamp}" for name in own)
        reader = self.entries[self._path(self.marker)].reader
        return Entry(self.name, hashlib.sha256(stamps.encode()).hexdigest(), reader)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of views, and number of additional test views.

        Raises:
            DataError: if a file that lists them is damaged.
        """
        if self.marker == srn.SRN_INTRINSICS:
            return len(self._poses()), 0
        held = self._held()
        return self._count(self.marker), self._count(held) if held else 0

    def captures(self) -> tuple[Capture, tuple[Shot, ...]]:
        """Views, and additional test views.

        Raises:
            DataError: if a file is damaged or missing, or a camera is invalid.
        """
        tests: tuple[Shot, ...] = ()
        if self.marker == srn.SRN_INTRINSICS:
            found = self._srn()
        else:
            found = read_transforms(self.text(self.marker), self._path(self.marker), self._header)
            held = self._held()
            if held:
                tests = read_transforms(self.text(held), self._path(held), self._header).shots
        check_centres(self._path(self.marker), (*found.shots, *tests))
        return found, tests

    def find(self, path: str) -> Entry | None:
        """Find a file by its path from the object's folder; the suffix of an image may be omitted."""
        whole = self._path(path)
        ends = ("", *SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))
        return next((self.entries[whole + end] for end in ends if whole + end in self.entries), None)

    def picture(self, path: str) -> Entry:
        """Find an image by its path from the object's folder.

        Raises:
            DataError: if it does not exist.
        """
        found = self.find(path)
        if found is None:
            fix = "add it, or remove its frame"
            if path.startswith("/") or path[1:2] == ":":
                fix = "give its path from the folder of this file"
            raise DataError(f"{self._path(self.marker)}: image {path} does not exist; {fix}")
        return found

    def text(self, path: str) -> str:
        """Read a text file of the object.

        Raises:
            DataError: if it is missing, or not UTF-8 text.
        """
        found = self.find(path)
        if found is None:
            raise DataError(f"{self._path(path)}: file not found; copy the object again")
        with found.opened() as file:
            try:
                return file.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise DataError(f"{found.name}: not UTF-8 text: {error}; save it as UTF-8") from error

    def _path(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.folder, path.replace("\\", "/")))

    def _held(self) -> str:
        """Name of the file of test views, if it exists."""
        return TESTING if self.marker == TRAINING and self.find(TESTING) else ""

    def _count(self, path: str) -> int:
        return count_frames(self.text(path), self._path(path))

    def _header(self, path: str) -> Header:
        found = self.picture(path)
        with found.opened() as file:
            return picture_header(file, found.name)

    def _poses(self) -> list[str]:
        """Names of the pose files, from the object's folder."""
        start = self._path("pose") + "/"
        found = sorted(name for name in self.entries if name.startswith(start) and name.endswith(".txt"))
        if not found:
            raise DataError(
                f"{start}: no poses found, although there is {self._path(srn.SRN_INTRINSICS)}; unpack it again"
            )
        return [f"pose/{name.removeprefix(start)}" for name in found]

    def _srn(self) -> Capture:
        intrinsics = self.text(srn.SRN_INTRINSICS)
        shots = []
        for pose in self._poses():
            picture = f"rgb/{posixpath.basename(pose).removesuffix('.txt')}"
            shots.append(srn.read_srn(intrinsics, self.text(pose), self._path(pose), picture, self._header))
        return Capture(tuple(shots), srn.SRN_EXTENT)


def find_objects(location: Path) -> list[ObjectFiles]:
    """Find the objects of a folder, a zip archive, or one camera file, sorted by name.

    Raises:
        DataError: if there are none.
    """
    place, wanted = (location.parent, location.name) if location.suffix == ".json" else (location, "")
    if wanted and not location.is_file():
        raise DataError(f"{location}: camera file not found; check the path")
    found = find_files(
        place, (".json", ".txt", ".ply", *SUFFIXES), "files of objects with transforms.json or intrinsics.txt"
    )
    entries = {entry.name: entry for entry in found}
    if wanted:
        return [ObjectFiles(location.parent.name or location.stem, "", wanted, entries)]
    objects: dict[str, ObjectFiles] = {}
    for marker in MARKERS:
        for name in entries:
            if posixpath.basename(name) == marker:
                folder = posixpath.dirname(name)
                objects.setdefault(folder, ObjectFiles(folder or location.stem, folder, marker, entries))
    if not objects:
        raise DataError(f"{location}: no objects found; each is a folder with {', '.join(MARKERS[:2])} or {MARKERS[2]}")
    return [objects[folder] for folder in sorted(objects)]

"""Discovery of objects in folders and zip archives, and access to their cameras, images and text files."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Container, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from attrs import evolve, frozen

from ddmi_core.errors import DataError
from ddmi_core.parts import Entry, account, damaged, find_files, picture_suffixes
from ddmi_nerf.cameras import srn
from ddmi_nerf.cameras.camera import Capture, Shot
from ddmi_nerf.cameras.camera_checks import check_centres
from ddmi_nerf.cameras.colmap import COLMAP_EXTENT, ColmapImage, colmap_images, read_colmap
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.numpy_files import (
    LLFF_POSES,
    NEUS_CAMERAS,
    NUMPY_EXTENT,
    llff_rows,
    neus_projections,
    read_llff,
    read_neus,
)
from ddmi_nerf.cameras.transforms import list_frames, read_transforms
from ddmi_nerf.data.reading import picture_header

TRANSFORMS, TRAINING, TESTING = "transforms.json", "transforms_train.json", "transforms_test.json"
COLMAP_CAMERAS = ("sparse/0/cameras.bin", "sparse/0/cameras.txt", "sparse/cameras.bin", "sparse/cameras.txt")
MARKERS = (TRANSFORMS, TRAINING, srn.SRN_INTRINSICS, *COLMAP_CAMERAS, NEUS_CAMERAS, LLFF_POSES)
IMAGES, MASKS = ("images", "image", "images_2", "images_4", "images_8"), ("masks", "mask")
POINTS = "points.ply"
CAPTION = "caption.txt"


@frozen(eq=False)
class ObjectFiles:
    """Files of one object: its images, and one of the markers with what belongs to it."""

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
        return Entry(self.name, hashlib.sha256(stamps.encode("utf-8", "surrogatepass")).hexdigest(), reader)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of views, and number of additional test views.

        Raises:
            DataError: if a file that lists them is damaged.
        """
        views, tests = self._listed()
        return len(views), len(tests)

    def used(self) -> set[str]:
        """Names of the images and masks of its views.

        Raises:
            DataError: if a file that lists them is damaged.
        """
        paths = [path for part in self._listed() for view in part for path in view if path]
        return {entry.name for path in paths if (entry := self.find(path))}

    def captures(self) -> tuple[Capture, tuple[Shot, ...]]:
        """Views, and additional test views.

        Raises:
            DataError: if a file is damaged or missing, or a camera is invalid.
        """
        with damaged(self._path(self.marker), "a set of cameras", "export the cameras again"):
            return self._captures()

    def _captures(self) -> tuple[Capture, tuple[Shot, ...]]:
        tests: tuple[Shot, ...] = ()
        if self.marker == srn.SRN_INTRINSICS:
            found = self._srn()
        elif self.marker in COLMAP_CAMERAS:
            found = self._colmap()
        elif self.marker == LLFF_POSES:
            shots = read_llff(self.content(self.marker), self._path(self.marker), self._inside(IMAGES), self._header)
            found = Capture(tuple(evolve(shot, mask=self._mask(shot.picture)) for shot in shots), NUMPY_EXTENT)
        elif self.marker == NEUS_CAMERAS:
            images, masks = self._inside(IMAGES), self._inside(MASKS)
            content = self.content(self.marker)
            shots = read_neus(content, self._path(self.marker), images, masks, self._header)
            found = Capture(shots, NUMPY_EXTENT)
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
        ends = ("", *picture_suffixes(), *(suffix.upper() for suffix in picture_suffixes()))
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
            elif self._path(path).startswith("../"):
                fix = "only files inside the data folder are read, so give a folder that contains it as --data"
            raise DataError(f"{self._path(self.marker)}: image {path} does not exist; {fix}")
        return found

    def text(self, path: str) -> str:
        """Read a text file of the object.

        Raises:
            DataError: if it is missing, or not UTF-8 text.
        """
        try:
            return self.content(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path(path)}: not UTF-8 text: {error}; save it as UTF-8") from error

    def content(self, path: str) -> bytes:
        """Read a file of the object.

        Raises:
            DataError: if it is missing.
        """
        found = self.find(path)
        if found is None:
            raise DataError(f"{self._path(path)}: file not found; copy the object again")
        with found.opened() as file:
            return file.read()

    def _path(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.folder, path.replace("\\", "/")))

    def _held(self) -> str:
        """Name of the file of test views, if it exists."""
        return TESTING if self.marker == TRAINING and self.find(TESTING) else ""

    def _listed(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Paths of image and mask of each view, and of each additional test view."""
        if self.marker == srn.SRN_INTRINSICS:
            return [(self._of_pose(pose), "") for pose in self._poses()], []
        name, tests = self._path(self.marker), list[tuple[str, str]]()
        if self.marker in COLMAP_CAMERAS:
            return [self._image(image.name) for image in self._colmap_images()], tests
        if self.marker == LLFF_POSES:
            count = len(llff_rows(self.content(self.marker), name))
            return [(path, self._mask(path)) for path in self._inside(IMAGES)[:count]], tests
        if self.marker == NEUS_CAMERAS:
            count = len(neus_projections(self.content(self.marker), name))
            return list(zip_longest(self._inside(IMAGES)[:count], self._inside(MASKS), fillvalue="")), tests
        held = self._held()
        if held:
            tests = list_frames(self.text(held), self._path(held))
        return list_frames(self.text(self.marker), name), tests

    def _inside(self, folders: tuple[str, ...]) -> list[str]:
        """Paths of the images in the first of the folders that has some, sorted by name."""
        for folder in folders:
            start = self._path(folder) + "/"
            found = sorted(
                name for name in self.entries if name.startswith(start) and name.lower().endswith(picture_suffixes())
            )
            if found:
                return [f"{folder}/{name.removeprefix(start)}" for name in found]
        return []

    def _image(self, name: str) -> tuple[str, str]:
        """Paths of an image of COLMAP, and of its mask."""
        places = (posixpath.join(folder, name) for folder in (*IMAGES, ""))
        path = next((path for path in places if self.find(path)), name)
        return path, self._mask(name)

    def _mask(self, picture: str) -> str:
        """Path of the mask of an image, with the same name, without its suffix or with two; empty without."""
        inner = picture.partition("/")[2] if picture.startswith(tuple(f"{folder}/" for folder in IMAGES)) else picture
        paths = (posixpath.join(folder, name) for folder in MASKS for name in (inner, posixpath.splitext(inner)[0]))
        return next((path for path in paths if self.find(path)), "")

    def _colmap_images(self) -> list[ColmapImage]:
        path = self.marker.replace("cameras.", "images.")
        return colmap_images(self.content(path), path.endswith(".bin"), self._path(path))

    def _colmap(self) -> Capture:
        path = self.marker.replace("cameras.", "images.")
        cameras, images, binary = self.content(self.marker), self.content(path), path.endswith(".bin")
        return Capture(read_colmap(cameras, images, binary, self._path(path), self._image, self._header), COLMAP_EXTENT)

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

    def _of_pose(self, pose: str) -> str:
        return f"rgb/{posixpath.basename(pose).removesuffix('.txt')}"

    def _srn(self) -> Capture:
        intrinsics = self.text(srn.SRN_INTRINSICS)
        shots = []
        for pose in self._poses():
            picture = self._of_pose(pose)
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
        place, (*picture_suffixes(), ".json", ".txt", ".ply", ".bin", ".npy", ".npz"), "files of posed views"
    )
    entries = {entry.name: entry for entry in found}
    if wanted:
        return [ObjectFiles(location.parent.name or location.stem, "", wanted, entries)]
    objects: dict[str, ObjectFiles] = {}
    for marker in MARKERS:
        for name in entries:
            folder = _folder(name, marker)
            # nerfstudio keeps COLMAP's model beside its own file, in a folder of its own
            if folder is not None and not (marker in COLMAP_CAMERAS and _within(folder, objects)):
                objects.setdefault(folder, ObjectFiles(folder or location.stem, folder, marker, entries))
    if not objects:
        raise DataError(
            f"{location}: no objects found; each is a folder with one of {', '.join(MARKERS)}. "
            "Fix: estimate the cameras of the pictures first, for example with COLMAP"
        )
    return [objects[folder] for folder in sorted(objects)]


def _folder(name: str, marker: str) -> str | None:
    """The folder of the object whose marker a file is."""
    if name == marker:
        return ""
    return name.removesuffix(f"/{marker}") if name.endswith(f"/{marker}") else None


def _within(folder: str, objects: Mapping[str, ObjectFiles]) -> bool:
    """Whether a folder is inside that of an object."""
    return any(not other or folder.startswith(f"{other}/") for other in objects if other != folder)


def account_for(location: Path, objects: Sequence[ObjectFiles], kept: Container[str], chosen: Container[str]) -> None:
    """Record which files are used, as what, and why the others are not.

    Args:
        location: of the objects: a folder, archive or camera file.
        objects: all that are there.
        kept: names of those that are used.
        chosen: names of those that the setting `limit` allows.
    """
    place = location.parent if location.suffix == ".json" else location
    views = {name for files in objects if files.name in kept for name in files.used()}
    folders = {files.folder: files.name for files in objects}
    for name in objects[0].entries:
        parents = [*map(str, PurePosixPath(name).parents[:-1]), ""]
        owner = next((folders[folder] for folder in parents if folder in folders), None)
        if name in views:
            account().take(place, [name], "views and masks")
        elif owner is not None and owner not in kept:
            why = "that cannot be used" if owner in chosen else "beyond the setting limit"
            account().leave_out(place, name, f"of an object {why}")
        elif name.lower().endswith(picture_suffixes()):
            account().leave_out(place, name, "of no camera")
        else:
            account().take(place, [name], "files of cameras, points or captions")

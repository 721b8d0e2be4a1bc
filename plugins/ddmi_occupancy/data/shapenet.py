"""The sources `shapenet`, `shapenet-chair` and `text2shape`, in the layout of the Occupancy Networks release."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from attrs import frozen

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import Decoded, Decoding, Entry, choose, decode_files, default_place, report_unusable, tell_sides
from ddmi_occupancy.data.onet_release import read_shape, shape_entry
from ddmi_occupancy.data.sampling import SPARE, Packing
from ddmi_occupancy.data.shape_set import ShapeSet
from ddmi_occupancy.settings import OccupancySettings

CHAIR, TABLE = "03001627", "04379243"
SYNSETS = {
    "02691156": "airplane",
    "02828884": "bench",
    "02933112": "cabinet",
    "02958343": "car",
    CHAIR: "chair",
    "03211117": "display",
    "03636649": "lamp",
    "03691459": "loudspeaker",
    "04090263": "rifle",
    "04256520": "sofa",
    TABLE: "table",
    "04401088": "telephone",
    "04530566": "vessel",
}
HELD_OUT = "test"
TRAINING = ("train", "val")
CAPTIONS = "captions.tablechair.csv"
COLUMNS = ("modelId", "description")
HINT = (
    "Download the data of Occupancy Networks, https://github.com/autonomousvision/occupancy_networks "
    "(scripts/download_data.sh; ShapeNet's terms of use apply). Unpack them so that {place} contains "
    "{synset}/train.lst, {synset}/test.lst and {synset}/ID/pointcloud.npz and points.npz, or give their location: "
    "--data {source}:PATH"
)
CAPTIONS_HINT = (
    "Download the captions from http://text2shape.stanford.edu (ShapeNet downloads, text descriptions, CSV), and put "
    f"{CAPTIONS} into the folder of the synsets, {{place}}"
)


@frozen
class Model:
    """One model of the release."""

    synset: str
    number: str  # its id
    held_out: bool

    @property
    def name(self) -> str:
        """Synset and id: `03001627/1a6f615e8b1b5ae4dbbc9440457e303e`."""
        return f"{self.synset}/{self.number}"


def shapenet(location: Path | None, settings: OccupancySettings) -> Split:
    """ShapeNet as released with Occupancy Networks; synsets are the classes, and its test lists are held out.

    Raises:
        DataError: if the data are missing or damaged.
    """
    place = location or default_place("shapenet")
    found = [synset for synset in SYNSETS if (place / synset).is_dir()]
    if not found:
        raise DataError(f"{place}: no folder of a ShapeNet synset. {_hint(place, 'shapenet')}")
    return _split(place, _models(place, found, "shapenet"), settings, {})


def shapenet_chair(location: Path | None, settings: OccupancySettings) -> Split:
    """Chairs of ShapeNet as released with Occupancy Networks; the test list is held out.

    Raises:
        DataError: if the data are missing or damaged.
    """
    place = location or default_place("shapenet")
    return _split(place, _models(place, [CHAIR], "shapenet-chair"), settings, {})


def text2shape(location: Path | None, settings: OccupancySettings) -> Split:
    """Chairs and tables of ShapeNet with captions of Text2Shape; ShapeNet's test lists are held out.

    Raises:
        DataError: if the data or the captions are missing or damaged.
    """
    place = location or default_place("shapenet")
    models = _models(place, [CHAIR, TABLE], "text2shape")
    captions = read_captions(place)
    described = [model for model in models if model.number in captions]
    if not described:
        raise DataError(
            f"{place / CAPTIONS}: none of its {len(captions)} models is among the {len(models)} of the lists; use the "
            "captions of the same version of ShapeNet"
        )
    return _split(place, described, settings, captions)


def read_captions(place: Path) -> dict[str, tuple[str, ...]]:
    """Descriptions of models, by their id.

    Raises:
        DataError: if the file is missing, unreadable, or has other columns.
    """
    path = place / CAPTIONS
    hint = CAPTIONS_HINT.format(place=place)
    found: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            missing = [column for column in COLUMNS if column not in columns]
            if missing:
                raise DataError(
                    f"{path}: no column {' or '.join(missing)}; it has {', '.join(columns) or 'none'}. {hint}"
                )
            for row in reader:
                text = " ".join((row["description"] or "").split())
                if row["modelId"] and text:
                    found.setdefault(row["modelId"], []).append(text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the captions of Text2Shape cannot be read: {error}. {hint}") from error
    if not found:
        raise DataError(f"{path}: no descriptions. {hint}")
    return {number: tuple(dict.fromkeys(texts)) for number, texts in found.items()}


def _hint(place: Path, source: str) -> str:
    return HINT.format(place=place, synset=CHAIR if source == "shapenet-chair" else "SYNSET", source=source)


def _models(place: Path, synsets: Sequence[str], source: str) -> list[Model]:
    """Models in the lists of synsets, ordered by name.

    Raises:
        DataError: if a folder or a list is missing.
    """
    models = []
    for synset in synsets:
        if not (place / synset).is_dir():
            raise DataError(f"{place / synset}: no such folder ({SYNSETS[synset]}s). {_hint(place, source)}")
        for part in (*TRAINING, HELD_OUT):
            path = place / synset / f"{part}.lst"
            try:
                lines = path.read_text(encoding="utf-8").split()
            except (OSError, UnicodeDecodeError) as error:
                if part == "val" and isinstance(error, FileNotFoundError):
                    continue
                raise DataError(f"{path}: the list cannot be read: {error}. {_hint(place, source)}") from error
            models += [Model(synset, number, part == HELD_OUT) for number in lines]
    return sorted(models, key=lambda model: model.name)


def _split(
    place: Path, models: Sequence[Model], settings: OccupancySettings, captions: dict[str, tuple[str, ...]]
) -> Split:
    """Read models and split them by the lists."""
    models = [models[i] for i in choose([model.name for model in models], settings.limit)]
    packing = Packing(SPARE * settings.surface, settings.points)

    def read(entry: Entry) -> Decoded:
        return read_shape(place / entry.name, packing)

    entries = [shape_entry(place, model.name) for model in models]
    how = Decoding(
        packing.length, np.dtype(np.uint8), read, ("occupancy", "release 2", packing.surface, packing.points)
    )
    rows, problems = decode_files(place, entries, how)
    report_unusable(place, problems, settings.strict)
    good = [i for i, model in enumerate(models) if model.name not in problems]
    if not good:
        raise DataError(f"{place}: none of the {len(models)} models in its lists can be used")
    synsets = sorted({models[i].synset for i in good})
    texts = [captions.get(models[i].number, ()) for i in good]
    whole = ShapeSet(
        packing.clouds(rows),
        np.ones(settings.points, dtype=np.float32),
        [models[i].name for i in good],
        settings.surface,
        rows=good,
        classes=[SYNSETS[synset] for synset in synsets] if len(synsets) > 1 else (),
        labels=[synsets.index(models[i].synset) for i in good],
        captions=texts if captions else (),
        mirrored=[settings.augment and not tell_sides(text) for text in texts],
        noise=settings.noise,
    )
    held = [row for row, i in enumerate(good) if models[i].held_out]
    train = [row for row, i in enumerate(good) if not models[i].held_out]
    if not train or not held:
        side = "train on" if not train else "hold out"
        raise DataError(f"{place}: the lists leave no model to {side}; check {', '.join((*TRAINING, HELD_OUT))}.lst")
    return Split(train=whole.part(train), held_out=whole.part(held))

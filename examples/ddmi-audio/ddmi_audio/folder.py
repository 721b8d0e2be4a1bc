"""Sounds from a folder or zip archive of WAV files, cut into clips; and one file as a signal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from ddmi_audio.reading import Facts, facts, read_clip
from ddmi_audio.settings import AudioSettings
from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import (
    Decoding,
    Entry,
    GridSet,
    GridSignal,
    choose,
    classes_of,
    decode_files,
    find_files,
    report_unusable,
)

SUFFIXES = (".wav", ".wave")

Samples = npt.NDArray[np.int16]


@frozen
class Clip:
    """One stretch of a file, as an entry of its own."""

    entry: Entry  # its name says file and time
    file: str
    start: float  # seconds


def load(location: Path, settings: AudioSettings) -> Split:
    """Clips of the WAV files of a folder or zip archive; some files, by a stable hash of their names, are held out.

    Files of any length, rate and number of channels are cut into clips of the native length, one after the other;
    what is left at the end of a file is not used. If all files lie in two or more sub-folders, these are the
    classes. Clips are kept at the greatest multiple of the native rate, up to `settings.detail`, that every file
    reaches. Of a single file, single clips are held out.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file that cannot
            be used.
    """
    if location is None:
        raise DataError("the source 'folder' needs a folder or zip archive of WAV files: --data PATH")
    entries = find_files(location, SUFFIXES, "sounds")
    entries = [entries[i] for i in choose([entry.name for entry in entries], settings.limit)]
    rates, clips = _clips(location, entries, settings)
    settings = evolve(settings, detail=fitting_detail(rates, settings))
    starts = {clip.entry.name: clip.start for clip in clips}

    def read_entry(entry: Entry) -> Samples:
        with entry.opened() as stream:
            return _packed(stream, entry.name, starts[entry.name], settings)

    how = Decoding(sum(_sizes(settings)), np.dtype(np.int16), read_entry, (settings.samples, settings.rate))
    rows, problems = decode_files(location, [clip.entry for clip in clips], how)
    report_unusable(location, problems, settings.strict)
    kept = [i for i, clip in enumerate(clips) if clip.entry.name not in problems]
    if not kept:
        raise DataError(f"{location}: none of its {len(clips)} clips can be used")
    names, files = [clips[i].entry.name for i in kept], [clips[i].file for i in kept]
    classes, labels = classes_of(files) if settings.classes else ((), [0] * len(kept))
    whole = GridSet(_levels(rows, settings), names, kept, classes, labels)
    return whole.split(settings.held_out, files if len(set(files)) > 1 else names)


def read(path: Path, settings: AudioSettings) -> GridSignal:
    """The first clip of one WAV file as a signal with B = 1, with the levels that its rate allows.

    Raises:
        DataError: if the file is missing, is not a WAV file of PCM samples, or is too short.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a WAV file' if path.is_dir() else 'no such file'}")
    found = _long_enough(facts(path, str(path)), str(path), settings)
    settings = evolve(settings, detail=fitting_detail([found.rate], settings))
    row = _packed(path, str(path), 0.0, settings)
    return GridSet(_levels(row[None], settings), [path.name]).batch([0])


def fitting_detail(rates: Sequence[int], settings: AudioSettings) -> int:
    """The greatest multiple of the native rate, up to `settings.detail`, that all rates reach; at least 1."""
    return max(factor for factor in settings.factors if factor == 1 or min(rates) >= factor * settings.rate)


def _clips(location: Path, entries: Sequence[Entry], settings: AudioSettings) -> tuple[list[int], list[Clip]]:
    """Rates of the files that can be used, and their clips."""
    rates, clips, problems = [], [], {}
    (seconds,) = settings.extent
    for entry in entries:
        try:
            with entry.opened() as stream:
                found = _long_enough(facts(stream, entry.name), entry.name, settings)
        except DataError as error:
            problems[entry.name] = str(error)
            continue
        rates.append(found.rate)
        for number in range(_count(found, settings)):
            name = f"{entry.name} {number * seconds:.2f} s"
            clips.append(Clip(evolve(entry, name=name), entry.name, number * seconds))
    report_unusable(location, problems, settings.strict)
    if not clips:
        raise DataError(f"{location}: none of its sounds ({len(entries)}) can be used")
    return rates, clips


def _count(found: Facts, settings: AudioSettings) -> int:
    """Whole clips of a file."""
    return found.frames * settings.rate // (found.rate * settings.samples)


def _long_enough(found: Facts, name: str, settings: AudioSettings) -> Facts:
    if not _count(found, settings):
        raise DataError(
            f"{name}: {found.frames / found.rate:.3f} s is too short; a clip lasts {settings.extent[0]:.3f} s. Remove "
            "it, or make clips shorter with --set domain.samples=N"
        )
    return found


def _sizes(settings: AudioSettings) -> list[int]:
    """Samples of each level of a clip, the native one first."""
    return [settings.samples * factor for factor in settings.factors]


def _packed(source: Path | BinaryIO, name: str, start: float, settings: AudioSettings) -> Samples:
    """All levels of a clip as one row."""
    levels = read_clip(source, name, start, settings.extent[0], _sizes(settings))
    return np.rint(np.concatenate(levels) * 32767).astype(np.int16)


def _levels(rows: Samples, settings: AudioSettings) -> list[Samples]:
    """Rows `(M, R)` of packed clips as one array `(M, 1, n)` a level."""
    ends = np.cumsum(_sizes(settings))
    return [rows[:, None, end - size : end] for size, end in zip(_sizes(settings), ends, strict=True)]

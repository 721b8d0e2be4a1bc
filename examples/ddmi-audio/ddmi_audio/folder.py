"""The data source `folder`: clips of the sound files of a folder or archive, and single files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from ddmi_audio.reading import DecodedSound, Facts, Sound, opened, read_clip
from ddmi_audio.settings import AudioSettings
from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import (
    Change,
    Decoded,
    Decoding,
    Entry,
    FolderSource,
    GridSet,
    GridSignal,
    given_file,
    reached_multiples,
    required_location,
    source_digest,
)

SUFFIXES = (
    *(".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".m4a", ".aac", ".aif", ".aiff", ".au", ".caf", ".w64", ".wma"),
)
HELD = 2  # decoded files in memory: the one that is read, and the next

MAKERS = (Path(__file__).with_name("reading.py"),)  # of cached rows

Samples = npt.NDArray[np.int16]


@frozen
class Clip:
    """One segment of a file, as an entry of its own."""

    entry: Entry  # its name has the file and the time
    file: str
    start: float  # seconds


def load(location: Path, settings: AudioSettings) -> Split:
    """Clips of the sound files of a folder or archive; some files are held out by a stable hash of their names.

    Samples of WAV files are read where they lie; FFmpeg decodes other kinds, each file as a whole.

    Files of any length, rate and number of channels are cut into consecutive clips of the native length; the rest at
    the end of a file is not used. If all files are in two or more sub-folders, these are the classes. Clips are stored
    at those of `settings.multiples` that every file reaches; a warning names the others. If there is only one file,
    some of its clips are held out.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file that cannot
            be used.
    """
    location = required_location(location, "sounds")
    folder = FolderSource(location, "sounds", SUFFIXES, settings.strict, settings.classes, captions=False)
    entries, found = folder.usable(folder.entries(settings.limit), lambda entry: _facts(entry, settings))
    settings = _reaching([each.rate for each in found], settings, [entry.name for entry in entries])
    clips = [clip for entry, each in zip(entries, found, strict=True) for clip in _clips(entry, each, settings)]
    starts = {clip.entry.name: clip.start for clip in clips}
    headers = {entry.name: each for entry, each in zip(entries, found, strict=True)}
    of_headers = {clip.entry.name: tuple(_changes(headers[clip.file], settings)) for clip in clips}
    of_clips = {clip.entry.name: clip.file for clip in clips}
    sounds = _Sounds()

    def read_entry(entry: Entry) -> Decoded:
        with sounds.opened(evolve(entry, name=of_clips[entry.name])) as sound:
            row, changes = _packed(sound, starts[entry.name], settings)
        return Decoded(row, (*of_headers[entry.name], *changes))

    key: tuple[str | int, ...] = ("audio", source_digest(*MAKERS), *settings.lengths, settings.rate)
    how = Decoding(sum(settings.lengths), np.dtype(np.int16), read_entry, key, repeatable=True)
    rows, kept = folder.decode([clip.entry for clip in clips], how, total=f"{len(clips)} clips")
    names, files = [clips[i].entry.name for i in kept], [clips[i].file for i in kept]
    labels = folder.labels(files)
    whole = GridSet(_levels(rows, settings), names, kept, labels.classes, labels.labels)
    return whole.split(settings.held_out, files if len(set(files)) > 1 else names)


class _Sounds:
    """Opens sounds, and keeps decoded ones, since neighbouring clips are of the same file; threads may share it."""

    def __init__(self) -> None:
        self.held: dict[str, Sound] = {}
        self.lock = Lock()

    @contextmanager
    def opened(self, entry: Entry) -> Iterator[Sound]:
        """The open sound of a file."""
        with entry.opened() as stream:
            with self.lock:
                sound = self.held.get(entry.name) or opened(stream, entry.name)
                if isinstance(sound, DecodedSound):
                    self.held = dict([*self.held.items(), (entry.name, sound)][-HELD:])
            yield sound


def read(path: Path, settings: AudioSettings) -> GridSignal:
    """The first clip of one sound file as a signal with B = 1, with the levels that its rate allows.

    Raises:
        DataError: if the file is missing, is not a sound, or is too short.
    """
    with given_file(path, "sound file").opened() as file:
        sound = opened(file, str(path))
        found = _long_enough(sound.facts, str(path), settings)
        settings = _reaching([found.rate], settings)
        row, _ = _packed(sound, 0.0, settings)
    return GridSet(_levels(row[None], settings), [path.name]).batch([0])


def _reaching(reached: Sequence[int], settings: AudioSettings, names: Sequence[str] = ()) -> AudioSettings:
    """The settings without the multiples beyond the lowest rate of the files; warns if their names are given."""
    rates = [multiple * settings.rate for multiple in settings.multiples]
    fitting = reached_multiples(settings.multiples, rates, reached, "rate", names)
    return evolve(settings, multiples=fitting, shares=settings.shares[: len(fitting)])


def _facts(entry: Entry, settings: AudioSettings) -> Facts:
    """Rate and length of a file that has at least one clip."""
    with entry.opened() as stream:
        return _long_enough(opened(stream, entry.name).facts, entry.name, settings)


def _clips(entry: Entry, found: Facts, settings: AudioSettings) -> Iterator[Clip]:
    """The clips of a file, in order."""
    (seconds,) = settings.extent
    for number in range(_count(found, settings)):
        start = number * seconds
        yield Clip(evolve(entry, name=f"{entry.name} {start:.2f} s"), entry.name, start)


def _changes(found: Facts, settings: AudioSettings) -> Iterator[Change]:
    """What reading does to the clips of a file."""
    if found.piped:
        yield Change("of a WAV file without a length, read to the end of the file")
    if found.rate != settings.rate:
        yield Change(f"resampled to {settings.rate} Hz", found.rate, "Hz before")


def _count(found: Facts, settings: AudioSettings) -> int:
    """The number of whole clips in a file."""
    return found.frames * settings.rate // (found.rate * settings.samples)


def _long_enough(found: Facts, name: str, settings: AudioSettings) -> Facts:
    if not _count(found, settings):
        raise DataError(
            f"{name}: {found.frames / found.rate:.3f} s is too short; a clip lasts {settings.extent[0]:.3f} s. Remove "
            "it, or make clips shorter with --set domain.samples=N"
        )
    return found


def _packed(sound: Sound, start: float, settings: AudioSettings) -> tuple[Samples, list[Change]]:
    """Read a clip and pack its levels into one row; and what was changed."""
    levels, changes = read_clip(sound, start, settings.extent[0], settings.lengths)
    return np.rint(np.concatenate(levels) * 32767).astype(np.int16), changes


def _levels(rows: Samples, settings: AudioSettings) -> list[Samples]:
    """Unpack rows `(M, R)` of clips into one array `(M, 1, n)` per level."""
    ends = np.cumsum(settings.lengths)
    return [rows[:, None, end - size : end] for size, end in zip(settings.lengths, ends, strict=True)]

"""Reading segments of sound files: WAV by its samples, other kinds by FFmpeg; mixed down to mono and resampled."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import SEEK_END
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, damaged

CROSSINGS = 32  # zero crossings on each side of the resampling filter
MOST_RATE = 768_000
MOST_DECODED = 1 << 28  # values of a file that FFmpeg decodes as a whole: 1 GiB
CANCELLED = 0.1  # power of the mean of channels over their mean power; below, they cancel each other

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format tags of WAV
UNKNOWN = 0x7FFF_F000  # sizes from here on, and 0, are those of programs that wrote to a pipe

Array = npt.NDArray[np.float64]


@frozen
class Facts:
    """Facts about a sound file."""

    rate: int  # samples per second
    frames: int
    channels: int = 1
    piped: bool = False  # a WAV file that does not say its length


class Sound(ABC):
    """An open sound file.

    Args:
        facts: about it.
        name: for messages.
    """

    def __init__(self, facts: Facts, name: str) -> None:
        self.facts, self.name = facts, name

    @abstractmethod
    def samples(self, first: int, last: int) -> Array:
        """Samples `(last - first, channels)`, for full scale in [-1, 1]."""


class WavSound(Sound):
    """The samples of a WAV file, whole numbers or floating-point, which are read where they lie.

    Args:
        file: open file.
        name: for messages.
        facts: about it.
        start: place of the samples in the file, in bytes.
        width: bytes of a sample.
        floating: whether samples are floating-point.
    """

    def __init__(self, file: BinaryIO, name: str, facts: Facts, start: int, width: int, floating: bool) -> None:
        super().__init__(facts, name)
        self.file, self.start, self.width, self.floating = file, start, width, floating

    def samples(self, first: int, last: int) -> Array:
        """See `Sound`."""
        size = self.width * self.facts.channels
        self.file.seek(self.start + first * size)
        raw = self.file.read((last - first) * size)
        if len(raw) < (last - first) * size:
            raise DataError(
                f"{self.name}: cut off: its header promises more samples than it holds; copy or export it again"
            )
        values = np.frombuffer(raw, f"<f{self.width}").astype(float) if self.floating else as_floats(raw, self.width)
        return values.reshape(-1, self.facts.channels)


class DecodedSound(Sound):
    """A file that FFmpeg has decoded as a whole, since seeking is not exact in all kinds.

    Args:
        file: open file.
        name: for messages.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        import av

        file.seek(0)
        parts, count = [], 0
        with (
            damaged(name, "a sound in a known format", "convert it: ffmpeg -i IN OUT.wav"),
            av.open(file, "r", metadata_errors="replace") as opened,
        ):
            if not opened.streams.audio:
                raise DataError(f"{name}: it has no sound; remove it")
            stream = opened.streams.audio[0]
            to_floats = av.AudioResampler(format="fltp")
            for frame in opened.decode(stream):
                for each in to_floats.resample(frame):
                    parts.append(each.to_ndarray())
                    count += parts[-1].size
                if count > MOST_DECODED:
                    raise DataError(f"{name}: too long to decode at once; convert it: ffmpeg -i IN OUT.wav")
            rate, length = int(stream.rate or 0), 0.0
            if stream.codec_context.name == "flac" and stream.duration and stream.time_base:
                length = float(stream.duration * stream.time_base)
        if not parts:
            raise DataError(f"{name}: holds no samples; remove it, or export it again")
        self.values = np.concatenate(parts, axis=1).T
        super().__init__(_checked(Facts(rate, *self.values.shape), name), name)
        if len(self.values) < rate * length - 1:
            raise DataError(
                f"{name}: cut off: of {length:.3f} s, {len(self.values) / rate:.3f} s can be read; copy it again"
            )

    def samples(self, first: int, last: int) -> Array:
        """See `Sound`."""
        return self.values[first:last].astype(np.float64)


def opened(file: BinaryIO, name: str) -> Sound:
    """The sound in an open file, which has to stay open.

    Args:
        file: from its start.
        name: for messages.

    Raises:
        DataError: if it is not a sound, is damaged, or holds no samples.
    """
    return _wav(file, name) or DecodedSound(file, name)


def read_clip(sound: Sound, start: float, seconds: float, sizes: Sequence[int]) -> tuple[list[Array], list[Change]]:
    """Read a segment of a sound at several rates.

    Channels are mixed down to their mean. If they cancel each other, as a channel and its negative do, the loudest one
    is taken instead.

    Args:
        sound: open.
        start: start of the segment in seconds.
        seconds: length of the segment.
        sizes: numbers of samples; each sample is at the centre of its interval.

    Returns:
        `(n,)` in [-1, 1] for each size n, and what was done beside the resampling.

    Raises:
        DataError: if the file is cut off, or has values that are not finite.
    """
    own, changes = sound.facts.rate, list[Change]()
    margin = int(np.ceil(CROSSINGS * max(1.0, own * seconds / min(sizes)))) + 1
    first = max(0, int(start * own) - margin)
    last = min(sound.facts.frames, int(np.ceil((start + seconds) * own)) + margin)
    samples = sound.samples(first, last)
    if not np.isfinite(samples).all():
        raise DataError(f"{sound.name}: has samples that are not finite; export it again")
    values, power = samples.mean(axis=1), (samples**2).mean(axis=0)
    if sound.facts.channels > 1 and (values**2).mean() < CANCELLED * power.mean():
        channel = int(power.argmax())
        values = samples[:, channel]
        changes.append(Change("taken from one channel, since the mean of all cancels out", values={"channel": channel}))
    elif sound.facts.channels > 1:
        changes.append(Change("mixed down to mono", sound.facts.channels, "channels"))
    peak = abs(values).max(initial=0)
    if peak > 1:
        changes.append(Change("cut off beyond full scale", round(float(peak), 3), "times full scale"))
    centres = [start - first / own + (np.arange(size) + 0.5) / size * seconds for size in sizes]
    rates = [size / seconds for size in sizes]
    return [np.clip(resample(values, own, *at), -1, 1) for at in zip(centres, rates, strict=True)], changes


def as_floats(raw: bytes, width: int) -> Array:
    """Convert little-endian PCM samples of 1 to 4 bytes to numbers in [-1, 1]."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 127
    parts = np.frombuffer(raw, np.uint8).reshape(-1, width)
    whole = np.zeros((len(parts), 4), np.uint8)
    whole[:, 4 - width :] = parts  # the high bytes of 32 bits
    return whole.view("<i4")[:, 0].astype(np.float64) / (2.0**31 - 2.0 ** (32 - 8 * width))


def resample(values: Array, own: float, times: Array, rate: float) -> Array:
    """Resample with a windowed sinc, band-limited to half of the lower rate, with zeros outside.

    Args:
        values: `(n,)`, each at the centre of its sample.
        own: samples per second of the values.
        times: `(m,)`, in seconds from the start of the first sample.
        rate: samples per second of the times.
    """
    cut = min(1.0, rate / own)
    reach = int(np.ceil(CROSSINGS / cut))
    places = times * own - 0.5
    nearest = np.floor(places).astype(int)
    offsets = np.arange(1 - reach, reach + 1)
    taps = nearest[:, None] + offsets
    distance = (places - nearest)[:, None] - offsets
    turn = np.pi * np.clip(distance / reach, -1, 1)
    window = 0.42 + 0.5 * np.cos(turn) + 0.08 * np.cos(2 * turn)  # Blackman's
    padded = np.pad(values, (reach, reach + 1))
    found = padded[np.clip(taps + reach, 0, len(padded) - 1)]
    return np.asarray((found * np.sinc(cut * distance) * window).sum(axis=1) * cut)


def _wav(file: BinaryIO, name: str) -> WavSound | None:
    """The sound of a WAV file (RIFF, or RF64 of more than 4 GiB); None if it is not one, or its samples are encoded.

    If the header has no length, as that of a program that wrote to a pipe, samples go on to the end of the file.
    """
    file.seek(0, SEEK_END)
    end = file.tell()
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    whole, long = struct.unpack("<I", head[4:8])[0], 0
    tag = channels = rate = align = 0
    while len(chunk := file.read(8)) == 8:
        kind, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        place = file.tell()
        if kind == b"fmt ":
            form = file.read(min(size, 40)).ljust(40, b"\0")
            tag, channels, rate, _, align = struct.unpack("<HHIIH", form[:14])
            tag = struct.unpack("<H", form[24:26])[0] if tag == EXTENSIBLE else tag
        elif kind == b"ds64":
            long = struct.unpack("<Q", file.read(16).ljust(16, b"\0")[8:])[0]
        elif kind == b"data":
            size = long if long and size == 0xFFFF_FFFF else size
            piped = (size >= UNKNOWN and place + size > end) or (size == 0 and whole != end - 8)
            return _of_data(file, name, (tag, channels, rate, align), place, (end - place) if piped else size, piped)
        file.seek(place + size + size % 2)
    raise DataError(f"{name}: empty or cut off before its samples; copy or export it again")


def _of_data(
    file: BinaryIO, name: str, form: tuple[int, int, int, int], place: int, size: int, piped: bool
) -> WavSound | None:
    """The sound of a data chunk; None for samples that FFmpeg has to decode."""
    tag, channels, rate, align = form
    if tag not in (PCM, FLOAT):
        return None
    width = align // channels if channels else 0
    if width not in ((4, 8) if tag == FLOAT else (1, 2, 3, 4)):
        raise DataError(f"{name}: samples of {width} bytes cannot be right; export it again")
    return WavSound(file, name, _checked(Facts(rate, size // align, channels, piped), name), place, width, tag == FLOAT)


def _checked(found: Facts, name: str) -> Facts:
    if not 1 <= found.rate <= MOST_RATE:
        raise DataError(f"{name}: a rate of {found.rate} Hz cannot be right; export it again")
    if found.frames == 0:
        raise DataError(f"{name}: holds no samples; remove it, or export it again")
    return found

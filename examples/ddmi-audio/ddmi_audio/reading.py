"""Reading segments of WAV files: PCM of any width, mixed down to mono and resampled without aliasing."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import DataError

CROSSINGS = 32  # zero crossings on each side of the resampling filter
MOST_RATE = 768_000

Array = npt.NDArray[np.float64]


@frozen
class Facts:
    """Facts from the header of a WAV file."""

    rate: int  # samples per second
    frames: int
    channels: int = 1


def facts(source: Path | BinaryIO, name: str) -> Facts:
    """Rate, length and number of channels, from the header alone.

    Raises:
        DataError: if it is not a WAV file of PCM samples.
    """
    with _opened(source, name) as file:
        return Facts(file.getframerate(), file.getnframes(), file.getnchannels())


def read_clip(source: Path | BinaryIO, name: str, start: float, seconds: float, sizes: Sequence[int]) -> list[Array]:
    """Read a segment of a file at several rates: `(n,)` in [-1, 1] for each size n.

    Args:
        source: path, or open file.
        name: name for messages.
        start: start of the segment in seconds.
        seconds: length of the segment.
        sizes: numbers of samples; each sample is at the centre of its interval.

    Raises:
        DataError: if the file is not a WAV file of PCM samples, or is cut off.
    """
    with _opened(source, name) as file:
        own = file.getframerate()
        margin = int(np.ceil(CROSSINGS * max(1.0, own * seconds / min(sizes)))) + 1
        first = max(0, int(start * own) - margin)
        last = min(file.getnframes(), int(np.ceil((start + seconds) * own)) + margin)
        file.setpos(first)
        raw = file.readframes(last - first)
        width, channels = file.getsampwidth(), file.getnchannels()
    if len(raw) < (last - first) * width * channels:
        raise DataError(f"{name}: cut off: its header promises more samples than it holds; copy or export it again")
    values = as_floats(raw, width).reshape(-1, channels).mean(axis=1)
    centres = [start - first / own + (np.arange(size) + 0.5) / size * seconds for size in sizes]
    rates = [size / seconds for size in sizes]
    return [np.clip(resample(values, own, *at), -1, 1) for at in zip(centres, rates, strict=True)]


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


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[wave.Wave_read]:
    """Open a WAV file and check its header."""
    try:
        with wave.open(str(source) if isinstance(source, Path) else source, "rb") as file:
            if not 1 <= file.getframerate() <= MOST_RATE or not 1 <= file.getsampwidth() <= 4:
                raise DataError(f"{name}: a rate of {file.getframerate()} Hz cannot be right; export it again")
            if file.getnframes() == 0:
                raise DataError(f"{name}: holds no samples; remove it, or export it again")
            yield file
    except EOFError as error:
        raise DataError(f"{name}: empty or cut off before its samples; copy or export it again") from error
    except wave.Error as error:
        if "unknown format" in str(error):
            raise DataError(
                f"{name}: its samples are not PCM ({error}); convert it, for example with "
                f"`ffmpeg -i OLD.wav -c:a pcm_s16le NEW.wav`"
            ) from error
        raise DataError(f"{name}: not a WAV file: {error}; convert it to WAV with 16-bit PCM") from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from error

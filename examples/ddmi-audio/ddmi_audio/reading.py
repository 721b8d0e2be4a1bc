"""Reading stretches of WAV files: any PCM, mixed to one channel, resampled without frequencies that do not fit."""

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

CROSSINGS = 32  # zero crossings of the resampling filter on either side
MOST_RATE = 768_000

Array = npt.NDArray[np.float64]


@frozen
class Facts:
    """What a WAV file says of itself."""

    rate: int  # samples a second
    frames: int


def facts(source: Path | BinaryIO, name: str) -> Facts:
    """Rate and length, from the header alone.

    Raises:
        DataError: if it is not a WAV file of PCM samples.
    """
    with _opened(source, name) as file:
        return Facts(file.getframerate(), file.getnframes())


def read_clip(source: Path | BinaryIO, name: str, start: float, seconds: float, sizes: Sequence[int]) -> list[Array]:
    """A stretch of a file at several rates: `(n,)` in [-1, 1] for each size n.

    Args:
        source: file.
        name: name for messages.
        start: seconds into the file.
        seconds: length of the stretch.
        sizes: samples that it is made of; each stands for the time at its centre.

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
    """Little-endian PCM samples of 1 to 4 bytes as numbers in [-1, 1]."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 127
    parts = np.frombuffer(raw, np.uint8).reshape(-1, width)
    whole = np.zeros((len(parts), 4), np.uint8)
    whole[:, 4 - width :] = parts  # the high bytes of 32 bits
    return whole.view("<i4")[:, 0].astype(np.float64) / (2.0**31 - 2.0 ** (32 - 8 * width))


def resample(values: Array, own: float, times: Array, rate: float) -> Array:
    """Values at other times, without frequencies above half of either rate; silence surrounds the values.

    Args:
        values: `(n,)`, each at the centre of its sample.
        own: samples a second of the values.
        times: `(m,)`, in seconds from the first value's beginning.
        rate: samples a second of the times.
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
    """A WAV file, checked."""
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
                f"{name}: its samples are not plain whole numbers, PCM ({error}); convert it, for example with "
                f"`ffmpeg -i OLD.wav -c:a pcm_s16le NEW.wav`"
            ) from error
        raise DataError(f"{name}: not a WAV file: {error}; convert it to WAV with 16-bit PCM") from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from error

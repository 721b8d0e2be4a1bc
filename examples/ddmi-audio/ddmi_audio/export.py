"""Sounds as WAV files, and as pictures: the waveform above its spectrogram."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import GridArtefact

PEAK = 32767  # of 16-bit samples
WIDE, HIGH, BAND = 256, 56, 104  # pixels: width, height of the waveform, height of the spectrogram
LOWEST = 60.0  # hertz at the foot of the spectrogram
RANGE = 3.0  # decades of magnitude that the colours span
COLOURS = ((0, 0, 4), (60, 15, 110), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))
PAPER, INK = (244, 246, 249), (38, 84, 124)

Samples = npt.NDArray[np.float64]


# --8<-- [start:write]
def write_wav(artefact: GridArtefact, path: Path) -> None:
    """Write a sound as 16-bit PCM; the sampling rate is its samples over its seconds, in whole hertz.

    Raises:
        OSError: if the file cannot be written.
    """
    with path.open("wb") as stream, wave.open(stream, "wb") as file:
        file.setparams((1, 2, _rate(artefact), 0, "NONE", ""))
        for slab in artefact.slabs():
            file.writeframes(np.rint(np.clip(slab, -1, 1) * PEAK).astype("<i2").tobytes())


# --8<-- [end:write]


# --8<-- [start:picture]
def picture(artefact: GridArtefact) -> Image.Image:
    """The waveform above a spectrogram with logarithmic frequencies, 256 x 160 pixels for any length."""
    samples = artefact.array()[:, 0].astype(np.float64)
    return Image.fromarray(np.concatenate([_waveform(samples), _spectrogram(samples, _rate(artefact))]))


# --8<-- [end:picture]


def _rate(artefact: GridArtefact) -> int:
    return max(1, round(artefact.size[0] / artefact.extent[0]))


def _waveform(samples: Samples) -> npt.NDArray[np.uint8]:
    """Lowest to highest value in each column."""
    at = np.arange(WIDE) * len(samples) // WIDE
    rows = np.arange(HIGH)[:, None]
    top, foot = (
        np.rint((1 - np.clip(ends, -1, 1)) / 2 * (HIGH - 1))
        for ends in (np.maximum.reduceat(samples, at), np.minimum.reduceat(samples, at))
    )
    return np.where(((rows >= top) & (rows <= foot))[..., None], INK, PAPER).astype(np.uint8)


def _spectrogram(samples: Samples, rate: int) -> npt.NDArray[np.uint8]:
    """Log magnitudes, high frequencies at the top."""
    length = 2 * max(4, len(samples) // 32)
    padded = np.pad(samples, length // 2)
    starts = np.linspace(0, len(samples), WIDE).astype(int)
    frames = padded[starts[:, None] + np.arange(length)] * np.hanning(length)
    magnitudes = np.abs(np.fft.rfft(frames, n=4 * length)).T * (4 / length)
    bins = np.geomspace(LOWEST, rate / 2, BAND)[::-1] / rate * 4 * length
    drawn = magnitudes[np.clip(np.rint(bins), 0, len(magnitudes) - 1).astype(int)]
    shade = np.clip(1 + np.log10(drawn + 1e-12) / RANGE, 0, 1)
    ends = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(shade, ends, channel) for channel in zip(*COLOURS, strict=True)], axis=-1).astype(
        np.uint8
    )

"""Export of sounds as WAV files, and as pictures of the waveform and the spectrogram."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ddmi_core.parts import GridArtefact

PEAK = 32767  # of 16-bit samples
WIDE, HIGH, BAND = 256, 56, 104  # pixels: width, height of the waveform, height of the spectrogram
LOWEST = 60.0  # hertz at the bottom of the spectrogram
RANGE = 3.0  # decades of magnitude from the darkest to the brightest colour
PAPER, INK = (244, 246, 249), (38, 84, 124)  # of the waveform
COLD, WARM, HOT = (0, 0, 4), (190, 56, 112), (252, 245, 185)  # of the spectrogram

Array = npt.NDArray[Any]


# --8<-- [start:write]
def write_wav(artefact: GridArtefact, path: Path) -> None:
    """Write a sound as 16-bit PCM; the sampling rate is samples over seconds, rounded to hertz.

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
    """The waveform above a spectrogram with logarithmic frequencies: 256 x 160 pixels for any length."""
    samples = artefact.array()[:, 0].clip(-1, 1)
    drawn = Image.new("RGB", (WIDE, HIGH + BAND))
    drawn.paste(ImageOps.colorize(Image.fromarray(_waveform(samples)), PAPER, INK))
    drawn.paste(ImageOps.colorize(Image.fromarray(_spectrogram(samples, _rate(artefact))), COLD, HOT, WARM), (0, HIGH))
    return drawn


# --8<-- [end:picture]


def _rate(artefact: GridArtefact) -> int:
    return max(1, round(artefact.size[0] / artefact.extent[0]))


def _waveform(samples: Array) -> Array:
    """The range of values in each column: bytes `(HIGH, WIDE)`."""
    at = np.arange(WIDE) * len(samples) // WIDE
    heights = np.linspace(1, -1, HIGH)[:, None]
    top, foot = np.maximum.reduceat(samples, at), np.minimum.reduceat(samples, at)
    return np.where((heights < top + 1 / HIGH) & (heights > foot - 1 / HIGH), 255, 0).astype(np.uint8)


def _spectrogram(samples: Array, rate: int) -> Array:
    """Log magnitudes, high frequencies at the top: bytes `(BAND, WIDE)`."""
    length = 2 * max(4, len(samples) // 32)
    starts = np.linspace(0, len(samples), WIDE).astype(int)
    frames = np.pad(samples, length // 2)[starts[:, None] + np.arange(length)] * np.hanning(length)
    magnitudes = np.abs(np.fft.rfft(frames, n=4 * length)).T * (4 / length)
    bins = np.geomspace(LOWEST, rate / 2, BAND)[::-1] / rate * 4 * length
    drawn = magnitudes[np.clip(np.rint(bins), 0, len(magnitudes) - 1).astype(int)]
    return np.asarray(255 * np.clip(1 + np.log10(drawn + 1e-12) / RANGE, 0, 1), dtype=np.uint8)

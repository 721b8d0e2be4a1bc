"""The implementation of the audio domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from PIL import Image
from torch import Tensor, nn

from ddmi_audio import export, folder, notes, spectral
from ddmi_audio.features import features
from ddmi_audio.settings import AudioSettings
from ddmi_core.parts import GridArtefact, GridDomain, GridSignal, Metric, PerceptualConfig, Source, psnr_db


class AudioParts(GridDomain[AudioSettings]):
    """Sounds as functions of time."""

    def sources(self) -> Mapping[str, Source]:
        """Instruments by formulas, and folders of sounds."""
        return {"notes": notes.load, "folder": folder.load}

    def read(self, path: Path) -> GridSignal:
        """The sound in a file."""
        return folder.read(path, self.settings)

    def loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """Error relative to the loudness of the sound."""
        return spectral.relative_loss(values, targets)

    def likelihood(self) -> Literal["gaussian"]:
        """Fields give pressures, as sounds do."""
        return "gaussian"

    def perceptual(self) -> Mapping[str, Callable[[PerceptualConfig], nn.Module]]:
        """Distance of spectrograms."""
        return {"spectral": spectral.SpectralTerm}

    def metrics(self) -> Mapping[str, Metric]:
        """Signal-to-noise ratios, and the distance of spectrograms."""
        return {"snr_db": spectral.snr_db, "psnr_db": psnr_db, "spectral_distance": spectral.spectral_distance}

    def features(self, values: Tensor) -> Tensor:
        """Power of half-octave bands over time."""
        return features(values)

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """WAV files at any sampling rate."""
        return {".wav": export.write_wav}

    def picture(self, artefact: GridArtefact) -> Image.Image:
        """The waveform above the spectrogram."""
        return export.picture(artefact)

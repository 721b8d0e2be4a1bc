"""Waveform and spectral errors of sounds: the training loss, its spectral term, and metrics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddmi_core.api import Field
from ddmi_core.parts import GridRenderer, GridSignal, PerceptualConfig

WINDOWS = (64, 128, 256, 512, 1024)  # samples; windows longer than the sound are skipped
QUIET = 1e-3  # power below which the relative error becomes absolute
FLOOR = 1e-3  # least magnitude in the logarithm, 60 dB below a sine of amplitude 1


def magnitudes(sound: Tensor, window: int) -> Tensor:
    """Short-time spectrum: a sine of amplitude 1 has magnitude 1 in its bin.

    Args:
        sound: `(B, n)`; it is padded with zeros.
        window: samples of the Hann window; windows overlap by three quarters.

    Returns:
        `(B, window / 2 + 1, frames)`
    """
    shape = torch.hann_window(window, dtype=sound.dtype, device=sound.device)
    found = torch.stft(sound, window, window // 4, window=shape, center=True, pad_mode="constant", return_complex=True)
    power = found.real.square() + found.imag.square()
    return (power + 1e-12).sqrt() * (2 / shape.sum())


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Multi-resolution spectral distance (arXiv 1910.11480, equations 4 to 6), `(B,)`; 0 for equal sounds.

    The sum of the spectral convergence (norm of the difference of magnitudes over the norm of the true ones) and the
    mean difference of log magnitudes, averaged over the window lengths.

    Args:
        first: `(B, V, n)`, the sounds to compare.
        second: the same shape, the true ones.
    """
    rows, truth = (sound.flatten(0, 1) for sound in (first, second))
    windows = [window for window in WINDOWS if window <= rows.shape[-1]] or WINDOWS[:1]
    terms = []
    for window in windows:
        ours, true = magnitudes(rows, window), magnitudes(truth, window)
        convergence = (ours - true).flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1).clamp_min(FLOOR)
        logarithms = ((ours + FLOOR) / (true + FLOOR)).log().abs().flatten(1).mean(dim=1)
        terms.append(convergence + logarithms)
    return torch.stack(terms).mean(dim=0).view(first.shape[:2]).mean(dim=1)


# --8<-- [start:metric]
def relative_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Squared error relative to the true power: `(B, N, V)` and `(B, N, V)` to `(B, N)`.

    Quiet sounds and endings weigh as much as loud ones, down to 30 dB below full scale.
    """
    power = targets.square().mean(dim=(1, 2), keepdim=True) + QUIET
    return ((values - targets).square() / power).mean(dim=-1)


def snr_db(fields: Field, signal: GridSignal, renderer: GridRenderer) -> Tensor:
    """Signal-to-noise ratio of each sound in decibels, `(B,)`, at the native rate; at most 100."""
    truth = signal.values.cpu()
    noise = renderer.native_values(fields) - truth
    power, error = (part.square().mean(dim=(1, 2)) + 1e-10 for part in (truth, noise))
    return 10 * torch.log10(power / error)


def spectral_distance(fields: Field, signal: GridSignal, renderer: GridRenderer) -> Tensor:
    """Multi-resolution spectral distance of each sound at the native rate, `(B,)`; lower is better."""
    return distance(renderer.native_values(fields), signal.values.cpu())


class SpectralTerm(nn.Module):
    """The spectral distance between predicted and true segments as a training loss."""

    def __init__(self, options: PerceptualConfig) -> None:
        super().__init__()

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        """The mean distance, a scalar, of segments `(B, V, n)`."""
        return distance(values, targets).mean()


# --8<-- [end:metric]

"""The spectral distance: zero for equal sounds, growing with noise, blind to loudness only where both are silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ddmi_audio.features import BANDS, SEGMENTS, features
from ddmi_audio.spectral import SpectralTerm, distance, magnitudes, relative_loss, snr_db

from ddmi_core.parts import GridSignal, PerceptualConfig


def tone(hertz: float, samples: int = 2048, rate: float = 8192, amplitude: float = 0.5) -> torch.Tensor:
    time = (torch.arange(samples) + 0.5) / rate
    return amplitude * torch.sin(2 * torch.pi * hertz * time)[None, None]


def test_a_sine_has_its_amplitude_in_its_bin():
    found = magnitudes(tone(8192 / 256 * 20, amplitude=0.7)[0], 256)
    assert found[0, 20, 8].item() == pytest.approx(0.7, rel=1e-3)
    assert found[0, 60, 8].item() < 1e-3


def test_equal_sounds_have_no_distance():
    assert distance(tone(440), tone(440)).tolist() == [0.0]


def test_distance_grows_with_noise():
    noise = torch.randn(1, 1, 2048, generator=torch.Generator().manual_seed(0))
    found = [distance(tone(440) + level * noise, tone(440)).item() for level in (0, 0.001, 0.01, 0.1, 1.0)]
    assert found == sorted(found)
    assert found[1] > 0


def test_distance_takes_each_sound_by_itself():
    first, second = torch.cat([tone(440), tone(600)]), torch.cat([tone(450), tone(600)])
    found = distance(first, second)
    assert found.shape == (2,)
    assert found[0].item() == pytest.approx(distance(tone(440), tone(450)).item(), rel=1e-5)
    assert found[1] == 0


def test_phase_matters_less_than_pitch():
    time = (torch.arange(2048) + 0.5) / 8192
    turned = 0.5 * torch.cos(2 * torch.pi * 440 * time)[None, None]
    assert distance(turned, tone(440)) < 0.2 * distance(tone(520), tone(440))


@pytest.mark.parametrize("samples", [1, 5, 40, 70, 300])
def test_short_sounds_have_a_distance(samples):
    assert torch.isfinite(distance(tone(440, samples), tone(500, samples))).all()


def test_the_term_is_the_distance_with_finite_gradients_even_from_silence():
    values = torch.zeros(2, 1, 512, requires_grad=True)
    targets = torch.cat([tone(440, 512), torch.zeros(1, 1, 512)])
    loss = SpectralTerm(PerceptualConfig())(values, targets)
    loss.backward()
    assert loss.item() == pytest.approx(distance(values, targets).mean().item())
    assert torch.isfinite(values.grad).all()


def test_features_follow_loudness_and_pitch():
    assert features(tone(440)).shape == (1, BANDS * SEGMENTS)
    strongest = [features(tone(hertz)).view(SEGMENTS, BANDS)[2].argmax().item() for hertz in (110, 220, 440, 880)]
    assert np.diff(strongest).tolist() == [2, 2, 2]  # an octave is two bands
    loud, soft = features(tone(440, amplitude=0.5)), features(tone(440, amplitude=0.05))
    assert (loud - soft).max().item() == pytest.approx(2, abs=0.05)  # a tenth of the amplitude: 20 dB


def test_features_of_silence_are_finite():
    assert torch.isfinite(features(torch.zeros(2, 1, 64))).all()


class Heard:
    """A renderer whose fields are their values."""

    def native_values(self, fields):
        return fields


def test_snr_is_that_of_the_definition():
    truth = torch.cat([tone(440, amplitude=0.5), tone(300, amplitude=0.05), torch.zeros(1, 1, 2048)])
    louder = torch.cat([truth[:1] * 1.1, truth[1:2] * 0.9, truth[2:]])
    found = snr_db(louder, GridSignal(truth), Heard())
    assert found[:2].tolist() == pytest.approx([20, 20], abs=1e-3)
    assert torch.isfinite(found).all()
    assert 80 < snr_db(truth, GridSignal(truth), Heard())[0] < 100


def test_the_loss_is_the_noise_to_signal_ratio_and_bounded_for_silence():
    truth = torch.cat([tone(440, amplitude=0.9), tone(300, amplitude=0.3)]).mT
    assert relative_loss(0.9 * truth, truth).mean(dim=1).tolist() == pytest.approx([0.01, 0.01], rel=0.05)
    silence = torch.zeros(1, 64, 1)
    assert relative_loss(silence + 0.01, silence).mean().item() == pytest.approx(0.1)

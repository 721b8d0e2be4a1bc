"""Latents drawn anew at every step: from the posterior, of augmented signals, normalised by their own statistics."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from ddmi_core.api.signals import SignalSet
from ddmi_core.errors import ConfigError
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.model.latent_cache import FreshLatents, encode
from ddmi_core.model.latent_store import Encoding
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import generator_for
from formula_domains import WAVE

CPU, DRAWN = torch.device("cpu"), Encoding(drawn=True)


class Numbers(SignalSet):
    """Signal i is the number i; augmentation changes its sign at random."""

    def __init__(self, count: int) -> None:
        self.names, self.classes, self.labels = [str(i) for i in range(count)], (), torch.zeros(count, dtype=torch.long)

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        values = torch.tensor(list(indices), dtype=torch.float32)
        if generator is None:
            return values
        return values * (2 * torch.randint(2, values.shape, generator=generator) - 1)

    def fingerprint(self) -> str:
        return "numbers"


class Known(nn.Module):
    """Posteriors of a plane and a line: the mean is the signal, the standard deviation 1/2 and 2."""

    def encode(self, signal: Tensor) -> Posterior:
        mean = Planes([signal.view(-1, 1, 1, 1).expand(-1, 2, 3, 2), signal.view(-1, 1, 1).expand(-1, 2, 4)])
        spread = Planes([torch.full_like(mean[0], 0.25).log(), torch.full_like(mean[1], 4.0).log()])
        return Posterior(mean, spread)


def drawing(count: int = 5) -> FreshLatents:
    signals, model = Numbers(count), Known()
    return FreshLatents(model, signals, encode(model, signals, DRAWN, CPU))


def drawn(fresh: FreshLatents, indices: Sequence[int], step: int = 0) -> Tensor:
    """Normalised latents drawn at a step."""
    return fresh.latents(fresh.read(indices, generator_for(0, "read", step)), generator_for(0, "draw", step), CPU)


def restored(fresh: FreshLatents, indices: Sequence[int], step: int = 0) -> Planes:
    """Latents drawn at a step, in the autoencoder's units."""
    return fresh.shape.unpack(fresh.normalisation.invert(drawn(fresh, indices, step)))


def test_draws_have_the_mean_and_the_deviation_of_the_posterior_and_are_augmented():
    for values, deviation in zip(restored(drawing(), [3] * 4000), (0.5, 2.0), strict=True):
        flat = values.flatten(1)
        assert flat.mean().item() == pytest.approx(0, abs=0.15)  # the sign is flipped half of the time
        assert flat.square().mean().item() == pytest.approx(9 + deviation**2, rel=0.03)
        assert flat.std(dim=1).square().mean().item() == pytest.approx(deviation**2, rel=0.03)


def test_steps_draw_different_latents_and_a_step_always_the_same():
    fresh = drawing()
    first, again, second = (drawn(fresh, [0, 1, 4], step) for step in (0, 0, 1))
    assert torch.equal(first, again)
    assert (first - second).abs().min() > 1e-6


def test_statistics_are_those_of_draws_and_not_of_means():
    """Without augmentation, whose flips the cache does not hold."""
    signals, model = Numbers(6), Known()
    plain, drawn = (encode(model, signals, how, CPU) for how in (Encoding(), DRAWN))
    assert torch.equal(plain.normalisation.mean, drawn.normalisation.mean)
    spread = torch.arange(6.0).var(correction=0)
    for latents, (first, second) in ((plain, (0, 0)), (drawn, (0.25, 4.0))):
        stds = torch.cat([(spread + first).sqrt().expand(12), (spread + second).sqrt().expand(8)])
        torch.testing.assert_close(latents.normalisation.std, stds)
    generator = generator_for(0, "many")
    draws = torch.cat([drawn.shape.pack(model.encode(signals.batch(range(6))).sample(generator)) for _ in range(500)])
    normal = drawn.normalisation.apply(draws)
    for plane in drawn.shape.unpack(normal):
        assert plane.mean().item() == pytest.approx(0, abs=0.03)
        assert plane.std().item() == pytest.approx(1, abs=0.03)


def test_the_autoencoder_stays_frozen_and_in_full_precision():
    class Trainable(Known):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = nn.Linear(1, 1), []

        def encode(self, signal: Tensor) -> Posterior:
            values = self.layer(signal[:, None])[:, 0]
            self.seen.append((values.dtype, self.training))
            return super().encode(values)

    signals, model = Numbers(3), Trainable().train()
    fresh = FreshLatents(model, signals, encode(model, signals, DRAWN, CPU))
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        flat = drawn(fresh, [0, 1])
    assert not flat.requires_grad
    assert model.seen[-1] == (torch.float32, False)


def test_copies_of_latents_that_are_not_kept_are_refused():
    with pytest.raises(ConfigError, match=r"copies is 2, but latents is 'fresh'.*Fix: set copies to 1, or latents to"):
        resolve(WAVE, overrides=["diffusion.latents=fresh", "diffusion.copies=2"])

"""The posterior: a diagonal Gaussian over latents."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.fields.planes import Planes


@frozen(eq=False)
class Posterior:
    """Diagonal Gaussian over latents, `q(z | signal)`."""

    mean: Planes  # one (B, C, *grid) a plane
    log_variance: Planes  # the same shapes

    def sample(self, generator: torch.Generator | None = None) -> Planes:
        """Draw `mean + exp(log_variance / 2) * noise`, differentiable in both parameters."""

        def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
            noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
            return mean + torch.exp(0.5 * log_variance) * noise

        return Planes(draw(m, v) for m, v in zip(self.mean, self.log_variance, strict=True))

    def kl(self) -> Tensor:
        """Divergence from the standard normal a signal, `(B,)`: `sum (mean^2 + var - 1 - log var) / 2`."""
        terms = [
            (m.square() + v.exp() - 1 - v).flatten(1).sum(dim=1)
            for m, v in zip(self.mean, self.log_variance, strict=True)
        ]
        return 0.5 * torch.stack(terms).sum(dim=0)

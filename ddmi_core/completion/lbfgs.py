"""Batched L-BFGS for a misfit with a proximal term, one independent problem per row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor

Misfit = Callable[[Tensor], tuple[Tensor, Tensor]]  # x (B, L) -> value (B,) and gradient (B, L)

_SUFFICIENT = 1e-4  # Armijo constant of the sufficient decrease condition (Nocedal and Wright, equation 3.4)
_MIN_CURVATURE = 1e-8  # pairs with less curvature, relative to their squared gradient change, are skipped


@frozen(eq=False)
class _Pair:
    """An accepted step and the change of the misfit's gradient; zero in rows that rejected the step."""

    step: Tensor  # (B, L)
    change: Tensor  # (B, L)


@frozen(eq=False)
class _State:
    """The iterate of each row."""

    x: Tensor  # (B, L)
    value: Tensor  # (B, 1)
    gradient: Tensor  # (B, L), of misfit and proximal term
    misfit_gradient: Tensor  # (B, L), of the misfit alone


class ProximalSolver:
    """Minimises `misfit(x) + |x - centre|^2 / (2 radius^2)` by L-BFGS (Nocedal and Wright, algorithm 7.4).

    The pairs approximate the curvature of the misfit alone, so they stay valid for further calls with another centre
    and radius. One evaluation serves all rows: a row whose step was too long tries a shorter one while the others
    continue.

    Args:
        memory: number of stored pairs of steps and gradient changes.
    """

    def __init__(self, memory: int = 20) -> None:
        self.memory = memory
        self._pairs: list[_Pair] = []

    def solve(self, misfit: Misfit, centre: Tensor, radius: float, evaluations: int) -> Tensor:
        """The last iterate `(B, L)`, starting at the centre.

        Args:
            misfit: returns a value and a gradient per row; rows must be independent.
            centre: `(B, L)`.
            radius: above 0.
            evaluations: number of misfit evaluations.
        """

        def evaluated(x: Tensor) -> _State:
            value, gradient = misfit(x)
            proximal_gradient = (x - centre) / radius**2
            proximal = (x - centre).square().sum(dim=1) / (2 * radius**2)
            return _State(x, (value + proximal)[:, None], gradient + proximal_gradient, gradient)

        current = evaluated(centre)
        direction = self._direction(current.gradient, radius)
        length = torch.ones_like(current.value)
        for _ in range(evaluations - 1):
            slope = _dot(current.gradient, direction)
            trial = evaluated(current.x + length * direction)
            increase = trial.value - current.value
            accepted = trial.value.isfinite() & (increase <= _SUFFICIENT * length * slope)
            step, change = trial.x - current.x, trial.misfit_gradient - current.misfit_gradient
            self._pairs.append(_Pair(torch.where(accepted, step, 0.0), torch.where(accepted, change, 0.0)))
            del self._pairs[: -self.memory]
            # Minimum of the parabola through both values and the slope, clamped to between a tenth and a half.
            factor = (-slope * length / (2 * (increase - slope * length))).nan_to_num(0.1, 0.1, 0.1).clamp(0.1, 0.5)
            current = _State(
                *(
                    torch.where(accepted, new, old)
                    for new, old in (
                        (trial.x, current.x),
                        (trial.value, current.value),
                        (trial.gradient, current.gradient),
                        (trial.misfit_gradient, current.misfit_gradient),
                    )
                )
            )
            direction = torch.where(accepted, self._direction(current.gradient, radius), direction)
            length = torch.where(accepted, 1.0, length * factor)
        return current.x

    def _direction(self, gradient: Tensor, radius: float) -> Tensor:
        """Descent direction of the two-loop recursion; the curvature of the proximal term is added to the pairs."""
        norm = _dot(gradient, gradient).sqrt().clamp_min(1e-30)
        scale = (radius / norm).clamp(max=radius**2)  # limits the first step to the radius
        rest, used = gradient, []
        for pair in reversed(self._pairs):
            change = pair.change + pair.step / radius**2
            product, square = _dot(pair.step, change), _dot(change, change).clamp_min(1e-30)
            curved = product > _MIN_CURVATURE * square
            rho = torch.where(curved, 1 / product.clamp_min(1e-30), 0.0)
            share = rho * _dot(pair.step, rest)
            rest = rest - share * change
            used.append((pair.step, change, rho, share, torch.where(curved, product / square, 0.0)))
        for *_, newton in reversed(used):
            scale = torch.where(newton > 0, newton, scale)
        rest = scale * rest
        for step, change, rho, share, _ in reversed(used):
            rest = rest + step * (share - rho * _dot(change, rest))
        return -rest


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Inner product of each row, `(B, 1)`."""
    return (first * second).sum(dim=1, keepdim=True)

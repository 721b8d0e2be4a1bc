"""A batched quasi-Newton solver for a misfit plus a quadratic pull towards a centre, each row by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor

Misfit = Callable[[Tensor], tuple[Tensor, Tensor]]  # x (B, L) -> value (B,) and gradient (B, L)

_SUFFICIENT = 1e-4  # share of the promised decrease that a step must reach (Nocedal and Wright, equation 3.4)
_CURVED = 1e-8  # least cosine-like curvature of a pair that is used


@frozen(eq=False)
class _Pair:
    """A step that was taken, and how the misfit's gradient changed along it; zero in rows that took none."""

    step: Tensor  # (B, L)
    change: Tensor  # (B, L)


@frozen(eq=False)
class _State:
    """Where each row is."""

    x: Tensor  # (B, L)
    value: Tensor  # (B, 1)
    gradient: Tensor  # (B, L), of misfit and pull together
    bare: Tensor  # (B, L), of the misfit alone


class ProximalSolver:
    """Minimises `misfit(x) + |x - centre|^2 / (2 radius^2)` by L-BFGS (Nocedal and Wright, algorithm 7.4).

    The curvature that it learns is the misfit's alone, so it is kept from one call to the next, where centre and
    radius are others. One evaluation serves all rows: a row whose step went too far tries a shorter one while the
    others go on.

    Args:
        memory: pairs of steps and changes of the gradient that are kept.
    """

    def __init__(self, memory: int = 20) -> None:
        self.memory = memory
        self._pairs: list[_Pair] = []

    def solve(self, misfit: Misfit, centre: Tensor, radius: float, evaluations: int) -> Tensor:
        """The point `(B, L)` that the rows have reached, starting at the centre.

        Args:
            misfit: gives a value and a gradient a row; rows must not depend on each other.
            centre: `(B, L)`.
            radius: above 0.
            evaluations: how often the misfit is asked.
        """

        def evaluated(x: Tensor) -> _State:
            value, bare = misfit(x)
            offset = (x - centre) / radius**2
            pull = (x - centre).square().sum(dim=1) / (2 * radius**2)
            return _State(x, (value + pull)[:, None], bare + offset, bare)

        here = evaluated(centre)
        direction = self._direction(here.gradient, radius)
        length = torch.ones_like(here.value)
        for _ in range(evaluations - 1):
            slope = _dot(here.gradient, direction)
            there = evaluated(here.x + length * direction)
            rise = there.value - here.value
            taken = there.value.isfinite() & (rise <= _SUFFICIENT * length * slope)
            step, change = there.x - here.x, there.bare - here.bare
            self._pairs.append(_Pair(torch.where(taken, step, 0.0), torch.where(taken, change, 0.0)))
            del self._pairs[: -self.memory]
            # The minimum of the parabola through both values and the slope, kept between a tenth and a half.
            shorter = (-slope * length / (2 * (rise - slope * length))).nan_to_num(0.1, 0.1, 0.1).clamp(0.1, 0.5)
            here = _State(
                *(
                    torch.where(taken, new, old)
                    for new, old in (
                        (there.x, here.x),
                        (there.value, here.value),
                        (there.gradient, here.gradient),
                        (there.bare, here.bare),
                    )
                )
            )
            direction = torch.where(taken, self._direction(here.gradient, radius), direction)
            length = torch.where(taken, 1.0, length * shorter)
        return here.x

    def _direction(self, gradient: Tensor, radius: float) -> Tensor:
        """The descent direction of the two-loop recursion, with the pull's curvature added to that of the pairs."""
        size = _dot(gradient, gradient).sqrt().clamp_min(1e-30)
        scale = (radius / size).clamp(max=radius**2)  # a first step of at most the radius
        rest, used = gradient, []
        for pair in reversed(self._pairs):
            change = pair.change + pair.step / radius**2
            product, square = _dot(pair.step, change), _dot(change, change).clamp_min(1e-30)
            curved = product > _CURVED * square
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

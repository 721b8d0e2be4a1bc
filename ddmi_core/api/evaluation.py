"""Evaluations of trained models: figures with their protocol, and the model interface they use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Literal, Protocol

from attrs import field, frozen
from torch import Tensor

from ddmi_core.api.conditions import Condition
from ddmi_core.api.domain import HIGHER_IS_BETTER
from ddmi_core.api.interfaces import Renderer
from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Planes, Posterior

RECONSTRUCTION = "reconstruction_"
OF_REAL = "_of_real"
NORMAL = 1.959964  # 97.5 % quantile of the normal distribution


def _interval(ends: Sequence[float] | None) -> tuple[float, float] | None:
    """Both ends, also from JSON, which has lists."""
    return None if ends is None else (ends[0], ends[1])


@frozen
class Figure:
    """One figure of an evaluation, with its protocol.

    Names: `reconstruction_METRIC` is a domain's metric, the mean over reconstructions of held-out signals. Figures of
    sets end in the name of the feature network, `plain` for the domain's own features: `kid_plain`, `fid_inception`.
    `NAME_of_real` is the same figure for real signals in place of samples, as many and against the same reference.
    """

    name: str
    value: float
    protocol: Mapping[str, Any]  # n, seed, sampler, steps, data, versions, ...
    about: str = ""  # meaning and direction (higher or lower is better), for other names
    interval: tuple[float, float] | None = field(default=None, converter=_interval)  # of 95 %, where there is one

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return f"{self.value:.4g}" + (" dB" if self.name.endswith("_db") else "")

    @property
    def shown_interval(self) -> str:
        """Both ends of the 95 % interval; empty if there is none."""
        return "" if self.interval is None else "{:.3g} to {:.3g}".format(*self.interval)

    @property
    def better(self) -> Literal["", "higher", "lower"]:
        """Whether higher or lower is better, as the meaning says; empty if it does not."""
        for direction in ("higher", "lower"):
            if f"{direction} is better" in self.meaning:
                return direction
        return ""

    @property
    def meaning(self) -> str:
        """Meaning of the figure, and whether higher or lower is better."""
        if self.name.startswith(RECONSTRUCTION) and not self.about:
            better = "higher" if self.name.endswith(HIGHER_IS_BETTER) else "lower"
            return f"reconstructions of held-out signals; {better} is better"
        return self.about


@frozen
class PaperProtocol:
    """How a paper measures generated signals, for `ddmi evaluate --protocol paper`.

    Args:
        source: the paper or its code.
        samples: number of samples; 0 for as many as the reference has signals.
        reference: the set of signals that samples are compared with.
        network: name of the feature network; empty if the paper uses none.
        differences: what it does otherwise than `ddmi evaluate`, one sentence each; printed beside the figures.
    """

    source: str
    samples: int
    reference: Literal["training", "held out"]
    network: str = ""
    differences: tuple[str, ...] = ()


@frozen
class Estimate:
    """A figure with its 95 % interval.

    Args:
        value: the estimate.
        low: lower end of the interval.
        high: upper end of the interval.
        error: standard error.
    """

    value: float
    low: float
    high: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval."""
        return self.low, self.high

    @staticmethod
    def normal(value: float, error: float) -> Estimate:
        """An estimate whose error is normally distributed."""
        return Estimate(value, value - NORMAL * error, value + NORMAL * error, error)

    @staticmethod
    def mean(values: Tensor) -> Estimate:
        """The mean of independent values `(n,)`; the interval of one value is infinite."""
        error = float(values.double().std() / len(values) ** 0.5) if len(values) > 1 else float("inf")
        return Estimate.normal(float(values.double().mean()), error)

    @staticmethod
    def share(value: float, n: float) -> Estimate:
        """A share of n independent cases, with the interval of Wilson (1927), which stays in [0, 1]."""
        scale = 1 + NORMAL**2 / n
        centre = (value + NORMAL**2 / (2 * n)) / scale
        half = NORMAL * (value * (1 - value) / n + NORMAL**2 / (4 * n**2)) ** 0.5 / scale
        low, high = max(0.0, min(value, centre - half)), min(1.0, max(value, centre + half))
        return Estimate(value, low, high, (value * (1 - value) / n) ** 0.5)

    def figure(self, name: str, protocol: Mapping[str, Any], about: str = "") -> Figure:
        """As a figure, without an interval if that is infinite."""
        return Figure(name, self.value, protocol, about, self.interval if isfinite(self.error) else None)


class FeatureNetwork(ABC):
    """Features of fields and of signals, for distances between sets, with the same meaning for both.

    Example:
        >>> class Spread(FeatureNetwork):
        ...     def of_fields(self, fields, renderer):
        ...         return renderer.native_values(fields).flatten(2).std(dim=2)
        ...     def of_signals(self, signal):
        ...         return signal.values.flatten(2).std(dim=2)
    """

    @property
    def name(self) -> str:
        """Short name, part of the names of figures."""
        return type(self).__name__.lower()

    @property
    def record(self) -> Mapping[str, Any]:
        """What the protocol of a figure records: file, checksum, preprocessing, versions."""
        return {}

    @abstractmethod
    def of_fields(self, fields: Field, renderer: Any) -> Tensor:
        """Features `(B, F)` of a batch of fields; as `DomainParts.field_features`.

        A network that sees K pictures of each field returns `(B * K, F)`, those of one field in a row.
        """

    @abstractmethod
    def of_signals(self, signal: Any) -> Tensor:
        """Features `(B, F)` of a batch of signals; as `DomainParts.signal_features`, or `(B * K, F)` as above."""


class Trained(Protocol):
    """Interface of a trained model for evaluations of a domain; `ddmi_core.Model` implements it."""

    @property
    def renderer(self) -> Renderer[Any, Any]:
        """The domain's renderer."""

    @property
    def settings(self) -> Any:
        """The domain settings of the run."""

    @property
    def condition(self) -> Condition | None:
        """The condition that the model was trained with, if it is not the class."""

    def sample(self, n: int, *, seed: int = 0, condition: str | None = None) -> Field:
        """Generate fields; sample i depends on the seed and i alone."""

    def sample_parts(self, n: int, *, seed: int = 0, condition: str | None = None) -> Iterator[Field]:
        """The fields of `sample` in parts, so that memory holds those of one part."""

    def encode(self, signal: Any) -> Posterior:
        """Posterior over the latents of signals."""

    def decode(self, latent: Planes) -> Field:
        """Fields of latents."""

    def reconstruct(self, signal: Any) -> Field:
        """Fields of the posterior means of signals."""

"""Parsing and validation of request parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl

from attrs import frozen

from ddmi_core.errors import RequestError
from ddmi_core.settings.config import MOST_GUIDANCE, Sampling

MOST_SAMPLES = 64
MOST_STEPS = 1000
LONGEST = 500  # characters of a condition
LARGEST_SEED = 2**63 - 1
MOST_NAMES = 32  # of one request

_PLAIN = (str, int, float, type(None))
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_SAMPLE = re.compile(r"([0-9a-f]{16})-(\d{1,4})", re.ASCII)
_CHANNEL = re.compile(r"[a-z0-9-]{0,40}", re.ASCII)


@frozen(kw_only=True)
class SampleRequest:
    """Requested samples.

    Args:
        n: number of samples.
        sampling: options of sampling.
    """

    n: int = 16
    sampling: Sampling = Sampling()


@frozen
class Sample:
    """Identifier of a generated sample."""

    batch: str
    number: int


@frozen
class Mixture:
    """One sample, or the interpolation of two."""

    first: Sample
    second: Sample | None = None
    mix: float = 0.0
    through: str = "latents"


class Query:
    """Named texts of one request, converted to typed values.

    Raises:
        RequestError: from every method, if a value is missing or wrong.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @staticmethod
    def of_url(text: str) -> Query:
        """From the query string of a URL."""
        try:
            return Query(dict(parse_qsl(text, max_num_fields=MOST_NAMES)))
        except ValueError as error:
            raise RequestError(f"a request has at most {MOST_NAMES} named values") from error

    @staticmethod
    def of_json(body: bytes) -> Query:
        """From a JSON object of texts and numbers; `null` values are ignored."""
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RequestError("the body of the request is not JSON, or is nested too deeply") from error
        if not isinstance(found, dict):
            raise RequestError("the body of the request is not a JSON object")
        if len(found) > MOST_NAMES or not all(isinstance(value, _PLAIN) for value in found.values()):
            raise RequestError(
                f"the body of the request must be a JSON object of at most {MOST_NAMES} texts and numbers"
            )
        return Query({name: str(value) for name, value in found.items() if value is not None})

    def text(self, name: str, default: str = "") -> str:
        """A text, unchanged."""
        return self._values.get(name, default)

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """An integer within limits."""
        written = self.text(name).strip()
        if not written:
            return default
        if not _WHOLE.fullmatch(written) or not low <= int(written) <= high:
            raise RequestError(f"{name} {_short(written)} is not a whole number from {low} to {high}")
        return int(written)

    def number(self, name: str, low: float, high: float, default: float) -> float:
        """A number within limits."""
        written = self.text(name).strip()
        if not written:
            return default
        return _number(name, written, low, high)

    def numbers(self, name: str, low: float, high: float) -> tuple[float, ...]:
        """Numbers within limits, separated by commas; empty by default."""
        written = self.text(name)
        return tuple(_number(name, part, low, high) for part in written.split(",")) if written else ()

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        """One of some texts."""
        written = self.text(name, default)
        if written not in known:
            raise RequestError(f"{name} {_short(written)} is not one of {', '.join(known)}")
        return written

    def channel(self) -> tuple[str, int]:
        """Channel of the request, whose older requests it replaces, and its serial number in the channel."""
        channel = self.text("channel")
        if not _CHANNEL.fullmatch(channel):
            raise RequestError(f"channel {_short(channel)} must have up to 40 letters, digits and hyphens")
        return channel, self.whole("serial", 0, LARGEST_SEED, 0)

    def samples(self) -> SampleRequest:
        """The requested samples."""
        condition = self.text("condition").strip()
        if len(condition) > LONGEST:
            raise RequestError(f"the condition has {len(condition)} characters; the limit is {LONGEST}")
        sampling = Sampling(
            seed=self.whole("seed", 0, LARGEST_SEED, 0),
            steps=self.whole("steps", 1, MOST_STEPS, 0) or None,
            guidance=self.number("guidance", 0.0, MOST_GUIDANCE, 0.0) if self.text("guidance").strip() else None,
            condition=condition or None,
        )
        return SampleRequest(n=self.whole("n", 1, MOST_SAMPLES, SampleRequest().n), sampling=sampling)

    def mixture(self) -> Mixture:
        """The sample `a`, or its interpolation with `b` at the fraction `mix`."""
        second = self.text("b")
        return Mixture(
            first=_sample(self.text("a")),
            second=_sample(second) if second else None,
            mix=self.number("mix", 0.0, 1.0, 0.0),
            through=self.choice("through", ("latents", "noise"), "latents"),
        )


def _number(name: str, written: str, low: float, high: float) -> float:
    try:
        value = float(written)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not low <= value <= high:
        raise RequestError(f"{name} {_short(written)} is not a number from {low:g} to {high:g}")
    return value


def _sample(written: str) -> Sample:
    match = _SAMPLE.fullmatch(written)
    if match is None:
        raise RequestError(f"{_short(written)} is not a sample")
    return Sample(match[1], int(match[2]))


def _short(written: str, most: int = 60) -> str:
    return repr(written if len(written) <= most else f"{written[:most]}...")


def as_json(value: Any) -> bytes:
    """A value as one line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"

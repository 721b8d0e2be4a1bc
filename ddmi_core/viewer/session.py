"""The session of the page: a model with a cache of samples and fields, rendered to files in memory."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.panels import GESTURES, Look, Panel, Shown
from ddmi_core.atomic import file_bytes
from ddmi_core.diffusion.samplers import Progress
from ddmi_core.errors import PluginError, RequestError, unknown_name
from ddmi_core.fields.field import Field
from ddmi_core.model.model import Model
from ddmi_core.parts.media import playable
from ddmi_core.viewer.params import MOST_SAMPLES, Mixture, Query, Sample, SampleRequest

BATCHES, FIELDS = 32, 64  # cached
LARGEST_SIDE = 2048  # pixels of a request, and cells along an axis of a size
LONGEST_SIZE = 60  # characters of a size
Pause = Callable[[], None]  # lets other requests use the model, and raises what ends the work
PARALLEL = 1e-4  # radians; nearer to 0 or half a turn, the arc between two vectors is undefined


def nothing() -> None:
    """The pause of work that does not share the model."""


@frozen(eq=False)
class Batch:
    """Samples of one request."""

    request: SampleRequest
    latents: Tensor  # (n, L), in the autoencoder's units


class Session:
    """Generates and caches samples of one model, and shows them with its domain's panel.

    Not thread-safe. Other requests may use it during the pauses of one.

    Args:
        model: a trained model.
        title: title of the page.

    Raises:
        PluginError: if the domain's panel is not a `Panel`.
    """

    def __init__(self, model: Model, title: str) -> None:
        self.model, self.title = model, title
        self.panel: Panel = model.parts.panel()
        if not isinstance(self.panel, Panel) or self.panel.gesture not in GESTURES:
            raise PluginError(
                f"domain {model.domain.name!r}: panel() must return a Panel with a gesture of {', '.join(GESTURES)}"
            )
        self.views: Sequence[tuple[str, Any]] = model.parts.report_views()
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._fields: OrderedDict[Mixture, Field] = OrderedDict()

    def about(self) -> dict[str, Any]:
        """Facts of the model for the page, as JSON values."""
        model, own, panel = self.model, self.model.config.sampling, self.panel
        texts = model.condition is not None
        choices = list(model.condition.examples()) if model.condition else list(model.classes)
        kind = "text" if texts else "class" if model.diffusion.classes else "none"
        return {
            "title": self.title,
            "domain": model.domain.name,
            "summary": model.domain.summary,
            "condition": {"kind": kind, "choices": choices if kind != "none" else []},
            "guidance": own.guidance if model.diffusion.conditioned else None,
            "steps": own.steps,
            "sampler": own.sampler,
            "most": MOST_SAMPLES,
            "panel": {
                "gesture": panel.gesture,
                "axes": list(panel.axes),
                "sliders": list(panel.sliders),
                "aspect": panel.aspect,
            },
            "views": [label for label, _ in self.views],
            "largest": LARGEST_SIDE,
            "plays": playable(self._player) if self._player else "",
            "files": list(model.parts.exporters()),
        }

    @torch.no_grad()
    def sample(self, request: SampleRequest, report: Callable[[int, int], None]) -> list[str]:
        """Names of samples, generated unless they are cached.

        Args:
            request: the samples.
            report: called with the completed and the total number of steps; an exception from it ends the sampling.

        Raises:
            RequestError: for values that the model does not accept.
        """
        key = hashlib.sha256(repr(request).encode()).hexdigest()[:16]
        if key not in self._batches:

            def callback(progress: Progress) -> None:
                report(progress.step, progress.steps)

            latents = self.model.sample_latents(request.n, request.sampling, callback)
            _keep(self._batches, key, Batch(request, latents), BATCHES)
        self._batches.move_to_end(key)
        return [f"{key}-{number}" for number in range(request.n)]

    def show(self, mixture: Mixture, query: Query, pause: Pause = nothing) -> Shown:
        """The panel's view of a field for a query."""
        return self.panel.show(self.field(mixture, pause), self.look(query))

    def thumbnail(self, mixture: Mixture, pause: Pause = nothing) -> Shown:
        """The thumbnail of a field."""
        return self.panel.thumbnail(self.field(mixture, pause))

    def play(self, mixture: Mixture, query: Query, pause: Pause = nothing) -> Shown:
        """A field as a file that browsers play.

        Raises:
            RequestError: if the domain writes no such files.
        """
        if not self._player:
            raise RequestError("this domain writes no files that browsers play")
        return Shown(playable(self._player), self._written(mixture, self._player, self._view(query), pause))

    def file(self, mixture: Mixture, query: Query, pause: Pause = nothing) -> tuple[str, Shown]:
        """File name and content of a field for the query's suffix.

        Raises:
            RequestError: if the domain writes no such files.
        """
        suffix = query.text("suffix")
        if suffix not in (known := self.model.parts.exporters()):
            raise RequestError(unknown_name("file type", suffix, known))
        seed, number = self._batch(mixture.first).request.sampling.seed, mixture.first.number
        name = f"{self.model.domain.name}-{seed}-{number}{'-mixed' if mixture.second else ''}{suffix}"
        data = self._written(mixture, suffix, self._view(query), pause)
        return name, Shown("application/octet-stream", data)

    def look(self, query: Query) -> Look:
        """The `Look` of a query.

        Raises:
            RequestError: if a number is wrong or missing.
        """
        panel = self.panel
        bounds, at = query.numbers("bounds", -1, 1), query.numbers("at", -1, 1)
        if len(bounds) not in (0, 2 * len(panel.axes)) or len(at) not in (0, len(panel.sliders)):
            raise RequestError(
                f"`bounds` takes two numbers for each of the {len(panel.axes)} zoomed axes, and `at` one for each of "
                f"the {len(panel.sliders)} sliders"
            )
        pairs = tuple(zip(bounds[::2], bounds[1::2], strict=True))
        if any(not low < high for low, high in pairs):
            raise RequestError("`bounds` takes a lower and a higher end for each zoomed axis")
        return Look(
            size=(query.whole("rows", 1, LARGEST_SIDE, 256), query.whole("columns", 1, LARGEST_SIDE, 256)),
            bounds=pairs,
            at=at,
            azimuth=query.number("azimuth", -1e3, 1e3, 0.0),
            elevation=query.number("elevation", -1.6, 1.6, 0.0),
            distance=query.number("distance", 1e-3, 1e3, 1.0),
            view=self._view(query),
            rest=query.text("rest", "1") == "1",
        )

    @torch.no_grad()
    def field(self, mixture: Mixture, pause: Pause = nothing) -> Field:
        """The field of a sample, or of the interpolation of two; calls `pause` between steps of sampling.

        Raises:
            RequestError: if a sample is not in the cache.
        """
        if mixture not in self._fields:
            latent = self._latent(mixture, pause)
            field = self.model.decode(self.model.shape.unpack(latent[None]))
            _keep(self._fields, mixture, field, FIELDS)
        self._fields.move_to_end(mixture)
        return self._fields[mixture]

    def _latent(self, mixture: Mixture, pause: Pause) -> Tensor:
        first = self._batch(mixture.first).latents[mixture.first.number]
        if mixture.second is None:
            return first
        if mixture.through == "noise":
            return self._between_noises(mixture, mixture.second, pause)
        norm = self.model.normalisation
        second = self._batch(mixture.second).latents[mixture.second.number]
        return norm.invert(spherical(norm.apply(first[None])[0], norm.apply(second[None])[0], mixture.mix))

    def _between_noises(self, mixture: Mixture, second: Sample, pause: Pause) -> Tensor:
        """A sample from the interpolated noise, under the condition of the nearer end."""
        model = self.model
        ends = [(self._batch(sample).request.sampling, sample.number) for sample in (mixture.first, second)]
        start, end = (model.noise(sampling.seed, number) for sampling, number in ends)
        sampling, number = ends[round(mixture.mix)]
        given = model.conditions([number], sampling.seed, sampling.condition)
        noise = spherical(start, end, mixture.mix)[None]
        return model.denoised(noise, given, [number], sampling, lambda _: pause())[0]

    def _batch(self, sample: Sample) -> Batch:
        batch = self._batches.get(sample.batch)
        if batch is None or sample.number >= batch.request.n:
            raise RequestError("this sample is no longer in the cache; generate it again")
        return batch

    def _view(self, query: Query) -> Any:
        """The view of a `size`, as of `--size`, or the domain's view with a number from 1; 0 is the native view."""
        if size := query.text("size").strip():
            return self._sized(size)
        number = query.whole("view", 0, len(self.views), 0)
        return self.views[number - 1][1] if number else None

    def _sized(self, size: str) -> Any:
        """The domain's view for a size, with limits for a page that answers one request at a time."""
        if len(size) > LONGEST_SIZE:
            raise RequestError(f"the size has {len(size)} characters; the limit is {LONGEST_SIZE}")
        if any(int(number) > LARGEST_SIDE for number in re.findall("[0-9]+", size)):
            raise RequestError(f"size {size!r}: this page goes up to {LARGEST_SIDE}. Fix: use `ddmi sample --size`")
        return self.model.parts.parse_view(size)

    @property
    def _player(self) -> str:
        """The first suffix of files that browsers play; empty if there is none."""
        return next(filter(playable, self.model.parts.exporters()), "")

    def _written(self, mixture: Mixture, suffix: str, view: Any, pause: Pause) -> bytes:
        artefact = self.model.render(self.field(mixture, pause), view)
        return file_bytes(lambda path: self.model.write(artefact, path), suffix)


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def spherical(first: Tensor, second: Tensor, mix: float) -> Tensor:
    """Spherical linear interpolation (slerp), with linear interpolation of the lengths.

    High-dimensional Gaussian noise lies near a sphere, and a straight line between two of its points leaves it.
    Parallel vectors, which have no unique arc, are interpolated linearly.

    Args:
        first, second: `(L,)`.
        mix: fraction of the way from the first to the second.
    """
    lengths = first.norm(), second.norm()
    if not min(lengths) > 0:
        return torch.lerp(first, second, mix)
    start, end = first / lengths[0], second / lengths[1]
    # More exact for small angles than the arc cosine (Kahan).
    angle = 2 * torch.atan2((start - end).norm(), (start + end).norm())
    if not PARALLEL < angle < torch.pi - PARALLEL:
        return torch.lerp(first, second, mix)
    parts = torch.sin((1 - mix) * angle) * start + torch.sin(mix * angle) * end
    between: Tensor = torch.lerp(*lengths, mix) * parts / torch.sin(angle)
    return between

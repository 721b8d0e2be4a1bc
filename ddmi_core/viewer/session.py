"""The model behind the page: samples that were made, and fields of them as files in memory."""

from __future__ import annotations

import hashlib
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
from ddmi_core.report.pictures import playable
from ddmi_core.viewer.params import MOST_SAMPLES, Mixture, Query, Sample, Wanted

BATCHES, FIELDS = 32, 64  # that are kept
LARGEST_SIDE = 2048  # pixels that a page may ask for


@frozen(eq=False)
class Batch:
    """Samples of one request."""

    wanted: Wanted
    latents: Tensor  # (n, L), in the autoencoder's units


class Session:
    """Makes and keeps samples of one model, and shows them through its domain's panel.

    Not safe for use by several threads at once.

    Args:
        model: a trained model.
        title: what the page calls it.

    Raises:
        PluginError: if the domain's panel is none.
    """

    def __init__(self, model: Model, title: str) -> None:
        self.model, self.title = model, title
        domain = model.domain
        self.panel: Panel = domain.build("panel", model.settings, model.renderer)
        if not isinstance(self.panel, Panel) or self.panel.gesture not in GESTURES:
            raise PluginError(
                f"domain {domain.name!r}: {domain.panel} gives no Panel with one of the gestures {', '.join(GESTURES)}"
            )
        self.views: Sequence[tuple[str, Any]] = domain.build("report_views", model.settings)
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._fields: OrderedDict[Mixture, Field] = OrderedDict()

    def about(self) -> dict[str, Any]:
        """What the page needs to know of the model, for JSON."""
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
            "plays": playable(self._player) if self._player else "",
            "files": list(model.domain.exporters),
        }

    @torch.no_grad()
    def sample(self, wanted: Wanted, told: Callable[[int, int], None]) -> list[str]:
        """Names of samples, made now unless they are kept; `told` hears steps done and steps in all.

        Raises:
            RequestError: for what the model cannot use. What `told` raises ends the work.
        """
        key = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
        if key not in self._batches:

            def callback(progress: Progress) -> None:
                told(progress.step, progress.steps)

            latents = self.model.sample_latents(wanted.n, wanted.sampling, callback)
            _keep(self._batches, key, Batch(wanted, latents), BATCHES)
        self._batches.move_to_end(key)
        return [f"{key}-{number}" for number in range(wanted.n)]

    def show(self, mixture: Mixture, query: Query) -> Shown:
        """What the panel shows of a field as a query asks."""
        return self.panel.show(self.field(mixture), self.look(query))

    def thumbnail(self, mixture: Mixture) -> Shown:
        """A field as it is shown among others."""
        return self.panel.thumbnail(self.field(mixture))

    def play(self, mixture: Mixture, query: Query) -> Shown:
        """A field as a file that browsers play.

        Raises:
            RequestError: if the domain writes none.
        """
        if not self._player:
            raise RequestError("this domain writes no files that browsers play")
        return Shown(playable(self._player), self._written(mixture, self._player, self._view(query)))

    def file(self, mixture: Mixture, query: Query) -> tuple[str, Shown]:
        """A field as a file of a type that the domain writes, and a name for it.

        Raises:
            RequestError: if it writes no such files.
        """
        suffix = query.text("suffix")
        if suffix not in self.model.domain.exporters:
            raise RequestError(unknown_name("file type", suffix, self.model.domain.exporters))
        seed, number = self._batch(mixture.first).wanted.sampling.seed, mixture.first.number
        name = f"{self.model.domain.name}-{seed}-{number}{'-mixed' if mixture.second else ''}{suffix}"
        data = self._written(mixture, suffix, self._view(query))
        return name, Shown("application/octet-stream", data)

    def look(self, query: Query) -> Look:
        """The look that a query asks for.

        Raises:
            RequestError: if a number is wrong or missing.
        """
        panel = self.panel
        bounds, at = query.numbers("bounds", -1, 1), query.numbers("at", -1, 1)
        if len(bounds) not in (0, 2 * len(panel.axes)) or len(at) not in (0, len(panel.sliders)):
            raise RequestError(
                f"bounds takes two numbers for each of the {len(panel.axes)} zoomed axes, and at one for each of the "
                f"{len(panel.sliders)} sliders"
            )
        pairs = tuple(zip(bounds[::2], bounds[1::2], strict=True))
        if any(not low < high for low, high in pairs):
            raise RequestError("bounds takes a lower and a higher end for each zoomed axis")
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
    def field(self, mixture: Mixture) -> Field:
        """The field of a sample, or of what lies between two.

        Raises:
            RequestError: if a sample is not kept any more, or the two do not fit.
        """
        if mixture not in self._fields:
            latent = self._latent(mixture)
            field = self.model.decode(self.model.shape.unpack(latent[None]))
            _keep(self._fields, mixture, field, FIELDS)
        self._fields.move_to_end(mixture)
        return self._fields[mixture]

    def _latent(self, mixture: Mixture) -> Tensor:
        first = self._batch(mixture.first).latents[mixture.first.number]
        if mixture.second is None:
            return first
        if mixture.through == "noise":
            return self._between_noises(mixture, mixture.second)
        norm = self.model.normalisation
        second = self._batch(mixture.second).latents[mixture.second.number]
        return norm.invert(spherical(norm.apply(first[None])[0], norm.apply(second[None])[0], mixture.mix))

    def _between_noises(self, mixture: Mixture, second: Sample) -> Tensor:
        """Sampled anew from what lies between the two noises, under the condition of the nearer one."""
        model = self.model
        ends = [(self._batch(sample).wanted, sample.number) for sample in (mixture.first, second)]
        start, end = (model.noise(wanted.sampling.seed, number) for wanted, number in ends)
        wanted, number = ends[round(mixture.mix)]
        given = model.conditions(number + 1, wanted.sampling.seed, wanted.sampling.condition)[-1:]
        noise = spherical(start, end, mixture.mix)[None]
        return model.denoised(noise, given, [number], wanted.sampling)[0]

    def _batch(self, sample: Sample) -> Batch:
        batch = self._batches.get(sample.batch)
        if batch is None or sample.number >= batch.wanted.n:
            raise RequestError("this sample is not kept any more; generate it again")
        return batch

    def _view(self, query: Query) -> Any:
        """The domain's view of a number, counted from 1; 0 is the native one."""
        number = query.whole("view", 0, len(self.views), 0)
        return self.views[number - 1][1] if number else None

    @property
    def _player(self) -> str:
        """The first suffix of files that browsers play, or nothing."""
        return next(filter(playable, self.model.domain.exporters), "")

    def _written(self, mixture: Mixture, suffix: str, view: Any) -> bytes:
        artefact = self.model.render(self.field(mixture), view)
        return file_bytes(lambda path: self.model.write(artefact, path), suffix)


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


PARALLEL = 1e-4  # radians, and how near to half a turn: the arc is then not defined


def spherical(first: Tensor, second: Tensor, mix: float) -> Tensor:
    """The vector `mix` of the way along the arc from one to another; its length changes evenly as well.

    High-dimensional Gaussian noise lies near a sphere, and a straight line between two of its points leaves it.
    Vectors along one line, which have no arc, are joined by that line.

    Args:
        first, second: `(L,)`.
        mix: 0 gives the first and 1 the second.
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

"""Export of completions of a file or of measured values, with their metrics."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from attrs import asdict, evolve, frozen

from ddmi_core.api.evaluation import Figure
from ddmi_core.api.observations import Observations
from ddmi_core.atomic import written_aside
from ddmi_core.completion.metrics import hidden, score_name, scores, spread, with_cells
from ddmi_core.completion.regions import columns, region, union
from ddmi_core.completion.tables import read_values
from ddmi_core.errors import DataError, RequestError, counted
from ddmi_core.fields.field import Field
from ddmi_core.model.model import Model
from ddmi_core.out_of_memory import lowering
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.parts.picture_sheet import Sheet, draw_sheet
from ddmi_core.runs.generate import finisher, measured, prepare, read_input, rendering
from ddmi_core.settings.config import NOISE, STEPS, Export

log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Request:
    """The observations, and the options of their completion.

    Args:
        source: file with the whole signal; `None` if only values are known.
        observe: observed regions as texts, joined; everything if empty.
        hide: hidden regions as texts.
        coarse: cells along each axis, slowest first, whose means are observed; empty for plain values.
        values: table of scattered values; `None` for values of the signal.
        n: number of completions.
        seed: of all noise.
        noise: standard deviation of the measurements, or probability of a wrong label.
        steps: number of noise levels.
        condition: class or text.
        guidance: scale of guidance towards the condition.
    """

    source: Path | None = None
    observe: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    coarse: tuple[int, ...] = ()
    values: Path | None = None
    n: int = 4
    seed: int = 0
    noise: float = NOISE
    steps: int = STEPS
    condition: str | None = None
    guidance: float | None = None


@frozen(kw_only=True)
class Completions:
    """Metrics of completions, one value per completion."""

    measure: str  # `psnr_db` or `iou`
    values: int  # number of observed values
    observed: tuple[float, ...]
    hidden: tuple[float, ...]  # empty if the ground truth is not known
    observed_reconstruction: float | None  # of the autoencoder's reconstruction of the whole signal
    hidden_reconstruction: float | None
    spread: float | None  # standard deviation of hidden values over completions
    noise: float
    seed: int
    likelihood: str  # `gaussian` or `bernoulli`
    limits: tuple[float, float]  # lowest and highest measured value
    declared: bool  # whether the domain declares the likelihood; if not, it is the default
    unlike: tuple[str, ...] = ()  # warning that the signal is reconstructed far worse than held-out signals

    def lines(self) -> list[str]:
        """The metrics as text."""
        unit = " dB" if self.measure.endswith("_db") else ""
        digits = 1 if unit else 3

        def figure(value: float) -> str:
            return f"{value:.{digits}f}{unit}"

        def row(name: str, found: Sequence[float], own: float | None) -> str:
            reference = "" if own is None else f"; reconstruction of the whole {figure(own)}"
            return f"{name}: {self.measure} {figure(fmean(found))} ({', '.join(map(figure, found))}){reference}"

        lines = [row(f"at the {counted(self.values, 'observed value')}", self.observed, self.observed_reconstruction)]
        if self.hidden:
            lines.append(row("at hidden places", self.hidden, self.hidden_reconstruction))
        if self.spread is not None:
            lines.append(f"standard deviation of hidden values between completions: {self.spread:.3f}")
        if not self.declared:
            low, high = self.limits
            lines.append(
                f"likelihood: {self.likelihood}, for values from {low:g} to {high:g}; this is the default, as the "
                "domain has a loss of its own and no method `likelihood`, which declares one"
            )
        return [*lines, *self.unlike]

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return asdict(self)


def complete_files(
    model: Model, request: Request, export: Export, figures: Sequence[Figure] = ()
) -> tuple[list[Path], Completions]:
    """Complete the observations, and export one artefact per completion, `completion-0000.*`.

    Artefacts have the units, position and axes of the file, unless `export.normalised`, or those of the model and of
    the table of values without a file.

    Also writes `contact.png` (the original, the observations if the domain can draw them, and the completions) and, if
    there is a whole signal, `original.*`.

    Raises:
        RequestError: for invalid regions, sizes, names or numbers, or if nothing is observed.
        DataError: if a file cannot be read.
        OutputError: if files exist already or cannot be written.
    """
    out, overwrite = export.out, export.overwrite
    signal, changes = (None, ()) if request.source is None else read_input(model, request.source)
    finish = finisher(model, export if signal is not None else evolve(export, normalised=True))
    whole = None if signal is None else model.observations(signal)
    seen, rest = _observed(model, request, whole)
    suffix = export.suffix or model.suffix
    model.exporter(suffix)
    paths = [out / f"completion-{number:04d}{suffix}" for number in range(request.n)]
    contact, original = out / "contact.png", out / f"original{suffix}"
    prepare(out, [*paths, contact, *([original] if signal is not None else [])], overwrite)
    with lowering("the completion", "complete fewer at once, with a lower -n, or observe fewer values"):
        fields = model.complete(
            seen,
            request.n,
            seed=request.seed,
            noise=request.noise,
            steps=request.steps,
            condition=request.condition,
            guidance=request.guidance,
        )
    with rendering():
        artefacts = [model.render(field, export.size) for field in fields]

    rows: Sheet = {"completions": [model.parts.still(artefact) for artefact in artefacts]}
    if signal is not None:
        model.write(finish(model.parts.original(Path(str(request.source)), signal), changes, suffix), original)
        rows = model.parts.contact_sheet(signal, seen, fields, artefacts)
    for artefact, path in zip(artefacts, paths, strict=True):
        model.write(finish(artefact, changes, suffix), path)
    with written_aside(contact) as aside:
        draw_sheet(rows).save(aside)
    return [*paths, contact, *([original] if signal is not None else [])], _figures(
        model, request, fields, seen, rest, signal, figures
    )


def _observed(model: Model, request: Request, whole: Observations | None) -> tuple[Observations, Observations | None]:
    """The observations, and the known values at other places."""
    if request.values is None and not (request.observe or request.hide or request.coarse):
        raise RequestError(
            "nothing is observed; use --observe or --hide with a region, --coarse with a size, or --values with a file"
        )
    if request.values is not None and request.coarse:
        raise RequestError("--coarse averages a whole INPUT, and --values gives single values; use one of them")
    if (request.values is not None or request.coarse) and model.parts.observed() != model.parts.channels():
        raise RequestError(
            f"the measurements of this domain ({', '.join(model.parts.observed())}) are not point values along "
            f"{', '.join(model.domain.layout.axes)}, so --coarse and --values do not apply; select parts of an INPUT "
            "with --observe and --hide"
        )
    axes, labels = model.domain.layout.axes, () if request.values is not None else model.sampler.labels
    regions = [[region(text, axes, labels) for text in texts] for texts in (request.observe, request.hide)]
    if request.values is not None:
        known = model.measurement.accept(read_values(request.values, model.domain))
    elif whole is not None:
        known = whole
    else:
        raise RequestError("give an INPUT to observe, or --values with a table")
    places = columns(known, labels)
    keep = union(regions[0], places) if regions[0] else torch.ones_like(places[:, 0], dtype=torch.bool)
    keep &= ~union(regions[1], places)
    if not bool(keep.any()):
        raise RequestError(
            f"none of the {len(places)} known places is observed; enlarge the regions of --observe, or reduce those of "
            "--hide"
        )
    seen = known.kept(keep)
    if request.values is not None:
        return seen, whole
    if not request.coarse:
        return seen, hidden(known, keep)
    size = request.coarse * (len(axes) if len(request.coarse) == 1 else 1)
    if len(size) != len(axes):
        raise RequestError(
            f"--coarse {'x'.join(map(str, size))} has {counted(len(size), 'number')}; give one for all axes, or "
            f"{len(axes)}, slowest axis first: {', '.join(reversed(axes))}"
        )
    return with_cells(seen, size), known


def _figures(
    model: Model,
    request: Request,
    fields: Field,
    seen: Observations,
    rest: Observations | None,
    signal: Any,
    figures: Sequence[Figure],
) -> Completions:
    how = model.measurement
    own = None if signal is None else _reconstruction(model, signal)
    known = None if own is None else measured(model, own, signal, Path(str(request.source)), figures)
    return Completions(
        measure=score_name(how),
        values=len(seen),
        observed=tuple(scores(how, fields, seen)),
        hidden=() if rest is None else tuple(scores(how, fields, rest)),
        observed_reconstruction=None if own is None else scores(how, own, seen)[0],
        hidden_reconstruction=None if own is None or rest is None else scores(how, own, rest)[0],
        spread=None if rest is None or len(fields) < 2 else spread(how, fields, rest),
        noise=request.noise,
        seed=request.seed,
        likelihood=model.parts.likelihood(),
        limits=how.limits,
        declared=declares_likelihood(model.parts),
        unlike=() if known is None or not known.unlike else tuple(known.lines()),
    )


def declares_likelihood(parts: AnyParts) -> bool:
    """Whether `likelihood` belongs to the domain's `loss`: false if a subclass overrides the loss alone."""
    order = type(parts).__mro__
    likelihood, loss = (
        next(place for place, base in enumerate(order) if name in vars(base)) for name in ("likelihood", "loss")
    )
    return likelihood <= loss


def _reconstruction(model: Model, signal: Any) -> Field | None:
    """The autoencoder's reconstruction of the whole signal; `None` if the signal is not complete enough to encode."""
    try:
        return model.reconstruct(signal)
    except DataError as error:
        log.warning("the signal cannot be encoded, so there is no reconstruction to compare with: %s", error)
        return None

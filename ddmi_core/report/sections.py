"""The built-in sections of a report, each a function from a `ReportContext` to HTML, as those of extensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from jinja2 import Environment, PackageLoader, select_autoescape
from PIL import Image

from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.atomic import file_bytes
from ddmi_core.evaluation.distances import nearest
from ddmi_core.evaluation.feature_sets import describe_signals
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.evaluation.verdict import copying_sentence, verdict
from ddmi_core.fields.field import Field
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.parts.media import data_url, playable
from ddmi_core.report.charts import Line, chart
from ddmi_core.report.pictures import Media, Picture, basis_picture, embedded, only_coarse
from ddmi_core.steps import AUTOENCODER, DENOISER
from ddmi_core.training.log import Log
from ddmi_core.training.meter import OPERATING

RECONSTRUCTIONS = 12


@frozen(eq=False)
class ReportContext:
    """What the sections of a report show.

    Args:
        run: folder of the run.
        model: the trained model.
        split: its data.
        evaluation: its figures.
        samples: the first samples of the run, at most 16.
    """

    run: Path
    model: Model
    split: Split
    evaluation: Evaluation
    samples: Field


@frozen
class Row:
    """Pictures shown side by side."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@cache
def environment() -> Environment:
    """The templates of reports."""
    return Environment(
        loader=PackageLoader("ddmi_core.report", "templates"), autoescape=select_autoescape(), trim_blocks=True
    )


def figures(context: ReportContext) -> str:
    """Figures with their protocols, after what the model is good and bad at."""
    found = context.evaluation.figures
    return _section("figures", found, verdict(found))


def reconstructions(context: ReportContext) -> str:
    """Held-out signals, evenly spaced in the set, with their reconstructions at native and largest size."""
    return _section("reconstructions", list(_reconstructions(context.model, context.split.held_out)))


def samples(context: ReportContext) -> str:
    """Samples with their nearest training signals in the feature space of the evaluation."""
    model = context.model
    rows = list(_samples(model, context.split.train, context.samples))
    return _section("samples", rows, model.config, copying_sentence(context.evaluation.figures))


def scales(context: ReportContext) -> str:
    """One sample from its coarse scales only, and its basis fields."""
    return _section("scales", list(_scales(context.model, context.samples[0])))


def sizes(context: ReportContext) -> str:
    """One sample at several sizes."""
    model, field = context.model, context.samples[0]
    return _section("sizes", [_picture(model, field, view, label) for label, view in _views(model)])


def sampling(context: ReportContext) -> str:
    """Distances of samples to the data, by sampler and steps; empty without the table of `ddmi evaluate --sweep`."""
    if not context.evaluation.samplers:
        return ""
    rows = sorted(context.evaluation.samplers, key=lambda row: row.distance)
    return _section("sampling", rows, _cost(context.evaluation), context.model.config)


def training(context: ReportContext) -> str:
    """Losses and previews of both stages; their settings alone for published weights, which have no log."""
    config, folder = context.model.config, RunFolder(context.run)
    stages = {AUTOENCODER: config.autoencoder.training, DENOISER: config.diffusion.training}
    previews = {name: pictures for name in stages if (pictures := list(_previews(folder, name)))}
    return _section("training", _curves(folder), stages, previews)


def _section(name: str, *values: Any) -> str:
    """HTML of a macro of `sections.html`."""
    return str(getattr(environment().get_template("sections.html").module, name)(*values))


def _curves(folder: RunFolder) -> list[tuple[str, str]]:
    stages: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in Log(folder.log).records():
        lines = stages.setdefault(record["stage"], {})
        for name, value in record.items():
            if name not in ("stage", "step", *OPERATING):
                lines.setdefault(name, []).append((record["step"], value))
    return [
        (
            stage,
            chart(
                [Line(name, tuple(points)) for name, points in lines.items()],
                "step",
                ", ".join(lines) if len(lines) == 1 else "value",
                log_y=True,
            ),
        )
        for stage, lines in stages.items()
    ]


def _previews(folder: RunFolder, stage: str) -> Iterator[Picture]:
    """The pictures of a stage in training, from early to late; those that cannot be read are left out."""
    for step, path in folder.previews_of(stage).items():
        with suppress(OSError), Image.open(path) as drawn:
            yield Picture(data_url("image/png", path.read_bytes()), *drawn.size, f"{stage} after {step} steps")


def _reconstructions(model: Model, signals: SignalSet) -> Iterator[Row]:
    chosen = torch.linspace(0, len(signals) - 1, min(RECONSTRUCTIONS, len(signals))).long().tolist()
    if not chosen:
        return
    signal = signals.batch(chosen)
    largest = _views(model)[-1][1]
    for number, field in enumerate(model.reconstruct(signal)):
        yield Row(
            (
                _original(model, signal, number, "held out"),
                _picture(model, field, None, "reconstruction"),
                _picture(model, field, largest, _views(model)[-1][0]),
            ),
            signals.names[chosen[number]],
        )


def _samples(model: Model, signals: SignalSet, fields: Field) -> Iterator[Row]:
    features = DomainFeatures(model.parts)
    closest = nearest(features.of_fields(fields, model.renderer).cpu(), describe_signals(features, signals))
    neighbours = signals.batch(closest)
    for number, field in enumerate(fields):
        name = signals.names[closest[number]]
        drawn = _picture(model, field, _views(model)[-1][1], "sample")
        yield Row((drawn, _original(model, neighbours, number, name)))


def _scales(model: Model, field: Field) -> Iterator[Row]:
    for scale, planes in enumerate(field.basis):
        alone = _picture(model, only_coarse(field, scale + 1), _views(model)[-1][1], f"scales 1 to {scale + 1}")
        grids = tuple(
            embedded(basis_picture(plane[0].cpu()), f"({', '.join(axes)}), {'x'.join(map(str, plane.shape[2:]))}")
            for plane, axes in zip(planes, model.domain.layout.planes, strict=True)
        )
        yield Row((alone, *grids), f"scale {scale + 1}: {planes[0].shape[1]} channels")


def _cost(result: Evaluation) -> str:
    lines = []
    for name in dict.fromkeys(row.sampler for row in result.samplers):
        rows = sorted((row for row in result.samplers if row.sampler == name), key=lambda row: row.evaluations)
        lines.append(Line(name, tuple((row.evaluations, row.distance) for row in rows), markers=True))
    return chart(lines, "denoiser evaluations", "distance to held-out signals", log_x=True)


def _views(model: Model) -> Sequence[tuple[str, Any]]:
    return list(islice(model.parts.report_views(), 4))


def _picture(model: Model, field: Field, view: Any, caption: str) -> Picture:
    return _drawn(model, model.render(field, view), caption)


def _original(model: Model, signal: Any, index: int, caption: str) -> Picture:
    return _drawn(model, model.ground_truth(signal, index), caption)


def _drawn(model: Model, artefact: Any, caption: str) -> Picture:
    drawn = model.parts.picture(artefact)
    return embedded(drawn, caption, _media(model, artefact, moving=isinstance(drawn, Sequence)))


def _media(model: Model, artefact: Any, moving: bool) -> Media | None:
    """The artefact as a file for players: audio, or video if the domain's picture is not an animation."""
    suffix = model.suffix
    kind = playable(suffix)
    if not kind or (moving and not kind.startswith("audio/")):
        return None
    return Media(kind, file_bytes(lambda path: model.write(artefact, path), suffix))

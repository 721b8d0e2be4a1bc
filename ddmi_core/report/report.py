"""The report of a run as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from jinja2 import Environment, PackageLoader, select_autoescape

from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.atomic import file_bytes, written_aside
from ddmi_core.evaluation.evaluate import check_data, describe_signals
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.fields.field import Field
from ddmi_core.model.data import load_data
from ddmi_core.model.model import Model, load
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.parts.distance import nearest
from ddmi_core.report.charts import Line, chart
from ddmi_core.report.pictures import Media, Picture, basis_picture, embedded, only_coarse, playable
from ddmi_core.training.log import Log

RECONSTRUCTIONS, SAMPLES = 12, 16


@frozen
class Row:
    """Pictures shown side by side."""

    pictures: tuple[Picture, ...]
    caption: str = ""


def build_report(run: Path, plugin: str | None = None) -> Path:
    """Write the report of a finished and evaluated run again.

    Args:
        run: the run folder.
        plugin: as for `load` with a run.

    Raises:
        CheckpointError: if the run is not finished or not evaluated.
        DataError: if its data are missing or have changed.
    """
    folder = RunFolder(run)
    model = load(run, plugin=plugin)
    split = load_data(model.parts, model.config.data)
    check_data(folder, split)
    write_report(folder, model, split, Evaluation.load(folder.metrics))
    return folder.report


@torch.no_grad()
def write_report(folder: RunFolder, model: Model, split: Split, result: Evaluation) -> None:
    """Render all pictures and write `report.html` atomically."""
    fields = model.sample(min(SAMPLES, model.config.sampling.count), seed=model.config.seed)
    environment = Environment(
        loader=PackageLoader("ddmi_core.report", "templates"), autoescape=select_autoescape(), trim_blocks=True
    )
    page = environment.get_template("report.html").render(
        title=f"{model.domain.name}: {folder.path.name}",
        summary=model.domain.summary,
        config=model.config,
        facts=_facts(model, split),
        figures=result.figures,
        curves=_curves(folder),
        reconstructions=list(_reconstructions(model, split.held_out)),
        samples=list(_samples(model, split.train, fields)),
        scales=list(_scales(model, fields[0])),
        sizes=_sizes(model, fields[0]),
        samplers=sorted(result.samplers, key=lambda row: row.distance),
        cost=_cost(result),
        settings=folder.toml.read_text(),
    )
    with written_aside(folder.report) as aside:
        aside.write_text(page)


def _facts(model: Model, split: Split) -> list[tuple[str, str]]:
    def size(*modules: torch.nn.Module) -> str:
        return f"{sum(p.numel() for module in modules for p in module.parameters()) / 1e6:.2f} M"

    vae = model.autoencoder
    shape = model.shape
    return [
        ("signals", f"{len(split.train)} for training, {len(split.held_out)} held out"),
        ("classes", ", ".join(model.classes) or "none"),
        ("latent", f"{shape.channels} channels on {', '.join('x'.join(map(str, g)) for g in shape.grids)}"),
        ("scales", ", ".join(f"{c} channels" for c in vae.decoder.channels)),
        ("encoder, decoder, readout", " / ".join((size(vae.encoder), size(vae.decoder), size(vae.readout)))),
        ("denoiser", f"{model.config.diffusion.denoiser.kind}, {size(model.diffusion)} parameters"),
    ]


def _curves(folder: RunFolder) -> list[tuple[str, str]]:
    stages: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in Log(folder.log).records():
        lines = stages.setdefault(record["stage"], {})
        for name, value in record.items():
            if name not in ("stage", "step", "steps_per_second"):
                lines.setdefault(name, []).append((record["step"], value))
    return [
        (
            stage,
            chart([Line(name, tuple(points)) for name, points in lines.items()], "step", "loss", log_y=True),
        )
        for stage, lines in stages.items()
    ]


def _reconstructions(model: Model, signals: SignalSet) -> Iterator[Row]:
    """Held-out signals, evenly spaced in the set, with their reconstructions at native and largest size."""
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
    """Samples with their nearest training signals in the domain's feature space."""
    closest = nearest(model.parts.field_features(fields).cpu(), describe_signals(model, signals))
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


def _sizes(model: Model, field: Field) -> Row:
    return Row(tuple(_picture(model, field, view, label) for label, view in _views(model)))


def _cost(result: Evaluation) -> str:
    lines = []
    for name in dict.fromkeys(row.sampler for row in result.samplers):
        rows = sorted((row for row in result.samplers if row.sampler == name), key=lambda row: row.evaluations)
        lines.append(Line(name, tuple((row.evaluations, row.distance) for row in rows), markers=True))
    return chart(lines, "denoiser evaluations", "distance to the training signals", log_x=True)


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

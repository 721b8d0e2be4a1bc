"""The report of a run as one self-contained HTML file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from html import escape
from pathlib import Path

import torch

from ddmi_core.api.signals import Split
from ddmi_core.atomic import written_aside
from ddmi_core.errors import DdmiWarning, printable
from ddmi_core.evaluation.evaluate import check_data
from ddmi_core.evaluation.results import Evaluation, own_figures
from ddmi_core.model import tuned
from ddmi_core.model.data import load_data
from ddmi_core.model.loading import load
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.model.run_results import REPORT, record
from ddmi_core.progress import doing, tracked
from ddmi_core.registry.extensions import offers
from ddmi_core.report.sections import ReportContext, environment

SAMPLES = 16


@doing("report")
def build_report(run: Path, plugin: str | None = None) -> Path:
    """Write the report of a finished and evaluated run again.

    Args:
        run: the run folder.
        plugin: as for `load` with a run.

    Raises:
        CheckpointError: if the run is not finished, or its figures are missing, stale or damaged.
        DataError: if its data are missing or have changed.
    """
    folder = RunFolder(run)
    model = load(run, plugin=plugin)
    result = own_figures(folder)
    split = load_data(model.parts, model.config.data)
    check_data(folder, split)
    write_report(folder, model, split, result)
    return folder.report


@torch.no_grad()
def write_report(folder: RunFolder, model: Model, split: Split, result: Evaluation) -> None:
    """Render all sections and write `report.html` atomically."""
    samples = model.sample(min(SAMPLES, model.config.sampling.count), seed=model.config.seed)
    page = (
        environment()
        .get_template("report.html")
        .render(
            title=f"{model.domain.name}: {folder.path.name}",
            summary=model.domain.summary,
            facts=_facts(folder, model, split),
            sections=list(_sections(ReportContext(folder.path, model, split, result, samples))),
            settings=folder.toml.read_text(encoding="utf-8", errors="replace"),
        )
    )
    with written_aside(folder.report) as aside:
        aside.write_text(printable(page, keep="\n\r\t"), encoding="utf-8")
    record(folder, REPORT, [folder.report], model.config)


def _sections(context: ReportContext) -> Iterator[tuple[str, str]]:
    """Headings and HTML of the sections that are not empty. One of an extension that fails says so on the page."""
    for own in tracked("sections", offers("report_sections", context.model.domain)):
        try:
            text = str(own.load()(context))
        except (Exception, SystemExit) as error:
            if own.built_in:
                raise
            sentence = f"{own} failed: {type(error).__name__}: {error}"
            warnings.warn(sentence, DdmiWarning, stacklevel=2)
            text = f"<p>{escape(sentence)}</p>"
        if text:
            yield own.contribution.summary or own.name, text


def _facts(folder: RunFolder, model: Model, split: Split) -> list[tuple[str, str]]:
    def size(*modules: torch.nn.Module) -> str:
        return f"{sum(p.numel() for module in modules for p in module.parameters()) / 1e6:.2f} M"

    vae, shape, begun = model.autoencoder, model.shape, read_head(folder).begun
    return [
        ("signals", f"{len(split.train)} for training, {len(split.held_out)} held out"),
        ("classes", ", ".join(model.classes) or "none"),
        *_account(split),
        *([("fine-tuned from", str(begun))] if begun else []),
        ("latent", f"{shape.channels} channels on {', '.join('x'.join(map(str, g)) for g in shape.grids)}"),
        ("scales", ", ".join(f"{c} channels" for c in vae.decoder.channels)),
        ("encoder, decoder, readout", " / ".join((size(vae.encoder), size(vae.decoder), size(vae.readout)))),
        ("denoiser", f"{model.config.diffusion.denoiser.kind}, {size(model.diffusion)} parameters"),
        ("sampling", tuned.sentence(folder)),
    ]


def _account(split: Split) -> list[tuple[str, str]]:
    """Rows on the files of the data, the changes by their reader, and warnings."""
    account = split.account
    warnings = [remark.sentence() for remark in account.warnings]
    rows = {"files": account.files_line().removeprefix("files: ")}
    rows["changes by the reader"] = "; ".join(account.summaries())
    rows["warnings about the data"] = "; ".join(warnings)
    return [(name, text) for name, text in rows.items() if text]

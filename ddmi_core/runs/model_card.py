"""Model cards of published runs, in the format of the Hugging Face hub: Markdown with metadata in YAML."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from ddmi_core.errors import RequestError
from ddmi_core.evaluation.results import Evaluation, own_figures
from ddmi_core.evaluation.verdict import verdict
from ddmi_core.model import tuned
from ddmi_core.model.run_folder import RunFolder, RunHead, read_head
from ddmi_core.settings.convert import portable

CARD = "README.md"
UNKNOWN_LICENSE = "unknown"
LIBRARY = "ddmi"
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]*")

_TEXT = """\
# {name}

Weights of a DDMI model (D2C-VAE and latent diffusion, arXiv 2401.12517) that generates signals of the domain
`{plugin}` as continuous fields. Written by `ddmi publish`; add what the model is meant for, and its limits.

## Use

```bash
pip install {requirement}
ddmi sample FOLDER -n 4 --out samples
```

FOLDER is this folder. It holds safetensors, JSON, TOML and this text: loading it runs no code of it.

## Training

| | |
| --- | --- |
{facts}

All settings are in `run.toml`.

## Figures

{figures}

## Licence

{license}
"""


def model_card(run: RunFolder, name: str, license_name: str, task: str) -> str:
    """The card of a run.

    Args:
        run: a finished run.
        name: of the model.
        license_name: licence of the weights, as the hub spells it.
        task: task, as the hub spells it; empty for none.

    Raises:
        CheckpointError: if the folder is no run, or its figures are damaged or stale.
        RequestError: if the licence or the task is no identifier of the hub.
    """
    for option, value in (("--license", license_name), ("--task", task)):
        if value and not _IDENTIFIER.fullmatch(value):
            raise RequestError(f"{option} {value} is not an identifier of the hub, such as cc-by-sa-4.0 or text-to-3d")
    head, table = read_head(run), tomllib.loads(run.toml.read_text(encoding="utf-8"))
    found = own_figures(run) if run.metrics.is_file() else Evaluation((), ())
    metadata = _metadata(head, found, name, license_name or UNKNOWN_LICENSE, task)
    # JSON is valid YAML, so values need no other quoting.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in metadata.items()]
    return "---\n" + "\n".join(lines) + "\n---\n\n" + _text(run, table, found, name, license_name)


def _metadata(head: RunHead, found: Evaluation, name: str, license_name: str, task: str) -> dict[str, Any]:
    """The card's metadata; the figures of one data set are one result."""
    metadata: dict[str, Any] = {"license": license_name, "library_name": LIBRARY}
    if task:
        metadata["pipeline_tag"] = task
    metadata["tags"] = [LIBRARY, f"{LIBRARY}-{head.plugin}", "continuous-fields", "latent-diffusion"]
    metrics = [
        {
            "type": figure.name,
            "value": figure.value,
            "name": figure.meaning or figure.name,
            "args": portable(_args(figure.protocol)),
        }
        for figure in found.figures
        if math.isfinite(figure.value)
    ]
    if metrics:
        # A path of the author's machine means nothing elsewhere; its last part names the data.
        source = str(found.figures[0].protocol.get("source", "")).rpartition("/")[2] or head.plugin
        data = {"type": source, "name": source, "revision": head.fingerprint}
        metadata["model-index"] = [
            {"name": name, "results": [{"task": {"type": task or "other"}, "dataset": data, "metrics": metrics}]}
        ]
    return metadata


def _args(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol without what the data set of the result says already."""
    return {key: value for key, value in protocol.items() if key not in ("data", "source")}


def _text(run: RunFolder, table: Mapping[str, Any], found: Evaluation, name: str, license_name: str) -> str:
    head = read_head(run)
    versions = table["run"].get("versions", {})
    steps = (table.get(stage, {}).get("training", {}).get("steps", "?") for stage in ("autoencoder", "diffusion"))
    facts = {
        "plugin": f"`{head.plugin}`" + (f" of {head.distribution} {head.version}" if head.distribution else ""),
        "data": f"fingerprint `{head.fingerprint}`",
        "preset, seed": f"{table.get('preset', '?')}, {table.get('seed', '?')}",
        **({"fine-tuned from": f"{head.begun}"} if head.begun else {}),
        "steps": "{} of the autoencoder, {} of the denoiser".format(*steps),
        "sampling": tuned.sentence(run),
        "precision": "stored in float16",
        "versions": ", ".join(f"{key} {value}" for key, value in versions.items()) or "unknown",
    }
    rows = [f"| {figure.name} | {figure.shown} | {figure.meaning} |" for figure in found.figures]
    figures = "The run was not evaluated: `ddmi evaluate` measures it."
    if rows:
        said = [f"- {sentence}" for sentence in verdict(found.figures)]
        figures = "\n".join([*said, *[""] * bool(said), "| figure | value | meaning |", "| --- | --- | --- |", *rows])
        figures += "\n\nMeasured before the conversion to float16; `metrics.json` has the protocols."
    known = license_name not in ("", UNKNOWN_LICENSE)
    terms = f"`{license_name}`" if known else "Not stated. Weights derive from the data: state theirs here."
    if head.begun:
        theirs = f"`{head.begun.license}`" if head.begun.license else "not stated in their card"
        terms += (
            f"\n\nThese weights were fine-tuned from `{head.begun.weights}`. The licence of those, {theirs}, applies "
            "to these as well."
        )
    return _TEXT.format(
        name=name,
        plugin=head.plugin,
        requirement=head.requirement or f"{LIBRARY}  # and the plugin {head.plugin}",
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        figures=figures,
        license=terms,
    )

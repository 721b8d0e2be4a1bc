"""Ablation on an equal budget: several scales with coarse-to-fine conditioning, with concatenation, and one scale.

A fourth variant moves capacity from the basis fields to the readout.

    python studies/ablation.py --steps 600 --seeds 0 1 2

Every variant trains for the same number of steps on the same batches. The readouts of the first three variants have the
same depth and width. The table gives the held-out reconstruction at the trained size and at the largest drawn size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api import Field, Renderer, Split
from ddmi_core.evaluation.feature_sets import batches
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.checkpoint import load_final
from ddmi_core.training.log import Log
from ddmi_core.training.trainer import Stage, train

VARIANTS = {
    "HDBF + CFC": [],
    "HDBF, joined at the input": ['autoencoder.readout.joining="input"'],
    "one scale": ["autoencoder.decoder.basis=[64]", "autoencoder.readout.depth=3"],
    "wide readout, narrow basis fields": [
        "autoencoder.decoder.basis=[32, 24, 16]",
        "autoencoder.readout.width=64",
        "autoencoder.readout.depth=2",
    ],
}


def psnr(drawn: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures `(B, H, W, V)` in [-1, 1], in dB: `(B,)`."""
    return 10 * torch.log10(4 / (drawn - truth).square().flatten(1).mean(dim=1).clamp_min(1e-10))


def render(fields: Field, renderer: Renderer[Any, Any], size: tuple[int, ...]) -> Tensor:
    """Fields drawn at a size: `(B, H, W, V)`."""
    return torch.stack([torch.from_numpy(renderer.render(field, size).array()) for field in fields])


def trial(parts: AnyParts, config: RunConfig, split: Split) -> tuple[float, float, float]:
    """Train one variant: held-out PSNR at the native and at the largest level, and the training seconds."""
    model = build_autoencoder(parts, config)
    objectives = autoencoder_objectives(parts, config, model, split)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        stage = Stage(
            "autoencoder", place / "autoencoder", config.autoencoder.training, config.seed, Log(place / "log.jsonl")
        )
        started = time.perf_counter()
        train(stage, objectives)
        seconds = time.perf_counter() - started
        load_final(place / "autoencoder", model)
    native: list[Tensor] = []
    large: list[Tensor] = []
    with torch.no_grad():
        for _, signal in batches(split.held_out, config.evaluation.held_out):
            fields = model.eval().decode(model.encode(signal).mean)
            for results, level in ((native, signal.levels()[0]), (large, signal.levels()[-1])):
                truth = level if level.is_floating_point() else level.float() / 127.5 - 1
                results.append(psnr(render(fields, parts.renderer, tuple(truth.shape[2:])), truth.movedim(1, -1)))
    return float(torch.cat(native).mean()), float(torch.cat(large).mean()), seconds


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default="image")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="setting for all variants")
    arguments = parser.parse_args()
    domain = domain_named(arguments.plugin)
    print("| variant | native, dB | largest, dB | seconds |\n| --- | --- | --- | --- |")
    for name, own in VARIANTS.items():
        budget = [f"autoencoder.training.steps={arguments.steps}", "autoencoder.training.checkpoint=1000000"]
        rows = []
        for seed in arguments.seeds:
            config = resolve(domain, overrides=[*budget, *own, *arguments.overrides], seed=seed)
            parts = build_parts(domain, config.domain)
            rows.append(trial(parts, config, load_data(parts, config.data)))
        native, large, seconds = zip(*rows, strict=True)
        print(
            f"| {name} | {statistics.mean(native):.2f} ± {statistics.pstdev(native):.2f} "
            f"| {statistics.mean(large):.2f} ± {statistics.pstdev(large):.2f} | {statistics.mean(seconds):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Drawings at other sizes than those of training, by what the readout gets for the footprint.

    python benchmarks/footprint.py --multiples 1 --multiples 1 2 --steps 300
    python benchmarks/footprint.py --shipped

A small image model is trained for each list of multiples. Held-out drawings are compared with the font's own, averaged
over the area of each pixel: PSNR in dB, as a mean over the drawings. The columns are the footprint of the size limited
to the range of training (as rendered), the footprint of the size without a limit, a footprint of zero, and the bilinear
enlargement of the native render (for smaller sizes, its reduction with antialiasing).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.model.loading import load
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.checkpoint import load_final
from ddmi_core.training.log import Log
from ddmi_core.training.trainer import Stage, train
from ddmi_image.openmoji import Pen, drawings
from ddmi_image.packing import area_means

SMALL = [
    "domain.size=16",
    'domain.groups=["faces"]',
    "autoencoder.encoder.widths=[16, 24]",
    "autoencoder.decoder.widths=[24, 16]",
    "autoencoder.decoder.basis=[16, 16]",
    "autoencoder.perceptual.weight=0",
    "autoencoder.training.batch=8",
    "autoencoder.training.warmup=20",
    "autoencoder.training.checkpoint=1000000",
]
RATIOS = (0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 8, 16)
DRAWN = 4  # least multiple of the native size at which the font draws, as in training


def psnr(drawn: Tensor, truth: Tensor) -> str:
    """Mean peak signal-to-noise ratio of pictures `(B, V, H, W)` in [-1, 1], in dB."""
    return f"{float((10 * torch.log10(4 / (drawn - truth).square().flatten(1).mean(dim=1))).mean()):.2f}"


def drawn(fields: Field, renderer: Any, side: int, footprint: Tensor | None) -> Tensor:
    """Fields at a size with a footprint; by default as rendered: `(B, V, side, side)`."""
    readout = fields.readout
    seen = readout.seen.clone()
    own = renderer.extra
    try:
        if footprint is not None:
            readout.seen.copy_(torch.tensor([[inf], [-inf]]))
            renderer.extra = lambda size: footprint
        return torch.stack(
            [torch.from_numpy(renderer.render(field, side).array()).permute(2, 0, 1) for field in fields]
        )
    finally:
        readout.seen.copy_(seen)
        renderer.extra = own


def compare(fields: Field, renderer: Any, names: list[str], groups: tuple[str, ...], title: str) -> None:
    """Print the table of one model."""
    size = renderer.native[0]
    native = drawn(fields, renderer, size, None)
    seen = ", ".join(f"{value:.2f}" for value in fields.readout.seen[:, 0].tolist())
    print(f"\n{title}; footprints in training: {seen}\n")
    print("| size | as rendered | no limit | zero | bilinear |\n| --- | --- | --- | --- | --- |")
    for ratio in RATIOS:
        side = round(ratio * size)
        true = truth(names, groups, size, side)
        columns = [drawn(fields, renderer, side, each) for each in (None, renderer.extra((side, side)), torch.zeros(1))]
        columns.append(F.interpolate(native, (side, side), mode="bilinear", antialias=side < size))
        print(f"| {ratio:g} x | {' | '.join(psnr(each, true) for each in columns)} |", flush=True)


def truth(names: list[str], groups: tuple[str, ...], size: int, side: int) -> Tensor:
    """The font's drawings in [-1, 1]: `(B, V, side, side)`."""
    known = {drawing.name: drawing for drawing in drawings(groups)}
    pen = Pen()
    wide = (np.asarray(pen.draw(known[name], max(side, DRAWN * size)), dtype=np.float64) for name in names)
    return torch.stack([torch.from_numpy(area_means(each / 127.5 - 1, side)).permute(2, 0, 1) for each in wide]).float()


def main() -> None:
    """Read the command line, train, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multiples", type=float, nargs="+", action="append", default=[])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=24, help="held-out drawings")
    parser.add_argument("--shipped", action="store_true", help="the weights of the plugin")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="setting for all models")
    arguments = parser.parse_args()
    domain = domain_named("image")
    if arguments.shipped:
        model = load(plugin="image")
        held = load_data(model.parts, "").held_out
        names = list(held.names)[: arguments.count]
        with torch.no_grad():
            fields = model.autoencoder.decode(model.autoencoder.encode(held.batch(range(len(names)))).mean)
        compare(fields, model.parts.renderer, names, model.config.domain.groups, "shipped weights")
    for multiples in arguments.multiples:
        own = [f"domain.multiples={multiples}", f"autoencoder.training.steps={arguments.steps}"]
        config = resolve(domain, overrides=[*SMALL, *own, *arguments.overrides], seed=arguments.seed)
        parts = build_parts(domain, config.domain)
        split = load_data(parts, config.data)
        autoencoder = build_autoencoder(parts, config)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            stage = Stage("autoencoder", place, config.autoencoder.training, config.seed, Log(place / "log.jsonl"))
            train(stage, autoencoder_objectives(parts, config, autoencoder, split))
            load_final(place, autoencoder)
        names = list(split.held_out.names)[: arguments.count]
        with torch.no_grad():
            fields = autoencoder.eval().decode(autoencoder.encode(split.held_out.batch(range(len(names)))).mean)
        title = f"multiples {multiples}, {arguments.steps} steps in {time.perf_counter() - started:.0f} s"
        compare(fields, parts.renderer, names, config.domain.groups, title)


if __name__ == "__main__":
    main()

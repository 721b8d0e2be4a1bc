"""Measures completions of held-out signals: `python docs/completions.py PLUGIN|RUN [COUNT] [SEEDS] [LEVELS] [NOISE]`.

For each task, it prints the error of completions at observed and at hidden places. For comparison, it prints the errors
of the autoencoder's own reconstruction of the whole signal and of the training signal that is nearest at the observed
places. Errors are pooled over signals: PSNR of the mean squared error, or intersection over union of all places
together. Metrics that need no ground truth follow, for completions and for reconstructions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from math import log10
from pathlib import Path

import torch
from torch import Tensor

import ddmi_core as ddmi
from ddmi_core.api import Observations, Planes, Queries, Split
from ddmi_core.completion.metrics import hidden, predicted, with_cells
from ddmi_core.completion.regions import columns, region, union
from ddmi_core.model.data import load_data
from ddmi_core.settings.config import NOISE, STEPS

Task = list[str] | tuple[int, ...]  # observed regions, or the cells whose means are observed
TASKS: dict[str, dict[str, Task]] = {
    "image": {
        "lower half hidden": ["y<0"],
        "box hidden": ["x<-0.45", "x>0.45", "y<-0.45", "y>0.45"],
        "4x coarse": (12, 12),
    },
    "occupancy": {"half hidden": ["x<0"], "half hidden from above": ["y<0"]},
    "video": {
        "first quarter seen": ["t<-0.5"],
        "first and last two frames seen": ["t<-0.75", "t>0.75"],
        "4x coarse": (16, 12, 12),
    },
    "nerf": {"one view seen": ["view=0"]},
}
METRICS = {"nerf": ["depth_consistency"]}  # metrics without ground truth
MOST, MOST_OF_CELLS, MOST_OF_RAYS = 4096, 16384, 16384  # largest number of places evaluated
COMPARED = {"occupancy": 512}  # largest number of training signals to compare; all in other domains
AT_ONCE = 32  # fields in memory


def main(which: str, count: int = 16, seeds: int = 2, levels: int = STEPS, noise: float = NOISE) -> None:
    """Print the figures of each task."""
    run = Path(which).is_dir()
    model = ddmi.load(which) if run else ddmi.load(plugin=which)
    split = load_data(model.parts, model.config.data if run else "")
    step = max(1, len(split.held_out) // count)
    for name, task in TASKS[model.domain.name].items():
        print(name, flush=True)
        numbers = list(range(0, len(split.held_out), step))[:count]
        print(measured(model, split, numbers, task, seeds, levels, noise), flush=True)


def measured(
    model: ddmi.Model, split: Split, numbers: list[int], task: Task, seeds: int, levels: int, noise: float
) -> str:
    """Figures of one task."""
    rows: dict[str, list[Tensor]] = {}
    own_rows: dict[str, list[Tensor]] = {}
    spread, seconds, labels = [], [], model.sampler.labels
    for number in numbers:
        signal = split.held_out.batch([number])
        whole = model.observations(
            signal, MOST_OF_CELLS if isinstance(task, tuple) else MOST_OF_RAYS if labels else MOST
        )
        if isinstance(task, tuple):
            seen, rest = with_cells(whole, task), whole
        else:
            regions = [region(text, model.domain.layout.axes, labels) for text in task]
            keep = union(regions, columns(whole, labels))
            seen, rest = whole.kept(keep), hidden(whole, keep)
        start = time.process_time()
        fields = model.complete(seen, seeds, steps=levels, noise=noise)
        seconds.append((time.process_time() - start) / seeds)
        own = model.reconstruct(signal)
        values = predicted(model.measurement, fields, rest)
        add = rows.setdefault
        add("observed", []).append(error(model, predicted(model.measurement, fields, seen), seen.values).mean(0))
        add("observed, own reconstruction", []).append(
            error(model, predicted(model.measurement, own, seen), seen.values).mean(0)
        )
        add("hidden", []).append(error(model, values, rest.values).mean(0))
        add("hidden, own reconstruction", []).append(
            error(model, predicted(model.measurement, own, rest), rest.values).mean(0)
        )
        if seeds > 1:
            middle = values.mean(0, keepdim=True)
            middle = (middle > 0.5).float() if model.measurement.bernoulli else middle
            add("hidden, mean of the completions", []).append(error(model, middle, rest.values).mean(0))
            spread.append(values.std(0).square().mean())
        add("hidden, nearest training signal", []).append(nearest(model, split, seen, rest))
        for name in METRICS.get(model.domain.name, []):
            metric = model.parts.metrics()[name]
            own_rows.setdefault(name, []).append(metric(fields, signal, model.renderer).mean())
            own_rows.setdefault(f"{name}, own reconstruction", []).append(metric(own, signal, model.renderer).mean())
    lines = [f"  {name:34} {figure(model, torch.stack(found))}" for name, found in rows.items()]
    lines += [f"  {name:34} {torch.stack(found).mean():.3f}" for name, found in own_rows.items()]
    deviation = torch.stack(spread).mean().sqrt().item() if spread else 0.0
    return "\n".join([*lines, f"  deviation between seeds {deviation:.3f}; {sum(seconds) / len(seconds):.1f} s each"])


def error(model: ddmi.Model, values: Tensor, truth: Tensor) -> Tensor:
    """Sums to pool, `(B, 2)`: sizes of intersection and union, or squared error and number of values."""
    if model.measurement.bernoulli:
        return torch.stack([torch.minimum(values, truth).sum((1, 2)), torch.maximum(values, truth).sum((1, 2))], 1)
    square = (values - truth).square()
    return torch.stack([square.sum((1, 2)), torch.full((len(values),), float(truth.numel()))], 1)


def figure(model: ddmi.Model, sums: Tensor) -> str:
    """PSNR in dB, or intersection over union."""
    first, second = sums.sum(0).tolist()
    return f"{first / second:.3f} IoU" if model.measurement.bernoulli else f"{10 * log10(4 * second / first):.2f} dB"


def nearest(model: ddmi.Model, split: Split, seen: Observations, rest: Observations) -> Tensor:
    """Error at the hidden places of the training signal with the smallest error at the observed ones."""
    if not model.measurement.bernoulli and type(seen.queries) is Queries:
        grids = split.train.batch(range(len(split.train))).values.flatten(2).transpose(1, 2)
        cells = model.renderer.native[::-1]

        def at(places: Observations) -> Tensor:
            number, below = torch.zeros_like(places.queries.coords[0, :, 0], dtype=torch.long), 1
            for axis, count in enumerate(cells):
                number += below * ((places.queries.coords[0, :, axis] + 1) * count / 2).long()
                below *= count
            return places.mean(grids[:, number])

        best = (at(seen) - seen.values).square().mean((1, 2)).argmin()
        return error(model, at(rest)[best : best + 1], rest.values)[0]
    best, error_there = float("-inf"), torch.zeros(2)
    for fields in training_fields(model, split):
        first, second = error(model, predicted(model.measurement, fields, seen), seen.values).unbind(1)
        fits = first / second if model.measurement.bernoulli else -first
        if float(fits.max()) > best:
            best, field = float(fits.max()), fields[int(fits.argmax())]
            error_there = error(model, predicted(model.measurement, field, rest), rest.values)[0]
    return error_there


LATENTS: list[Planes] = []


def training_fields(model: ddmi.Model, split: Split) -> Iterator[ddmi.Field]:
    """Yield reconstructions of training signals in batches; unlike signals, they can be observed anywhere."""
    if not LATENTS:
        numbers = range(min(COMPARED.get(model.domain.name, len(split.train)), len(split.train)))
        for start in range(0, len(numbers), AT_ONCE):
            LATENTS.append(model.encode(split.train.batch(numbers[start : start + AT_ONCE])).mean)
    yield from map(model.decode, LATENTS)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), *map(float, sys.argv[5:6]))

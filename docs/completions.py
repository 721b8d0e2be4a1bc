"""Measures completions of held-out signals: `python docs/completions.py PLUGIN [COUNT] [SEEDS]`.

It prints, for each task, how well completions agree with what was observed and with what was hidden, beside the
autoencoder's own reconstruction of the whole signal and the training signal that is nearest at the observed places.
Errors are pooled over signals: decibels of the mean squared error, and overlaps of all places together.
"""

from __future__ import annotations

import sys
import time
from math import log10

import torch
from torch import Tensor

import ddmi_core as ddmi
from ddmi_core.api import Observations, Split
from ddmi_core.runs.agreement import hidden, places_of, shown_at, with_cells
from ddmi_core.runs.build import load_data
from ddmi_core.runs.complete import is_bernoulli
from ddmi_core.runs.regions import region, union

Task = list[str] | tuple[int, ...]  # regions that are observed, or cells whose means are
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
}
MOST, MOST_OF_CELLS = 4096, 16384  # places that are looked at


def main(plugin: str, count: int = 16, seeds: int = 2) -> None:
    """Print one line a task."""
    model = ddmi.load(plugin=plugin)
    split = load_data(model.domain, "", model.config.domain)
    step = max(1, len(split.held_out) // count)
    for name, task in TASKS[plugin].items():
        print(name, flush=True)
        print(measured(model, split, list(range(0, len(split.held_out), step))[:count], task, seeds), flush=True)


def measured(model: ddmi.Model, split: Split, numbers: list[int], task: Task, seeds: int) -> str:
    """Figures of one task."""
    rows: dict[str, list[Tensor]] = {}
    spread, seconds = [], []
    for number in numbers:
        signal = split.held_out.batch([number])
        whole = places_of(model, signal, MOST_OF_CELLS if isinstance(task, tuple) else MOST)
        if isinstance(task, tuple):
            seen, rest = with_cells(whole, task), whole
        else:
            keep = union([region(text, model.domain.layout.axes) for text in task], whole.queries.coords[0])
            seen, rest = whole.kept(keep), hidden(whole, keep)
        start = time.process_time()
        fields = model.complete(seen, seeds)
        seconds.append((time.process_time() - start) / seeds)
        own = model.decode(model.encode(signal).mean)
        values = shown_at(model, fields, rest)
        add = rows.setdefault
        add("observed", []).append(error(model, shown_at(model, fields, seen), seen.values).mean(0))
        add("observed, own reconstruction", []).append(error(model, shown_at(model, own, seen), seen.values).mean(0))
        add("hidden", []).append(error(model, values, rest.values).mean(0))
        add("hidden, own reconstruction", []).append(error(model, shown_at(model, own, rest), rest.values).mean(0))
        if seeds > 1:
            middle = values.mean(0, keepdim=True)
            middle = (middle > 0.5).float() if is_bernoulli(model) else middle
            add("hidden, mean of the completions", []).append(error(model, middle, rest.values).mean(0))
            spread.append(values.std(0).square().mean())
        add("hidden, nearest training signal", []).append(nearest(model, split, seen, rest))
    lines = [f"  {name:34} {figure(model, torch.stack(found))}" for name, found in rows.items()]
    deviation = torch.stack(spread).mean().sqrt().item() if spread else 0.0
    return "\n".join([*lines, f"  deviation between seeds {deviation:.3f}; {sum(seconds) / len(seconds):.1f} s each"])


def error(model: ddmi.Model, values: Tensor, truth: Tensor) -> Tensor:
    """Sums that errors are pooled from, `(B, 2)`: common and joint places, or squared error and number of values."""
    if is_bernoulli(model):
        return torch.stack([torch.minimum(values, truth).sum((1, 2)), torch.maximum(values, truth).sum((1, 2))], 1)
    square = (values - truth).square()
    return torch.stack([square.sum((1, 2)), torch.full((len(values),), float(truth.numel()))], 1)


def figure(model: ddmi.Model, sums: Tensor) -> str:
    """Decibels, or intersection over union."""
    first, second = sums.sum(0).tolist()
    return f"{first / second:.3f} IoU" if is_bernoulli(model) else f"{10 * log10(4 * second / first):.2f} dB"


def nearest(model: ddmi.Model, split: Split, seen: Observations, rest: Observations) -> Tensor:
    """Error at the hidden places of the training signal that fits the observed ones best."""
    if not is_bernoulli(model):
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
    fields = training_fields(model, split)
    scores = [error(model, shown_at(model, field, seen), seen.values) for field in fields]
    overlaps = torch.cat([score[:, 0] / score[:, 1] for score in scores])
    part, row = divmod(int(overlaps.argmax()), len(fields[0]))
    return error(model, shown_at(model, fields[part][row], rest), rest.values)[0]


KEPT: list[ddmi.Field] = []


def training_fields(model: ddmi.Model, split: Split) -> list[ddmi.Field]:
    """Reconstructions of training shapes, whose insides can be asked for anywhere."""
    if not KEPT:
        for start in range(0, min(512, len(split.train)), 64):
            KEPT.append(model.decode(model.encode(split.train.batch(range(start, start + 64))).mean))
    return KEPT


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

"""The page of a study in the documentation: its table, its plot and its arms."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from over_seeds import difference, estimate, ratio
from results import Results

if TYPE_CHECKING:
    from study import Study

WIDTH, LABELS, ROW, HEAD = 720, 170, 22, 34  # of the plot, in pixels
GREY, BLUE = "#8a8f98", "#3f6fd8"  # legible on white and on black


def write_page(study: Study, results: Results, folder: Path, name: str) -> None:
    """Write `NAME.md` and `NAME.svg`.

    Args:
        study: the study.
        results: its figures.
        folder: of the pages.
        name: of the study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(plot(study, results), encoding="utf-8")
    (folder / f"{name}.md").write_text(text(study, results, name), encoding="utf-8")


def text(study: Study, results: Results, name: str) -> str:
    """The page in Markdown."""
    first, *others = study.arms
    seeds = [trial.seed for trial in results.of_arm(first)]
    lines = [f"# {study.title}", "", study.question, ""]
    lines += [
        f"Plugin `{study.plugin}`, preset `{study.preset}`, seeds {', '.join(map(str, seeds))}. Each run trains for "
        f"about {study.seconds:g} seconds of processor time on one thread, {study.share:.0%} of them in stage 1. "
        f"Processor: {results.machine}, torch {results.torch}. Command: `python studies/study.py studies/{name}.toml`.",
        "",
    ]
    lines += ["| figure | real data | " + " | ".join(f"`{arm}`" for arm in study.arms) + " |"]
    lines += ["| --- |" + " --- |" * (1 + len(study.arms))]
    for figure, good in study.figures.items():
        cells = [_mean(results.values(first, figure))]
        cells += [_beside(results.values(arm, figure), results.values(first, figure)) for arm in others]
        real = results.real(figure)
        lines += [f"| `{figure}`: {good} | {'' if real is None else f'{real:.4g}'} | {' | '.join(cells)} |"]
    trials = {arm: results.of_arm(arm) for arm in study.arms}
    steps = [" and ".join(map(str, found[0].steps)) for found in trials.values()]
    seconds = [f"{fmean(trial.seconds for trial in found):.0f} s" for found in trials.values()]
    lines += [
        f"| steps of both stages | | {' | '.join(steps)} |",
        f"| processor time of a run | | {' | '.join(seconds)} |",
    ]
    lines += [
        "",
        "Values are means over the seeds with 95 % intervals. Brackets have the mean difference from "
        f"`{first}` with the same seed and, where all values are positive, the ratio to it. An interval of a "
        "difference that contains 0 decides nothing.",
        "",
        f"![Figures of each run]({name}.svg)",
        "",
        "Each dot is a run, each bar the mean of its arm. The dashed line is real data.",
        "",
        "## Arms",
        "",
    ]
    if study.settings:
        lines += ["All arms: " + ", ".join(f"`{setting}`" for setting in study.settings) + ".", ""]
    for arm, entry in study.arms.items():
        settings = ", ".join(f"`{setting}`" for setting in entry.settings) or "those of the preset"
        start = f"as `{entry.like}`, then " if entry.like else ""
        lines += [f"- `{arm}`: {entry.about} Settings: {start}{settings}."]
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> str:
    found = estimate(values)
    return f"{found.mean:.4g}" if isnan(found.half) else f"{found.mean:.4g} ± {found.half:.2g}"


def _beside(values: Sequence[float], first: Sequence[float]) -> str:
    """The mean of an arm, with its difference from the first one."""
    found, times = difference(values, first), ratio(values, first)
    spread = "" if isnan(found.half) else f" ± {found.half:.2g}"
    shown = f"{found.mean:+.3g}{spread}"
    if times:
        middle, low, high = times
        shown += f"; × {middle:.2f}" + ("" if isnan(low) else f", {low:.2f} to {high:.2f}")
    return f"{_mean(values)} ({shown})"


def plot(study: Study, results: Results) -> str:
    """The figures of all runs as SVG, one block for each figure with a row for each arm."""
    parts: list[str] = []
    block = HEAD + ROW * len(study.arms)
    for number, figure in enumerate(study.figures):
        top, real = number * block, results.real(figure)
        shown = [value for arm in study.arms for value in results.values(arm, figure)]
        shown += [] if real is None else [real]
        low, high = min(shown), max(shown)
        scale = (WIDTH - LABELS - 20) / ((high - low) or 1)

        def place(value: float, low: float = low, scale: float = scale) -> float:
            return LABELS + 10 + (value - low) * scale

        parts += [f'<text x="0" y="{top + 20}" font-weight="bold">{escape(figure)}</text>']
        parts += [f'<text x="{LABELS + 10}" y="{top + 20}" fill="{GREY}">{low:.4g}</text>']
        parts += [f'<text x="{WIDTH - 10}" y="{top + 20}" fill="{GREY}" text-anchor="end">{high:.4g}</text>']
        if real is not None:
            x = place(real)
            parts += [
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 26}" y2="{top + block - 6}" stroke="{GREY}" '
                'stroke-dasharray="3 3"/>'
            ]
        for row, arm in enumerate(study.arms):
            y, values = top + HEAD + ROW * row + 6, results.values(arm, figure)
            parts += [f'<text x="0" y="{y + 5}">{escape(arm)}</text>']
            parts += [f'<circle cx="{place(value):.1f}" cy="{y}" r="4" fill="{BLUE}"/>' for value in values]
            ends = f'x1="{place(fmean(values)):.1f}" x2="{place(fmean(values)):.1f}" y1="{y - 8}" y2="{y + 8}"'
            parts += [f'<line {ends} stroke="{BLUE}" stroke-width="2"/>']
    size = f'viewBox="0 0 {WIDTH} {block * len(study.figures)}"'
    font = f'font-family="sans-serif" font-size="13" fill="{GREY}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n' + "\n".join(parts) + "\n</svg>\n"

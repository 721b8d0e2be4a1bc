"""Comparison of the figures of runs, which is refused if their protocols differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from ddmi_core.api.evaluation import Figure
from ddmi_core.errors import RequestError
from ddmi_core.evaluation.results import aligned, own_figures
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.model.run_results import FIGURES, PAPER_FIGURES

LEFT_OUT = ("versions", "file")  # entries that may differ: figures agree to rounding, and a checksum names the file
MOST = 60  # characters of an entry in a message


@frozen
class Comparison:
    """Figures of several runs.

    Args:
        runs: folders of the runs.
        figures: those of each run, by name; a run may lack some.
        differing: the protocol entries that differ and were allowed to, by figure and entry: the value of each run.
    """

    runs: tuple[str, ...]
    figures: tuple[Mapping[str, Figure], ...]
    differing: Mapping[str, tuple[Any, ...]]

    def lines(self) -> list[str]:
        """A table with a column for each run: values with their 95 % intervals, and entries that differ."""
        names = dict.fromkeys(name for figures in self.figures for name in figures)
        rows = [("", *self.runs)]
        for name in names:
            rows.append((name, *(_cell(figures.get(name)) for figures in self.figures)))
        for entry, values in self.differing.items():
            rows.append((entry, *map(_text, values)))
        lines = aligned(rows, "<" * len(rows[0]))
        meanings = {name: next(f[name].meaning for f in self.figures if name in f) for name in names}
        return [*lines, "", *aligned([(name, meaning) for name, meaning in meanings.items() if meaning], "<<")]

    def to_json(self) -> str:
        """As JSON text."""
        runs = [
            {"run": run, "figures": [asdict(figure) for figure in figures.values()]}
            for run, figures in zip(self.runs, self.figures, strict=True)
        ]
        return json.dumps({"runs": runs, "differing": self.differing}, indent=1)


def compare_runs(runs: Sequence[Path], *, paper: bool = False, across: Sequence[str] = ()) -> Comparison:
    """The stored figures of runs, side by side.

    Args:
        runs: folders of evaluated runs.
        paper: compare the figures by the protocol of the paper.
        across: protocol entries that may differ, and are shown.

    Raises:
        CheckpointError: if a run has no figures, or stale or damaged ones.
        RequestError: if the protocols of a figure differ, with the entries; or no figure is common to two runs.
    """
    folders = [RunFolder(run) for run in runs]
    found = [own_figures(folder, PAPER_FIGURES if paper else FIGURES) for folder in folders]
    figures = tuple({figure.name: figure for figure in result.figures} for result in found)
    common = [name for name in figures[0] if all(name in other for other in figures[1:])]
    if not common:
        raise RequestError("these runs have no figure in common. Fix: compare runs of one plugin")
    names = tuple(map(str, runs))
    differing: dict[str, tuple[Any, ...]] = {}
    problems = []
    for name, entry, values in _differences(figures):
        if entry not in across:
            problems.append((name, entry, values))
        elif entry not in differing:
            differing[entry] = values
    if problems:
        raise RequestError(_refusal(names, problems))
    return Comparison(names, figures, differing)


def _differences(figures: Sequence[Mapping[str, Figure]]) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield the figure, the entry and the value of each run where protocols differ; `None` where a run has none."""
    for name in dict.fromkeys(name for own in figures for name in own):
        protocols = [own[name].protocol if name in own else None for own in figures]
        known = [protocol for protocol in protocols if protocol is not None]
        for entry in dict.fromkeys(key for protocol in known for key in protocol if key not in LEFT_OUT):
            if any(_compared(protocol.get(entry)) != _compared(known[0].get(entry)) for protocol in known):
                yield name, entry, tuple(None if own is None else own.get(entry) for own in protocols)


def _refusal(runs: Sequence[str], problems: Sequence[tuple[str, str, tuple[Any, ...]]]) -> str:
    """A sentence for each entry that differs, with the figures that it concerns."""
    entries: dict[str, list[tuple[str, tuple[Any, ...]]]] = {}
    for name, entry, values in problems:
        entries.setdefault(entry, []).append((name, values))
    sentences = []
    for entry, concerned in entries.items():
        name, values = concerned[0]
        shown = ", ".join(f"{_short(value)} in {run}" for run, value in zip(runs, values, strict=True))
        more = f" and {len(concerned) - 1} more" if len(concerned) > 1 else ""
        sentences.append(f"{entry} is {shown} ({name}{more})")
    options = " ".join(f"--across {entry!r}" if " " in entry else f"--across {entry}" for entry in entries)
    return (
        f"figures of different protocols cannot be compared: {'; '.join(sentences)}. Fix: evaluate the runs alike, or "
        f"compare them all the same, with these entries in the table: {options}"
    )


def _compared(value: Any) -> Any:
    """A protocol entry without what may differ."""
    if isinstance(value, Mapping):
        return {key: _compared(item) for key, item in value.items() if key not in LEFT_OUT}
    return value


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    return figure.shown + (f" [{figure.shown_interval}]" if figure.interval else "")

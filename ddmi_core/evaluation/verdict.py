"""What a model is good and bad at, as sentences derived from its figures and those of real signals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ddmi_core.api.evaluation import OF_REAL, RECONSTRUCTION, Figure
from ddmi_core.evaluation.set_figures import COPYING

MARGIN = 0.1  # relative difference up to which figures without an interval count as equal
WITHOUT_TEXT = "without the text"  # entry of a protocol: the same figure for samples without a text


def verdict(figures: Sequence[Figure]) -> list[str]:
    """Sentences on reconstructions, samples, prompts and copies, for reports and model cards.

    A figure is compared with real signals if there is one of the same name with `_of_real`, and its meaning says that
    higher or lower is better. It is worse if its 95 % interval, or without an interval a margin of 10 %, leaves out the
    real value on the worse side. Figures of other names, as those of other plugins, follow the same rules.

    Returns:
        sentences; empty without figures that can be compared.

    Example:
        >>> made = Figure("kid_x", 3.0, {}, "kernel distance; lower is better", (2.0, 4.0))
        >>> verdict([made, Figure("kid_x_of_real", 1.0, {})])
        ['Samples are worse than real signals in kid_x 3 (real 1).']
    """
    return [*_reconstructions(figures), *_samples(figures), *_prompts(figures), *_copies(figures)]


def copying_sentence(figures: Sequence[Figure]) -> str:
    """The sentence on copies, to stand beside pictures of samples; empty without the figure."""
    return " ".join(_copies(figures))


def _reconstructions(figures: Sequence[Figure]) -> Iterator[str]:
    found = [f"{one.name.removeprefix(RECONSTRUCTION)} {one.shown}" for one in figures if _of_reconstructions(one)]
    if found:
        yield f"Reconstructions of held-out signals: {_listed(found)}."


def _of_reconstructions(figure: Figure) -> bool:
    """Whether it is a metric of reconstructions, rather than a distance between sets of them."""
    return figure.name.startswith(RECONSTRUCTION) and not figure.about


def _samples(figures: Sequence[Figure]) -> Iterator[str]:
    real = {figure.name.removesuffix(OF_REAL): figure for figure in figures if figure.name.endswith(OF_REAL)}
    good: list[str] = []
    bad: list[str] = []
    for figure in figures:
        if figure.better and figure.name in real:
            against = real[figure.name]
            text = f"{figure.name} {figure.shown} (real {against.shown})"
            (bad if _worse(figure, against.value) else good).append(text)
    if good:
        yield f"Samples are not measurably worse than real signals in {_listed(good)}."
    if bad:
        yield f"Samples are worse than real signals in {_listed(bad)}."


def _worse(figure: Figure, reference: float) -> bool:
    margin = MARGIN * abs(reference)
    low, high = figure.interval or (figure.value - margin, figure.value + margin)
    # A comparison with a value that is not a number is false, and such a figure is not good.
    return not (high >= reference if figure.better == "higher" else low <= reference)


def _prompts(figures: Sequence[Figure]) -> Iterator[str]:
    """Figures with a text, compared with those without."""
    pairs = [(figure, base) for figure in figures if isinstance(base := figure.protocol.get(WITHOUT_TEXT), float)]
    useful = [(figure, base) for figure, base in pairs if figure.value > base]
    useless = [pair for pair in pairs if pair not in useful]
    if useful:
        yield f"Texts have a measured effect: {_listed([_with_text(*pair) for pair in useful])}."
    if useless:
        yield f"Texts have no measured effect: {_listed([_with_text(*pair) for pair in useless])}."


def _with_text(figure: Figure, base: float) -> str:
    return f"{figure.name} {figure.shown} ({base:.2g} without the text)"


def _copies(figures: Sequence[Figure]) -> Iterator[str]:
    """Distances to the nearest training signal, for which held-out signals have 1."""
    for figure in figures:
        if figure.name.startswith(COPYING):
            low, high = figure.interval or (figure.value, figure.value)
            what = (
                "nearer to the training signals than held-out signals are"
                if high < 1
                else "farther from the training signals than held-out signals are, as poor samples are too"
                if low > 1
                else "about as far from the training signals as held-out signals are"
            )
            yield f"Samples are {what} ({figure.name} {figure.shown}; 1 for held-out signals, 0 for copies)."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

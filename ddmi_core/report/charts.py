"""Line charts as SVG text, so that a report requires neither scripts nor a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, isfinite, log10

from attrs import frozen

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 460, 230, 72, 34, 12, 12
LARGEST = 1e99  # largest value on a logarithmic axis; the smallest is its inverse
# Of at least 3.5 times the brightness of the cards of a report, or less by that, in light and dark.
COLOURS = ("#3f78cf", "#c9651f", "#3f8f47", "#9a5fc0", "#cc4a6c", "#6d7f8b", "#a07c00")
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines and markers that cover each other stay visible
ROW, SWATCH, LETTER = 15, 22, 7  # of the legend: height, length of a piece of line, width of a letter


@frozen
class Line:
    """One named series of points."""

    name: str
    points: tuple[tuple[float, float], ...]
    markers: bool = False


def chart(lines: Sequence[Line], x_label: str, y_label: str, log_x: bool = False, log_y: bool = False) -> str:
    """SVG of lines with common axes; omits points that a logarithmic axis cannot show."""
    lines = [Line(line.name, _usable(line.points, log_x, log_y), line.markers) for line in lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return "<p>no data</p>"
    legend, rows = _legend([line.name for line in lines])
    top = TOP + ROW * rows
    xs = _Scale([x for line in lines for x, _ in line.points], log_x, LEFT, WIDTH - RIGHT)
    ys = _Scale([y for line in lines for _, y in line.points], log_y, HEIGHT - BOTTOM, top)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)} over {escape(x_label)}">']
    for value, text in ys.ticks():
        at = ys(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in xs.ticks():
        parts.append(f'<text x="{xs(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{text}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 3}" text-anchor="middle">{escape(x_label)}</text>'
    )
    middle = (top + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    for number, (line, (left, low)) in enumerate(zip(lines, legend, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        style = f'stroke="{colour}" stroke-dasharray="{DASHES[number % len(DASHES)]}"'
        path = " ".join(f"{xs(x):.1f},{ys(y):.1f}" for x, y in line.points)
        if len(line.points) > 1:
            parts.append(f'<polyline points="{path}" fill="none" {style} stroke-width="1.6"/>')
        if line.markers or len(line.points) == 1:
            ring = f'r="{2.2 + 1.3 * (number % 3):.1f}" fill="none" stroke="{colour}" stroke-width="1.6"'
            parts += [f'<circle cx="{xs(x):.1f}" cy="{ys(y):.1f}" {ring}/>' for x, y in line.points]
        if rows:
            parts.append(f'<path d="M{left:.0f} {low - 4}h{SWATCH}" {style} stroke-width="2.4"/>')
            parts.append(f'<text x="{left + SWATCH + 5:.0f}" y="{low}">{escape(line.name)}</text>')
    return "".join([*parts, "</svg>"])


def _legend(names: Sequence[str]) -> tuple[list[tuple[float, int]], int]:
    """Left end and base line of each entry above the plot, and the number of rows; none for a single line."""
    if len(names) < 2:
        return [(0.0, 0)] * len(names), 0
    places: list[tuple[float, int]] = []
    left, row = float(LEFT), 0
    for name in names:
        width = SWATCH + 5 + LETTER * len(name) + 14
        if left > LEFT and left + width > WIDTH:
            left, row = float(LEFT), row + 1
        places.append((left, TOP + 6 + ROW * row))
        left += width
    return places, row + 1


class _Scale:
    """Maps values to positions, linearly or logarithmically."""

    def __init__(self, values: Sequence[float], log: bool, start: float, stop: float) -> None:
        self.log, self.start, self.stop = log, start, stop
        low, high = min(map(self._of, values)), max(map(self._of, values))
        margin = 0.05 * (high - low) or 0.5
        self.low, self.high = low - margin, high + margin

    def _of(self, value: float) -> float:
        return log10(value) if self.log else value

    def __call__(self, value: float) -> float:
        return self.start + (self._of(value) - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Two to about six round values with their labels."""
        low, high = self.low, self.high
        if self.log:
            steps = [10.0**power * digit for power in range(floor(low), floor(high) + 1) for digit in (1, 2, 5)]
            shown = [value for value in steps if low <= log10(value) <= high]
            if len(shown) > 1:
                return [(value, f"{value:g}") for value in shown[:: max(1, len(shown) // 5)]]
            low, high = 10.0**low, 10.0**high
        raw = (high - low) / 5
        unit = 10.0 ** floor(log10(raw))
        step = next((digit * unit for digit in (1, 2, 5) if digit * unit >= raw), 10 * unit)
        return [(step * i, f"{step * i:g}") for i in range(floor(low / step) + 1, floor(high / step) + 1)]


def _usable(points: Sequence[tuple[float, float]], log_x: bool, log_y: bool) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points if _shown(x, log_x) and _shown(y, log_y))


def _shown(value: float, log: bool) -> bool:
    return 1 / LARGEST < value < LARGEST if log else isfinite(value)

"""Line charts as SVG text, so that a report requires neither scripts nor a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, isfinite, log10

from attrs import frozen

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 460, 230, 56, 34, 12, 12
LARGEST = 1e99  # largest value on a logarithmic axis; the smallest is its inverse
COLOURS = ("#2457a6", "#c2571a", "#3b7d3f", "#7a3e9d", "#a62449", "#5b6770", "#b08800")


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
    xs = _Scale([x for line in lines for x, _ in line.points], log_x, LEFT, WIDTH - RIGHT)
    ys = _Scale([y for line in lines for _, y in line.points], log_y, HEIGHT - BOTTOM, TOP)
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
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{xs(x):.1f},{ys(y):.1f}" for x, y in line.points)
        if len(line.points) > 1:
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if line.markers or len(line.points) == 1:
            parts += [f'<circle cx="{xs(x):.1f}" cy="{ys(y):.1f}" r="3" fill="{colour}"/>' for x, y in line.points]
        parts.append(
            f'<text x="{WIDTH - RIGHT - 4}" y="{TOP + 12 + 14 * number}" text-anchor="end" fill="{colour}">'
            f"{escape(line.name)}</text>"
        )
    return "".join([*parts, "</svg>"])


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

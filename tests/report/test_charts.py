"""Charts as SVG: well-formed, inside their frame, and readable for any numbers."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmi_core.report.charts import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, chart

numbers = st.floats(-1e9, 1e9) | st.floats(1e-9, 1e-3) | st.sampled_from([0.0, 5e-324, 1e-300, 1e6])
points = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12).map(tuple)


def drawn(svg: str) -> list[list[tuple[float, float]]]:
    """Points of every polyline and single circle."""
    root = ElementTree.fromstring(svg)
    lines = [
        [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()] for line in root.iter("polyline")
    ]
    return lines + [[(float(c.attrib["cx"]), float(c.attrib["cy"]))] for c in root.iter("circle")]


def ticks(svg: str) -> tuple[list[str], list[str]]:
    """Texts along both axes, without the label and the names of lines."""
    texts = list(ElementTree.fromstring(svg).iter("text"))
    y = [t.text for t in texts if t.attrib.get("text-anchor") == "end"]
    x = [t.text for t in texts if t.attrib.get("text-anchor") == "middle" and "transform" not in t.attrib][:-1]
    return x, y


@settings(deadline=None, max_examples=200)
@given(points, st.booleans(), st.booleans())
def test_any_finite_points_lie_inside_the_frame(given_points, log_x, log_y):
    svg = chart([Line("loss", given_points)], "step", "loss", log_x=log_x, log_y=log_y)
    kept = [(x, y) for x, y in given_points if (x > 1e-99 or not log_x) and (y > 1e-99 or not log_y)]
    if not kept:
        assert "no data" in svg
        return
    (line,) = drawn(svg)
    assert len(line) == len(kept)
    for x, y in line:
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM


@settings(deadline=None, max_examples=200)
@given(points, st.booleans())
def test_both_axes_have_some_ticks_for_any_range(given_points, log):
    svg = chart([Line("loss", given_points)], "step", "loss", log_y=log)
    if "<svg" not in svg:
        return
    for axis in ticks(svg):
        assert 1 <= len(axis) <= 12


@pytest.mark.parametrize(("low", "high"), [(0.11, 0.19), (3.1, 3.9), (0.02, 0.9), (1e-6, 1e6), (2.0, 2.0)])
def test_a_logarithmic_axis_has_ticks_in_any_range(low, high):
    _, y = ticks(chart([Line("loss", ((0, low), (1, high)))], "step", "loss", log_y=True))
    assert len(y) >= 2
    assert sorted(map(float, y)) == [float(text) for text in y]


def test_larger_values_lie_to_the_right_and_higher():
    (line,) = drawn(chart([Line("a", ((0, 1.0), (5, 2.0), (10, 7.0)))], "x", "y"))
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert [y for _, y in line] == sorted((y for _, y in line), reverse=True)


def test_linear_axes_keep_proportions_and_logarithmic_ones_ratios():
    (line,) = drawn(chart([Line("a", ((0, 1.0), (1, 10.0), (2, 19.0)))], "x", "y"))
    assert line[1][1] == pytest.approx((line[0][1] + line[2][1]) / 2, abs=0.1)
    (line,) = drawn(chart([Line("a", ((1, 1.0), (10, 10.0), (100, 100.0)))], "x", "y", log_x=True, log_y=True))
    assert line[1][0] == pytest.approx((line[0][0] + line[2][0]) / 2, abs=0.1)
    assert line[1][1] == pytest.approx((line[0][1] + line[2][1]) / 2, abs=0.1)


def test_lines_share_axes_and_have_colours_and_names_of_their_own():
    svg = chart([Line("one", ((0, 1.0), (1, 2.0))), Line("two <&>", ((0, 1.0), (1, 3.0)), markers=True)], "x", "y")
    first, second, *markers = drawn(svg)
    assert first[0] == second[0]
    assert markers == [[point] for point in second]
    assert COLOURS[0] in svg
    assert COLOURS[1] in svg
    assert "two <&>" in [text.text for text in ElementTree.fromstring(svg).iter("text")]


def test_the_legend_has_the_colour_and_dashes_of_each_line_and_covers_no_point():
    names = [f"sampler {number}" for number in range(9)]
    lines = [Line(name, ((1, 2.0), (3, 4.0))) for name in names]
    svg = chart(lines, "evaluations", "distance")
    root = ElementTree.fromstring(svg)

    def style(element):
        return element.attrib["stroke"], element.attrib["stroke-dasharray"]

    swatches, drawn_lines = list(root.iter("path")), list(root.iter("polyline"))
    assert [style(swatch) for swatch in swatches] == [style(line) for line in drawn_lines]
    assert len({style(line) for line in drawn_lines}) == len(lines)
    entries = [text for text in root.iter("text") if text.text in names]
    highest = min(y for line in drawn(svg) for _, y in line)
    for text, swatch in zip(entries, swatches, strict=True):
        assert float(text.attrib["y"]) < highest
        assert swatch.attrib["d"].startswith("M")
        assert float(text.attrib["x"]) + 7 * len(text.text) <= WIDTH


def test_markers_of_neighbours_that_coincide_are_all_visible():
    root = ElementTree.fromstring(chart([Line(name, ((1, 2.0),)) for name in ("ddim", "euler", "heun")], "x", "y"))
    rings = list(root.iter("circle"))
    assert {ring.attrib["fill"] for ring in rings} == {"none"}
    assert len({ring.attrib["r"] for ring in rings}) == len({ring.attrib["stroke"] for ring in rings}) == 3


def test_both_axes_have_their_label():
    root = ElementTree.fromstring(chart([Line("loss", ((0, 1.0), (1, 2.0)))], "step", "loss"))
    assert [text.text for text in root.iter("text") if text.text in ("step", "loss")] == ["step", "loss"]


def test_labels_are_escaped():
    root = ElementTree.fromstring(chart([Line("a", ((0, 1.0),))], 'x "<', "y &"))
    assert root.attrib["aria-label"] == 'y & over x "<'


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_points_that_are_not_finite_are_left_out(bad):
    (line,) = drawn(chart([Line("a", ((0, 1.0), (1, bad), (bad, 2.0), (3, 3.0)))], "x", "y"))
    assert len(line) == 2
    assert "nan" not in chart([Line("a", ((0, bad),)), Line("b", ((0, 1.0),))], "x", "y")


@pytest.mark.parametrize("lines", [[], [Line("a", ())], [Line("a", ((0, math.nan),))]])
def test_nothing_to_draw_is_said(lines):
    assert chart(lines, "x", "y") == "<p>no data</p>"


def test_a_chart_names_no_address():
    assert not re.search(r"https?:|xlink|href", chart([Line("a", ((0, 1.0), (1, 2.0)))], "x", "y"))

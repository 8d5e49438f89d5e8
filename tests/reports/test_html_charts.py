import math
import re

import numpy as np
import pytest

from ssl_kit.reports.html.axes import labels, linear_axis, log_axis, number, round_steps
from ssl_kit.reports.html.charts import COLORS, Line, clouds, line_chart, shape_of, thin


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.37, 0.41), (-2.3, -0.1), (0, 1204), (3e-6, 8e-6), (-5, 7)]
)
def test_marks_are_few_round_and_inside(low, high):
    marks = round_steps(low, high)
    step = marks[1] - marks[0]
    assert 2 <= len(marks) <= 6
    assert low - 1e-9 * abs(low) <= marks[0]
    assert marks[-1] <= high * (1 + 1e-9) if high > 0 else marks[-1] <= high * (1 - 1e-9)
    assert float(f"{step:.0e}") == pytest.approx(step)
    assert f"{step:.0e}"[0] in "125"


@pytest.mark.parametrize("values", [[5, 5], [0, 0], [-3, -3], [0.2, 0.9], [-1, 4]])
@pytest.mark.parametrize("zero", [True, False])
def test_an_axis_takes_in_its_values(values, zero):
    axis = linear_axis(values, zero)
    shares = [axis.share(v) for v in [*values, *axis.values, *([0] if zero else [])]]
    assert min(shares) >= -1e-9
    assert max(shares) <= 1 + 1e-9
    assert len(set(labels(axis))) == len(axis.values) >= 2


@pytest.mark.parametrize("values", [[70, 1120], [1e-8, 1], [3, 3], [0.02, 0.9], [1, 512]])
def test_a_logarithmic_axis_takes_in_its_values(values):
    axis = log_axis(values)
    assert axis.share(min(values)) >= 0
    assert axis.share(max(values)) <= 1 + 1e-9
    assert 2 <= len(axis.values) <= 7
    middle = math.sqrt(axis.low * axis.high)
    assert axis.share(middle) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0312, "0.0312"), (94.44, "94.4"), (1204.3, "1,204"), (3e-5, "3e-5"),
     (999.7, "1,000")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_what_is_not_finite_or_not_positive_on_a_log_axis_is_dropped():
    points = [(0, 1.0), (1, math.nan), (2, -1.0), (3, 10.0)]
    assert len(line_chart("a", [Line("a", points)]).tips) == 3
    assert len(line_chart("a", [Line("a", points)], log_y=True).tips) == 2
    assert line_chart("a", [Line("a", [(1, math.nan)])]) is None
    assert line_chart("a", []) is None


def test_a_chart_stays_in_its_box_and_says_its_values():
    rng = np.random.default_rng(0)
    points = [(float(i), float(v)) for i, v in enumerate(rng.normal(size=1000))]
    chart = line_chart("Loss", [Line("loss", points)])
    left, top, right, bottom = chart.box
    placed = np.array(re.findall(r"([\d.]+),([\d.]+)", chart.lines[0].path), float)
    assert len(placed) < 200
    assert (placed >= [left, top]).all()
    assert (placed <= [right, bottom]).all()
    assert placed[0, 0] == left
    assert placed[-1, 0] == right
    assert chart.latest == number(points[-1][1])
    assert chart.latest in chart.summary
    assert chart.tips[0][2] == f"loss {number(points[0][1])}, epoch 0"


def test_intervals_are_drawn_and_told():
    lines = [Line(name, [(10, 50.0), (100, 60.0)], [(45, 55), (57, 63)]) for name in "ab"]
    chart = line_chart("Accuracy", lines, x_label="labels", log_x=True, dodge=8)
    (x, low, high), _ = chart.lines[0].bars
    assert low > high  # SVG counts downwards
    assert chart.lines[1].bars[0][0] == pytest.approx(x + 8)
    assert chart.tips[0][2] == "a 50 [45, 55], labels 10"


def test_thinning_keeps_both_ends():
    kept = thin([(float(i), 0.0) for i in range(1000)], 50)
    assert (kept[0], kept[-1], len(kept)) == (0, 999, 50)
    assert thin([(0.0, 0.0)] * 3, 50) == [0, 1, 2]


def test_no_two_classes_look_alike():
    assert len({(k % COLORS, shape_of(k)) for k in range(4 * COLORS)}) == 4 * COLORS


def test_a_cloud_has_a_mark_for_each_point():
    drawn = clouds([(1, 2), (3, 4), (5, 6)], [1, -1, 1], ["a", "b"])
    assert [(c.name, c.count, c.path.count("M")) for c in drawn] == [
        ("no label", 1, 1),
        ("b", 2, 2),
    ]

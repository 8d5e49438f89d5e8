"""Charts as coordinates in viewBox units, which the templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..words import interval, sentence_case
from .axes import Axis, labels, linear_axis, log_axis, number, tight_axis

Point = tuple[float, float]
Place = Callable[[float, float], Point]
Tip = tuple[float, float, str] | tuple[float, float, str, int]

COLORS = 8
_SHAPES = (
    "m-3.4,0a3.4,3.4 0 1,0 6.8,0a3.4,3.4 0 1,0 -6.8,0",  # circle
    "m-3,-3h6v6h-6z",  # square
    "m0,-3.9l3.9,6.8h-7.8z",  # triangle
    "m0,-4.2l4.2,4.2l-4.2,4.2l-4.2,-4.2z",  # diamond
)
_MOST_POINTS = 160


@dataclass(frozen=True)
class Tick:
    """A mark on an axis.

    Attributes:
        at: Position in viewBox units.
        label: Text beside it.
    """

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """The data of a line in a chart.

    Attributes:
        name: Name in the legend and in tooltips.
        points: (x, y) of each point, sorted by x.
        bars: Interval (low, high) of each point; may be empty.
        dots: Whether each point has a mark.
    """

    name: str
    points: Sequence[Point]
    bars: Sequence[Point] = ()
    dots: bool = False

    @property
    def heights(self) -> list[float]:
        """Values of the points and ends of the intervals."""
        return [y for _, y in self.points] + [end for bar in self.bars for end in bar]


@dataclass(frozen=True)
class Drawn:
    """A line in viewBox units: SVG paths of line and marks, one mark, and (x, low, high) bars."""

    name: str
    number: int
    path: str
    shape: str
    marks: str = ""
    bars: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    """A chart in viewBox units.

    Attributes:
        title: Title above the chart.
        summary: Description for readers who cannot see it.
        width: Width of the viewBox.
        height: Height of the viewBox.
        box: Left, top, right and bottom of the plot inside the viewBox.
        x_label: Name of the horizontal axis.
        x_ticks: Tick marks of the horizontal axis.
        y_ticks: Tick marks of the vertical axis.
        lines: Lines of the plot.
        tips: Position and text of each tooltip.
        latest: Text of the last value; "" if there are several lines.
        better: Which way is good, such as "higher is better"; "" if neither is.
    """

    title: str
    summary: str
    width: int
    height: int
    box: tuple[int, int, int, int]
    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Drawn]
    tips: list[Tip]
    latest: str = ""
    better: str = ""


def thin(points: Sequence[Point], most: int = _MOST_POINTS) -> list[int]:
    """Returns the indices of at most `most` evenly spread points, including both ends."""
    n = len(points)
    return (
        sorted({round(i * (n - 1) / max(1, most - 1)) for i in range(most)})
        if n > most
        else list(range(n))
    )


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str = "epoch",
    zero: bool = False,
    log_x: bool = False,
    log_y: bool = False,
    size: tuple[int, int] = (340, 190),
    box: tuple[int, int, int, int] = (46, 10, 328, 158),
    x_marks: Sequence[tuple[float, str]] = (),
    show: Callable[[float], str] = number,
    dodge: float = 0,
    better: str = "",
) -> Chart | None:
    """Lays out a line chart; None if no point is finite.

    Args:
        title: Title above the chart.
        lines: Points that are not finite, or not positive on a logarithmic axis, are dropped.
        x_label: Name of the horizontal axis.
        zero: Include 0 in the vertical axis.
        log_x: Make the horizontal axis logarithmic.
        log_y: Make the vertical axis logarithmic.
        size: Width and height of the viewBox.
        box: Left, top, right and bottom of the plot.
        x_marks: Values and texts of the tick marks of the horizontal axis; round values if empty.
        show: Writes a value in tooltips.
        dodge: Horizontal distance between lines in viewBox units, so that intervals do not hide
            each other.
        better: Which way is good, such as "higher is better"; "" if neither is.
    """
    lines = [line for line in (_usable(line, log_x, log_y) for line in lines) if line.points]
    if not lines:
        return None
    xs = [x for line in lines for x, _ in line.points] + [x for x, _ in x_marks]
    ys = [y for line in lines for y in line.heights]
    x_axis = log_axis(xs) if log_x else tight_axis(xs)
    y_axis = log_axis(ys) if log_y else linear_axis(ys, zero, 5 if size[1] < 250 else 8)
    place = _placer(x_axis, y_axis, box)
    places = [_beside(place, dodge * (k - (len(lines) - 1) / 2)) for k in range(len(lines))]
    marks = x_marks or [*zip(x_axis.values, labels(x_axis), strict=True)]
    heights = zip(y_axis.values, labels(y_axis), strict=True)
    return Chart(
        title=title,
        summary=_summary(f"{title} over {x_label}", lines, show, better),
        width=size[0],
        height=size[1],
        box=box,
        x_label=x_label,
        x_ticks=[Tick(place(x, y_axis.low)[0], text) for x, text in marks],
        y_ticks=[Tick(place(x_axis.low, y)[1], text) for y, text in heights],
        lines=[_drawn(line, k, places[k]) for k, line in enumerate(lines)],
        tips=[t for k, line in enumerate(lines) for t in _tips(line, places[k], x_label, show)],
        latest=show(lines[0].points[-1][1]) if len(lines) == 1 else "",
        better=better,
    )


def _summary(title: str, lines: Sequence[Line], show: Callable[[float], str], better: str) -> str:
    last = [f"{line.name}: {show(line.points[-1][1])}" for line in lines]
    sentences = [title, f"At the end {'; '.join(last)}", sentence_case(better)]
    return " ".join(f"{sentence}." for sentence in sentences if sentence)


def _placer(x_axis: Axis, y_axis: Axis, box: tuple[int, int, int, int]) -> Place:
    left, top, right, bottom = box
    return lambda x, y: (
        round(left + x_axis.share(x) * (right - left), 1),
        round(bottom - y_axis.share(y) * (bottom - top), 1),
    )


def _beside(place: Place, units: float) -> Place:
    return lambda x, y: (round(place(x, y)[0] + units, 1), place(x, y)[1])


def _usable(line: Line, log_x: bool, log_y: bool) -> Line:
    def fits(point: Point) -> bool:
        x, y = point
        fine = math.isfinite(x) and math.isfinite(y)
        return fine and (x > 0 or not log_x) and (y > 0 or not log_y)

    kept = [i for i in thin(line.points) if fits(line.points[i])]
    bars = [line.bars[i] for i in kept] if line.bars else []
    return Line(line.name, [line.points[i] for i in kept], bars, line.dots)


def _drawn(line: Line, number: int, place: Place) -> Drawn:
    placed = [place(x, y) for x, y in line.points]
    dots = placed if line.dots or len(placed) == 1 else []
    shape = shape_of(number)
    bars = [
        (place(x, low)[0], place(x, low)[1], place(x, high)[1])
        for (x, _), (low, high) in zip(line.points, line.bars, strict=bool(line.bars))
    ]
    path = "M" + "L".join(f"{x:g},{y:g}" for x, y in placed)
    marks = "".join(f"M{x:g},{y:g}{shape}" for x, y in dots)
    return Drawn(line.name, number % COLORS, path, shape, marks, bars)


def _tips(line: Line, place: Place, x_label: str, show: Callable[[float], str]) -> list[Tip]:
    tips: list[Tip] = []
    for i, (x, y) in enumerate(line.points):
        text = f"{line.name} {show(y)}"
        if line.bars:
            text += f" {interval(*line.bars[i], show)}"
        tips.append((*place(x, y), f"{text}, {x_label} {number(x)}"))
    return tips


def shape_of(number: int) -> str:
    """Returns the mark of series `number` as a relative SVG path; no two share color and mark."""
    return _SHAPES[(number + number // COLORS) % len(_SHAPES)]


@dataclass(frozen=True)
class Cloud:
    """Points of one class in a map.

    Attributes:
        name: Name of the class.
        number: Number of its color; -1 for no class.
        path: All marks as one SVG path.
        shape: SVG path of one mark, for the legend.
        count: Number of points.
    """

    name: str
    number: int
    path: str
    shape: str
    count: int


def clouds(points: Sequence[Point], classes: Sequence[int], names: Sequence[str]) -> list[Cloud]:
    """Draws a scatter plot with one path per class.

    Args:
        points: (x, y) in viewBox units.
        classes: Class number of each point, -1 for none.
        names: Names of the classes.
    """
    drawn = []
    for k in sorted(set(classes)):
        shape = shape_of(max(k, 0))
        members = [p for p, c in zip(points, classes, strict=True) if c == k]
        path = "".join(f"M{x:g},{y:g}{shape}" for x, y in members)
        name = names[k] if k >= 0 else "no label"
        drawn.append(Cloud(name, k % COLORS if k >= 0 else -1, path, shape, len(members)))
    return drawn

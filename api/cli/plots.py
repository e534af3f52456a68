"""The demonstration's picture: accuracy against output tokens, in the terminal and as a PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, MissingExtra

if TYPE_CHECKING:
    from rich.text import Text

    from ...domain import Json

ROUTES = ("small", "budgeted", "full")
MIN_WIDTH, MIN_HEIGHT = 40, 8
X_TITLE, Y_TITLE = "output tokens per query", "accuracy"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the picture: x in tokens, y a share in [0, 1]; `style` is a colour that rich and matplotlib know."""

    label: str
    symbol: str
    x: float
    y: float
    style: str


def demo_marks(result: Json) -> tuple[Mark, ...]:
    """The contestants of a demonstration (jobs/demo.py): fixed routes, cold, retrained, oracle."""

    def mark(label: str, symbol: str, figure: Json, style: str) -> Mark:
        return Mark(label, symbol, float(figure["output_tokens"]), float(figure["accuracy"]), style)

    fixed = [mark(name, "o", result["routes"][name], "blue") for name in ROUTES if name in result["routes"]]
    others = [("cold", "x", "red"), ("retrained", "#", "green"), ("oracle", "*", "magenta")]
    return (*fixed, *(mark(name, symbol, result[name], style) for name, symbol, style in others))


def mixing_line(marks: Sequence[Mark]) -> tuple[tuple[float, float], ...]:
    """The best that random mixing of these fixed routes can do: the upper concave hull of their points, by tokens.

    A query is sent to one of two routes by a coin; the mean of both axes then lies on the line between them."""
    highest = {mark.x: max(other.y for other in marks if other.x == mark.x) for mark in marks}
    hull: list[tuple[float, float]] = []
    for point in sorted(highest.items()):
        while len(hull) >= 2 and _above(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    best = max(range(len(hull)), key=lambda i: hull[i][1], default=0)
    return tuple(hull[: best + 1])


def _above(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """How far b lies above the line from a to c (as twice the triangle's area)."""
    return (b[1] - a[1]) * (c[0] - a[0]) - (c[1] - a[1]) * (b[0] - a[0])


class Canvas:
    """Plain characters on a plane of x from 0 and y in [low, 1]."""

    def __init__(self, width: int, height: int, x_max: float, low: float) -> None:
        self.width, self.height, self.x_max, self.low = max(width, MIN_WIDTH), max(height, MIN_HEIGHT), x_max, low
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Column (from the left) and row (from the top) of a point; points outside lie on the edge."""
        column = round(x / self.x_max * (self.width - 1))
        row = round((1 - y) / (1 - self.low) * (self.height - 1))
        return min(max(column, 0), self.width - 1), min(max(row, 0), self.height - 1)

    def line(self, points: Sequence[tuple[float, float]], symbol: str, style: str) -> None:
        """Draw from point to point."""
        for (x0, y0), (x1, y1) in pairwise(points):
            steps = 2 * self.width
            for i in range(steps + 1):
                at = self.cell(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps)
                self.cells[at] = (symbol, style)

    def marks(self, marks: Sequence[Mark]) -> None:
        """Draw the points with their labels; those that fall together share one, the first one's symbol."""
        at: dict[tuple[int, int], list[Mark]] = {}
        for mark in marks:
            at.setdefault(self.cell(mark.x, mark.y), []).append(mark)
        taken = set(at)
        for (column, row), here in at.items():
            self.cells[column, row] = (here[0].symbol, f"bold {here[0].style}")
        for (column, row), here in at.items():
            label = ", ".join(mark.label for mark in here)
            place = self._place(column, row, len(label), taken)
            if place is None:
                continue
            start, on = place
            for i, character in enumerate(f" {label} ", start=-1):
                if (start + i, on) not in taken:  # the blank beside a label never covers a mark
                    self.cells[start + i, on] = (character, here[0].style)
            taken.update((start + i, on) for i in range(len(label)))

    def _place(self, column: int, row: int, length: int, taken: set[tuple[int, int]]) -> tuple[int, int] | None:
        """Where a label fits without covering a mark or a label: right, left, below, above; None: nowhere."""
        for on in (row, row + 1, row - 1):
            for start in (column + 2, column - 1 - length):
                cells = {(start + i, on) for i in range(length)}
                inside = start >= 0 and start + length <= self.width and 0 <= on < self.height
                if inside and not cells & taken:
                    return start, on
        return None

    def text(self) -> Text:
        """The picture with its axes."""
        from rich.text import Text

        drawn = Text()
        drawn.append(f"{Y_TITLE}\n", "dim")
        for row in range(self.height):
            tick = self._y_tick(row)
            drawn.append(f"{tick:>6} ", "dim").append("┤" if tick else "│", "dim")
            for column in range(self.width):
                character, style = self.cells.get((column, row), (" ", ""))
                drawn.append(character, style)
            drawn.append("\n")
        drawn.append(" " * 7 + "└" + "─" * self.width + "\n", "dim")
        drawn.append(" " * 8 + self._x_ticks() + "\n", "dim")
        drawn.append(" " * 8 + X_TITLE.center(self.width).rstrip(), "dim")
        return drawn

    def _y_tick(self, row: int) -> str:
        every = max(1, (self.height - 1) // 4)
        if row % every:
            return ""
        return f"{100 - 100 * (1 - self.low) * row / (self.height - 1):.3g}%"

    def _x_ticks(self) -> str:
        ticks = [" "] * (self.width + 8)
        for i in range(5):
            text = f"{self.x_max * i / 4:g}"
            start = max(0, round(i / 4 * (self.width - 1)) - len(text) // 2)
            ticks[start : start + len(text)] = text
        return "".join(ticks).rstrip()


def demo_picture(result: Json, *, width: int = 64, height: int = 17) -> Text:
    """The demonstration's result as a picture of characters, `width` by `height` without the axes."""
    marks = demo_marks(result)
    line = mixing_line(marks[: len(result["routes"])])
    canvas = Canvas(width, height, nice_above(max(mark.x for mark in marks)), nice_below(min(m.y for m in marks)))
    canvas.line(line, "·", "dim")
    canvas.marks(marks)
    return canvas.text()


def nice_above(value: float) -> float:
    """The next round number from which four equal steps are round too: 4, 8, 20, 40, 80, 100, 200, ..."""
    if not (math.isfinite(value) and value > 0):
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1.0, 2.0, 4.0, 6.0, 8.0, 10.0) if value <= step * unit * (1 + 1e-9))


def nice_below(share: float) -> float:
    """The next tenth below a share, and below 1."""
    return min(0.9, max(0.0, math.floor(share * 10 - 1e-9) / 10))


def save_demo_png(result: Json, path: Path) -> None:
    """The same picture as a PNG. Raises MissingExtra without matplotlib, DataError where the file cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("a picture as PNG", "data") from None
    marks = demo_marks(result)
    line = mixing_line(marks[: len(result["routes"])])
    # Figure itself, not pyplot: no window system is asked for, no state is left. Its stubs are partly untyped.
    figure: Any = Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([x for x, _ in line], [100 * y for _, y in line], "--", color="0.6", label="random mixing", zorder=1)
    shapes = {"o": "o", "x": "X", "#": "s", "*": "*"}
    for mark in marks:
        axes.scatter([mark.x], [100 * mark.y], marker=shapes[mark.symbol], color=mark.style, s=70, zorder=2)
        above = mark.label in ("cold", "oracle")  # cold often is the dearest fixed route: labels must not cover
        axes.annotate(
            mark.label, (mark.x, 100 * mark.y), xytext=(0, 8 if above else -15), textcoords="offset points", ha="center"
        )
    axes.set(xlabel=X_TITLE, ylabel=f"{Y_TITLE}, %", title=_title(result))
    axes.margins(0.12)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=144, format="png")
    except (OSError, ValueError) as error:
        raise DataError(f"the picture cannot be written: {error}", file=str(path)) from None


def _title(result: Json) -> str:
    return f"{result['n_test']} chains of digits, learnt from {result['n_train']}"

"""The demonstration's picture."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman.api.cli.plots import Mark, demo_picture, mixing_line, nice_above, nice_below, save_demo_png
from pointsman.errors import DataError, MissingExtra

quick = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
shares = st.floats(0, 1)
tokens = st.floats(0, 1e5)


def figure(accuracy: float, output_tokens: float) -> dict[str, Any]:
    """What the demonstration says of one contestant."""
    return {"accuracy": accuracy, "output_tokens": output_tokens, "cost": output_tokens, "share": {}}


RESULT: dict[str, Any] = {
    "routes": {"small": figure(0.42, 2), "budgeted": figure(0.66, 19), "full": figure(0.99, 61)},
    "cold": figure(0.99, 61),
    "retrained": figure(0.985, 30),
    "oracle": figure(1.0, 22),
    "n_train": 300,
    "n_test": 600,
}


def marks(*points: tuple[float, float]) -> list[Mark]:
    """Marks at these points."""
    return [Mark(str(i), "o", x, y, "blue") for i, (x, y) in enumerate(points)]


def test_the_picture_shows_every_contestant_once_in_its_place() -> None:
    """All six are named; the retrained router stands right of the oracle and left of full, higher than small."""
    lines = demo_picture(RESULT).plain.splitlines()
    row = {name: next(i for i, line in enumerate(lines) if name in line) for name in ("oracle", "small", "retrained")}
    at = {s: next(line.index(s) for line in lines if s in line) for s in ("*", "#")}
    assert at["*"] < at["#"] < next(line.index("full, cold") for line in lines if "full, cold" in line)
    assert row["oracle"] <= row["retrained"] < row["small"]
    assert sum("budgeted" in line for line in lines) == 1


def test_the_picture_keeps_to_its_width() -> None:
    """No line is wider than the canvas and its axis, so a terminal of 80 columns shows it whole."""
    assert max(len(line) for line in demo_picture(RESULT, width=64).plain.splitlines()) <= 80


@quick
@given(
    st.lists(st.tuples(tokens, shares), min_size=3, max_size=3), st.tuples(tokens, shares), st.tuples(tokens, shares)
)
def test_any_result_can_be_drawn(points: list[tuple[float, float]], learnt: Any, oracle: Any) -> None:
    """Whatever a demonstration comes to, nothing right or no tokens at all, there is a picture."""
    routes = {name: figure(y, x) for name, (x, y) in zip(("small", "budgeted", "full"), points, strict=True)}
    drawn = demo_picture(
        {
            **RESULT,
            "routes": routes,
            "cold": routes["full"],
            "retrained": figure(learnt[1], learnt[0]),
            "oracle": figure(oracle[1], oracle[0]),
        }
    ).plain
    assert "o" in drawn
    assert "output tokens per query" in drawn


@quick
@given(st.lists(st.tuples(tokens, shares), min_size=1, max_size=6))
def test_no_fixed_route_lies_above_the_mixing_line(points: list[tuple[float, float]]) -> None:
    """The line is what random mixing can reach: it rises, and every route is on it, below it, or right of its end."""
    line = mixing_line(marks(*points))
    assert list(line) == sorted(line)
    assert [y for _, y in line] == sorted(y for _, y in line)
    for x, y in points:
        for (x0, y0), (x1, y1) in pairwise(line):
            if x0 < x < x1:
                assert y <= y0 + (y1 - y0) * (x - x0) / (x1 - x0) + 1e-9
        assert y <= line[-1][1]


@quick
@given(st.floats(1e-6, 1e9))
def test_round_numbers_bound_what_they_round(value: float) -> None:
    """The axis reaches beyond the value, and no further than ten times."""
    assert value <= nice_above(value) * (1 + 1e-9)
    assert nice_above(value) <= 10 * value


def test_the_share_axis_begins_below_the_lowest() -> None:
    """A tenth below, never below 0, and never at 1."""
    assert [nice_below(s) for s in (0.42, 0.4, 0.0, 1.0)] == [0.4, 0.3, 0.0, 0.9]


def test_the_png_is_a_png(tmp_path: Path) -> None:
    """The file begins as a PNG does; its folder is made."""
    file = tmp_path / "new" / "demo.png"
    save_demo_png(RESULT, file)
    assert file.read_bytes().startswith(b"\x89PNG\r\n")


def test_a_png_that_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    """A folder in place of the file is a DataError with the path."""
    with pytest.raises(DataError, match=str(tmp_path)):
        save_demo_png(RESULT, tmp_path)


def test_without_matplotlib_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A base install has no matplotlib: the error says how to get it."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[data\]'"):
        save_demo_png(RESULT, tmp_path / "demo.png")

"""The cost-quality plane of an evaluation as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, MissingExtra
from .plots import Mark, mixing_line

if TYPE_CHECKING:
    from ...domain import Json

_STYLES = {"pointsman": "tab:green", "text_only": "tab:orange", "knn": "tab:brown", "agreement": "tab:purple"}


def save_plane(figures: Json, path: Path) -> None:
    """Fixed routes and budgets, mixing as the figures have it (the plain agreement rule and no answer among what is
    mixed), every policy's curve with its chosen point, the oracle.

    Where calls are the cost, the axis is the share of dear calls. Raises MissingExtra without matplotlib, DataError
    where the file cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("a picture as PNG", "data") from None
    last = list(figures["routes"])[-1]
    money = figures["routes"][last]["cost"] is not None
    figure: Any = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    marks = [_mark(name, {**r, "dear_share": name == last}, money) for name, r in figures["routes"].items()]
    _draw_mixing(axes, figures, money)
    for mark in marks:
        axes.scatter([mark.x], [100 * mark.y], marker="o", color="tab:blue", s=45, zorder=3)
        axes.annotate(mark.label, (mark.x, 100 * mark.y), xytext=(7, -3), textcoords="offset points", fontsize=8)
    for name, policy in figures["policies"].items():
        if policy is not None:
            _draw(axes, name, policy, money)
    oracle = figures["oracle"]
    if money:
        axes.scatter([oracle["cost"]], [100 * oracle["accuracy"]], marker="*", color="tab:pink", s=110, label="oracle")
    shown = [m.y for m in marks] + [
        p["accuracy"] for each in figures["policies"].values() if each for p in each["curve"]
    ]
    axes.set_ylim(bottom=100 * min(shown) - 3)  # no answer at no cost, where mixing begins, lies far below
    title = f"cost a query ({figures['price']})" if money else f"share of queries for which {last} was bought"
    axes.set(
        xlabel=title,
        ylabel="accuracy, %",
        title=f"{figures['verdict']['verdict']}: {figures['n_queries']:,} questions",
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=144, format="png")
    except (OSError, ValueError) as error:
        raise DataError(f"the picture cannot be written: {error}", file=str(path)) from None


def no_learning(figures: Json, money: bool) -> tuple[Mark, ...]:
    """What mixing mixes: the fixed routes, the plain agreement rules, no answer."""
    return tuple(_mark(point["name"], point, money) for point in figures["plain"])


def _draw_mixing(axes: Any, figures: Json, money: bool) -> None:
    plain = no_learning(figures, money)
    line = mixing_line(plain)
    x, y = [x for x, _ in line], [100 * y for _, y in line]
    axes.plot(x, y, "--", color="0.6", label="mixing, no learning", zorder=1)
    rules = [mark for mark in plain if mark.label not in figures["routes"] and mark.y > 0]
    axes.scatter([m.x for m in rules], [100 * m.y for m in rules], marker="s", color="0.6", s=30, zorder=3)


def _mark(name: str, point: Json, money: bool) -> Mark:
    return Mark(name, "o", float(point["cost" if money else "dear_share"]), float(point["accuracy"]), "blue")


def _draw(axes: Any, name: str, policy: Json, money: bool) -> None:
    style = _STYLES.get(name, "0.4")
    key = "cost" if money else "dear_share"
    points = sorted((point[key], 100 * point["accuracy"]) for point in policy["curve"])
    axes.plot([x for x, _ in points], [y for _, y in points], ".-", color=style, lw=1, ms=4, label=name, zorder=2)
    chosen = policy["chosen"]
    axes.scatter([chosen[key]], [100 * chosen["accuracy"]], marker="D", color=style, edgecolor="black", s=45, zorder=4)

"""Training reports and the demonstration's result as tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ...domain import Json

GROUPS_SHOWN = 12


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: Collection[int] = (0,)) -> Table:
    """A table; `words` are the columns (from 0) that hold words, the others hold numbers and are set flush right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i in words else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def training_report(report: Json) -> Iterator[RenderableType]:
    """A training report (jobs/retrain.py): the data, each route, held-out groups, the policy beside its rivals."""
    groups = report["n_groups"]
    yield f"{report['n_queries']:,} queries, {report['n_complete']:,} with an outcome on every route, {groups:,} groups"
    yield _routes(report["routes"])
    if held_out := report["held_out"]:
        yield _groups(held_out)
        yield _sentence(held_out, report["objective"])
        yield _rivals(held_out)
    else:
        yield (
            "No query has an outcome on every route, so the policy cannot be replayed beside fixed routes; "
            "estimates stand in where the comparison below needs them."
        )
    for note in report["notes"]:
        yield f"Note: {note}."


def _routes(routes: Mapping[str, Any]) -> Table:
    rows = [
        (
            name,
            f"{route['model']}, {route['mode']}{budget_words(route['thinking_budget'])}",
            f"{route['labelled']:,}",
            share(route["accuracy"]),
            number(route["output_tokens"]),
            price_words(route["price"]),
            figure(route["calibration"].get("ece")),
            figure(route["calibration"].get("brier")),
        )
        for name, route in routes.items()
    ]
    columns = ("route", "what", "labelled", "accuracy", "output tokens", "price in/out", "ECE", "Brier")
    return table("By route (ECE and Brier of held-out estimates)", columns, rows, words=(0, 1))


def _groups(held_out: Json) -> Table:
    rows = [
        (
            str(group["group"]),
            f"{group['n']:,}",
            share(group["accuracy"]),
            share(group["best_fixed_accuracy"]),
            money(group["cost"]),
            money(group["best_fixed_cost"]),
        )
        for group in held_out["by_group"][:GROUPS_SHOWN]
    ]
    best = held_out["best_fixed"]
    columns = ("held-out group", "queries", "accuracy", f"{best}'s", "cost a query", f"{best}'s")
    more = f", the first {GROUPS_SHOWN}" if len(held_out["by_group"]) > GROUPS_SHOWN else ""
    return table(f"Groups that the estimator never saw, beside the best fixed route ({best}){more}", columns, rows)


def _sentence(held_out: Json, objective: Json) -> str:
    low, high = held_out["accuracy_gain_ci95"]
    against = f"{_saving(held_out['saved'])} {held_out['best_fixed']}"
    return (
        f"At {objective['kind']} {objective['value']:g} the policy {against}; "
        f"accuracy {100 * held_out['accuracy_gain']:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f})."
    )


def _rivals(held_out: Json) -> Table:
    entries = [("policy", held_out["policy"])]
    entries += [(f"always {name}", figures) for name, figures in held_out["fixed"].items()]
    entries += [("random mix, same cost", held_out["random_mix"]), ("oracle", held_out["oracle"])]
    return contestants("The policy on those groups, and what needs no learning", entries)


def _saving(saved: float) -> str:
    return f"saves {saved:.0%} of the cost of always" if saved >= 0 else f"costs {-saved:.0%} more than always"


def contestants(title: str, entries: Sequence[tuple[str, Json | None]]) -> Table:
    """Policies side by side: accuracy, output tokens and cost a query, share of queries by route; None is left out."""
    rows = [
        (
            label,
            share(figures["accuracy"]),
            number(figures["output_tokens"]),
            money(figures["cost"]),
            shares(figures["share"]),
        )
        for label, figures in entries
        if figures is not None
    ]
    columns = ("", "accuracy", "output tokens", "cost a query", "share by route")
    return table(title, columns, rows, words=(0, 4))


def shares(by_route: Mapping[str, float]) -> str:
    """`small 40 %, full 60 %`: the routes that are used at all."""
    return ", ".join(f"{name} {value:.0%}" for name, value in by_route.items() if value >= 0.0005) or "-"


def share(value: float | None) -> str:
    """A share as per cent with one decimal; `-` where there is none."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """A count with one decimal."""
    return "-" if value is None else f"{value:,.1f}"


def figure(value: float | None) -> str:
    """A figure between 0 and 1 with three decimals."""
    return "-" if value is None else f"{value:.3f}"


def money(value: float | None) -> str:
    """An amount of currency, to three digits."""
    return "-" if value is None else f"{value:.3g}"


def price_words(price: Json) -> str:
    """Input and output price per million tokens; ~ marks assumed ones, $ those of LiteLLM's table."""
    mark = "~" if price["assumed"] else "$" if price.get("listed") else ""
    return f"{mark}{price['input']:.3g}/{price['output']:.3g}"


def budget_words(budget: int | None) -> str:
    """`, at most 512 thought tokens`; nothing for off and for no limit, which the mode tells."""
    return f", at most {budget:,} thought tokens" if budget else ""

"""What a calibration came to: the verdict, the best fixed budget of each model, the front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .reports import money, number, share, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...router.jobs.budgets import Best
    from ...router.jobs.calibrate import Calibrated, Ran
    from ...router.jobs.probe_worth import Told


def show(ran: Ran, made: Calibrated, seconds: float, words: str) -> Iterator[RenderableType]:
    """The report, part by part. words: the options of the configuration, for a command that is suggested."""
    minutes, rest = divmod(round(seconds), 60)
    yield f"{len(ran.questions):,} questions, {len(ran.rows):,} runs, {minutes}:{rest:02} min"
    for name, error in ran.silent.items():
        yield f"The route {name} failed always, and is left out: {_plain(error)}"
    if ran.missing:
        yield f"{ran.missing:,} runs failed; --resume tries them again."
    for note in made.notes:
        yield _plain(note)
    if made.figures is not None:
        yield _front(made)
        if made.best:
            yield _best(made.best)
        for told in made.told:
            yield _evidence(told)
        verdict = made.figures["verdict"]
        yield f"\n[bold]{verdict['verdict'].capitalize()}.[/bold] {_plain(verdict['sentence'])}"
    if made.released is not None:
        yield _plain(made.released.retrained.comparison.sentence)
        serves = "serves from now on" if made.released.promoted else "is registered; what serves goes on serving"
        yield f"Artifact {made.released.retrained.artifact.id} {serves}."
    yield f"Table: {_plain(str(made.table))}"
    if made.routes is not None:
        price = made.figures["price"] if made.figures else "work"
        yield f"More: pointsman evaluate --constellation {_plain(str(made.routes) + words)} --price {price}"


def _front(made: Calibrated) -> Any:
    assert made.figures is not None
    routes = made.figures["routes"]
    rows = [
        (
            name,
            share(routes[name]["accuracy"]),
            number(routes[name]["output_tokens"]),
            money(routes[name]["cost"]),
            f"dominated by {over}" if (over := made.behind[name]) else "",
        )
        for name in sorted(routes, key=lambda name: (routes[name]["cost"], -routes[name]["accuracy"]))
    ]
    title = f"One route or budget for everything ({made.figures['n_queries']:,} questions)"
    return table(title, ("route", "accuracy", "output tokens", "cost of a million", ""), rows, words=(0, 4))


def _best(best: tuple[Best, ...]) -> Any:
    rows = [
        (
            b.model,
            budget_words(b.budget),
            b.route,
            share(b.accuracy),
            number(b.output_tokens),
            money(b.cost),
            f"{share(b.top_accuracy)} ({b.top})",
        )
        for b in best
    ]
    columns = ("model", "budget", "route", "accuracy", "output tokens", "cost of a million", "most accurate")
    title = "The best fixed budget of each model: the cheapest within half a standard error of the best"
    return table(title, columns, rows, words=(0, 1, 2, 6))


def _evidence(told: Told) -> Any:
    rows = [("the answer itself", "", "", share(told.cost))]
    rows += [
        (
            w.evidence,
            f"{w.auroc:.2f} ({w.ci95[0]:.2f} to {w.ci95[1]:.2f})",
            "no gap" if w.apgr is None else f"{w.apgr:.2f}",
            share(w.cost),
        )
        for w in told.worth
    ]
    title = (
        f"What tells whether {told.route} is right ({share(told.accuracy)}; {told.dear} {share(told.dear_accuracy)})"
    )
    columns = ("evidence", "AUROC (95 %)", "APGR", f"cost, of {told.dear}'s")
    return table(title, columns, rows, words=(0,))


def budget_words(budget: int | None) -> str:
    """`off`, `no limit`, or so many tokens."""
    return {0: "off", None: "no limit"}.get(budget) or f"{budget:,} tokens"


def _plain(text: str) -> str:
    """The text with what rich would read as markup escaped."""
    from rich.markup import escape

    return escape(text)

"""An evaluation's figures as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .reports import figure, money, number, share, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...domain import Json

LINES_SHOWN = 10


def show(figures: Json) -> Iterator[RenderableType]:
    """The report, part by part; the verdict last."""
    groups = len(figures["groups"])
    removed = f", {figures['n_removed']} that stand in the training table too left out" if figures["n_removed"] else ""
    questions = f"{figures['n_queries']:,} questions, {groups:,} folds{removed}"
    streamed = "; the best fixed route's and the last route's answers stream" if figures["streamed"] else ""
    yield f"{_as_is(figures['constellation'])}: {questions}; price: {figures['price']}{streamed}"
    yield _routes(figures)
    yield _policies(figures)
    if any(policy and policy["at_loss"]["1.0"] for policy in figures["policies"].values()):
        yield _losses(figures)
    if figures["probes"]:
        yield _probes(figures)
    yield _calibration(figures)
    for name, control in figures["controls"].items():
        if control is not None:
            found = f"APGR {control['mean']:.3f} ± {control['sd']:.3f}, p {control['p']:.4f}"
            yield f"Control {name.replace('_', ' ')}: {found}"
    for note in figures["notes"]:
        yield f"Note: {_as_is(note)}"
    verdict = figures["verdict"]
    yield f"\n[bold]{verdict['verdict'].capitalize()}.[/bold] {_as_is(verdict['sentence'])}"


def _routes(figures: Json) -> Any:
    rows = [
        (_as_is(name), share(r["accuracy"]), number(r["input_tokens"]), number(r["output_tokens"]), money(r["cost"]))
        for name, r in figures["routes"].items()
    ]
    oracle = figures["oracle"]
    rows.append(("oracle", share(oracle["accuracy"]), "-", "-", money(oracle["cost"])))
    if repeatable := figures["repeatable_oracle"]:
        rows.append(("oracle, repeatable", share(repeatable["accuracy"]), "-", "-", money(repeatable["cost"])))
    best = _as_is(figures["best_fixed"]["name"])
    columns = ("route", "accuracy", "input tokens", "output tokens", "cost")
    return table(f"One route for everything, a query (best: {best})", columns, rows)


def _policies(figures: Json) -> Any:
    rows: list[tuple[str, ...]] = []
    for name, policy in figures["policies"].items():
        if policy is None:
            continue
        chosen = policy["chosen"]
        rows.append(
            (
                name,
                figure(policy["apgr"]),
                figure(policy["apgr_probed"]),
                share(chosen["accuracy"]),
                _points(chosen["accuracy_delta"], chosen["ci95"]),
                share(chosen["saved"]),
                share(chosen["skill"]),
                share(chosen["saved_against_last"]),
                f"{100 * chosen['promised_loss']:+.1f}",
            )
        )
    columns = (
        "policy",
        "APGR",
        "with all probes",
        "accuracy",
        "points vs best fixed",
        "saved",
        "skill",
        "saved vs last",
        "promised loss",
    )
    goal = figures["objective"]
    return table(f"At the point chosen in training for {goal['kind']} {goal['value']:g}", columns, rows)


def _losses(figures: Json) -> Any:
    rows: list[tuple[str, ...]] = []
    for name, policy in figures["policies"].items():
        if policy is None:
            continue
        cells = [name]
        for at in policy["at_loss"].values():
            interval = f" ({100 * at['ci95'][0]:+.0f} to {100 * at['ci95'][1]:+.0f})" if at["ci95"] else ""
            cells += [share(at["saved"]), share(at["mixing"]), f"{100 * at['skill']:+.1f}{interval}"]
        rows.append(tuple(cells))
    heads = [
        f"{what} at {loss}"
        for loss in figures["policies"]["pointsman"]["at_loss"]
        for what in ("saved", "mixing", "skill")
    ]
    return table("Saved at a loss of so many points, beside mixing fixed routes", ("policy", *heads), rows)


def _probes(figures: Json) -> Any:
    rows = [(_as_is(name), share(p["bought_share"]), money(p["cost"])) for name, p in figures["probes"].items()]
    return table("Probes bought at the chosen point", ("probe", "of questions", "cost a query"), rows)


def _calibration(figures: Json) -> Any:
    ranked = sorted(figures["calibration"].items(), key=lambda entry: -entry[1]["n"])
    rows = [(_as_is(state), f"{c['n']:,}", figure(c["ece"]), figure(c["brier"])) for state, c in ranked[:LINES_SHOWN]]
    more = f", the {LINES_SHOWN} commonest" if len(ranked) > LINES_SHOWN else ""
    return table(f"Calibration by what was bought = whose answer{more}", ("state", "questions", "ECE", "Brier"), rows)


def _as_is(name: str) -> str:
    """A text in which brackets are no markup."""
    from rich.markup import escape

    return escape(name)


def _points(value: float, interval: Any) -> str:
    """A difference of shares in points, with its interval where there is one."""
    between = f" ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})" if interval else ""
    return f"{100 * value:+.1f}{between}"

"""`pointsman route`, `ask`, `feedback`: one query decided, one answered, one decision judged."""

from __future__ import annotations

import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import BadRequest, StoreError
from .options import Where, located
from .reports import money, number, share, table
from .screen import err, out

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ...domain import Decision
    from ...router import Router
    from ...router.live import Answered
    from ...store import Store

ModelOption = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME", help="auto, auto:small, auto:0.9, a route, a model, name(512).")
]


@located
def route(
    where: Where,
    text: Annotated[str, typer.Argument(help="The query.")],
    model: ModelOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Say which route should answer, and why. Runs no model."""
    from ...router import Router

    with Router(where.load()[0]) as router:
        router.start()
        decision = router.route(text, model=model)
    if as_json:
        import orjson

        from ..decisions import decision_body

        typer.echo(orjson.dumps(decision_body(decision), option=orjson.OPT_INDENT_2).decode())
        return
    screen = out()
    screen.print(f"[bold]{decision.route.name}[/bold]", end="")
    screen.print(f" ({route_words(decision)}): {decision.reason}", markup=False, soft_wrap=True)
    if decision.estimates:
        screen.print(estimates_table(decision))
    screen.print(_small_print(decision), style="dim", markup=False, soft_wrap=True)


def route_words(decision: Decision) -> str:
    """The chosen route in words: model, mode, budget."""
    chosen = decision.route
    budget = {0: "no thought", None: "its own length of thought"}.get(chosen.thinking_budget)
    return f"{chosen.model}, {chosen.mode}, {budget or f'at most {chosen.thinking_budget} thought tokens'}"


def estimates_table(decision: Decision) -> Table:
    """What each route is expected to do, the chosen one marked."""
    rows = [
        (
            f"{'>' if name == decision.route.name else ' '} {name}",
            f"{share(e.p_correct)} ± {100 * e.p_correct_se:.1f}" if e.measured else "not measured",
            number(e.input_tokens),
            f"{number(e.output_tokens)} ± {number(e.output_tokens_se)}",
            f"{money(e.cost)} ± {money(e.cost_se)}",
        )
        for name, e in decision.estimates.items()
    ]
    return table("", ("route", "likely right", "input tokens", "output tokens", "cost"), rows)


def _small_print(decision: Decision) -> str:
    objective = f"{decision.objective.kind.value} {decision.objective.value:g}"
    parts = [
        f"objective {objective}",
        f"policy {decision.policy}",
        f"artifact {decision.artifact or 'none'}",
        f"decided in {decision.overhead_ms:.1f} ms",
        decision.id,
    ]
    if decision.observed is not None:
        parts.insert(0, f"observe: auto would take {decision.observed}")
    return " · ".join([*parts, *decision.warnings])


@located
def ask(
    where: Where,
    text: Annotated[str, typer.Argument(help="The query.")],
    model: ModelOption = "auto",
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Bound on thought and answer together.")] = None,
    stream: Annotated[bool, typer.Option(help="Show thought and answer as they come.")] = True,
) -> None:
    """Answer a query by the route that should. Uses a running server's engines, else starts its own.

    The answer goes to standard output; the thought, and the line on how it came about, to standard error."""
    import asyncio

    from ...router import Router

    with Router(where.load()[0]) as router:
        router.start()
        answered = asyncio.run(_ask(router, text, model, max_tokens, stream))
    _summary(answered, err())


async def _ask(router: Router, text: str, model: str, max_tokens: int | None, stream: bool) -> Answered:
    import asyncio

    from ...backends import Text, Thought
    from ...router.live import Answered
    from ...router.queries import as_query

    query, wish = as_query(text, max_tokens=max_tokens), router.wish(model)
    screen = err()
    with screen.status("starting the engines"):
        await router.open_engines(await asyncio.to_thread(router.endpoints))
    try:
        thinking, kept = False, list[str]()
        async with aclosing(router.run(query, wish)) as events:
            async for event in events:
                if isinstance(event, Thought) and stream:
                    thinking = True
                    screen.print(event.text, style="dim", end="", markup=False, soft_wrap=True)
                elif isinstance(event, Text):
                    if thinking:
                        screen.print()
                        thinking = False
                    kept.append(event.text)
                    if stream:
                        sys.stdout.write(event.text)
                        sys.stdout.flush()
                elif isinstance(event, Answered):
                    sys.stdout.write("\n" if stream else "".join(kept) + "\n")
                    sys.stdout.flush()
                    return event
    finally:
        await router.aclose()
    raise AssertionError("unreachable: a run ends with Answered")


def _summary(answered: Answered, screen: Console) -> None:
    usage, decision = answered.usage, answered.decision
    cost = sum(attempt.cost for attempt in answered.attempts)
    thought = f"{usage.thought} thought + " if usage.thought else ""
    parts = [
        decision.route.name,
        f"{usage.prompt} in, {thought}{usage.answer} out",
        f"cost {money(cost)}",
        decision.reason,
        decision.id,
        *answered.warnings,
    ]
    screen.print(" · ".join(parts), style="dim", markup=False, soft_wrap=True)


RECORD_S = 2.0
"""A running server writes a decision's record within this many seconds, if its database is well."""


def _await_record(store: Store, decision: str) -> None:
    """Wait until the record is written: feedback may come faster than a running server's queue is emptied."""
    deadline = time.monotonic() + RECORD_S
    while store.decision(decision) is None and time.monotonic() < deadline:
        time.sleep(0.05)


@located
def feedback(
    where: Where,
    decision: Annotated[str, typer.Argument(help="The decision's id, as in the header x-pointsman-decision-id.")],
    correct: Annotated[bool | None, typer.Option("--correct/--wrong", help="Whether the answer was right.")] = None,
    score: Annotated[float | None, typer.Option(metavar="X", help="How good it was, from 0 to 1.")] = None,
    verdict: Annotated[
        str | None, typer.Option(metavar="WORD", help="good_fit, underpowered, overprovisioned or failed.")
    ] = None,
    source: Annotated[str, typer.Option(metavar="WHO", help="human, user, check, judge or import.")] = "human",
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Idempotency key: the same one is taken once.")] = None,
) -> None:
    """Say how a decision turned out: what is right and what it costs is what `pointsman retrain` learns from."""
    from ...store import parse_outcome

    said = [(m, v) for m, v in (("correct", correct), ("score", score), ("verdict", verdict)) if v is not None]
    if len(said) != 1:
        raise BadRequest("Say one of --correct, --wrong, --score X and --verdict WORD.")
    [(metric, value)] = said
    stated = parse_outcome(
        decision_id=decision,
        value=float(value) if metric != "verdict" else value,
        metric=metric,
        source=source,
        idempotency_key=key,
    )
    with where.opened_store() as store:
        _await_record(store, decision)
        receipt = store.put_outcome(stated)
        if not store.flush() or store.stats().dropped:
            raise StoreError(f"The feedback could not be written: {store.stats().failing or 'the store is too slow'}.")
    typer.echo("Known already: the same feedback is taken once." if receipt.duplicate else "Taken.")

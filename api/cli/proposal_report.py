"""What `pointsman init` found and proposes, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...domain import Tier
from .reports import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...backends.ports import Silent
    from ...router.proposal import Proposal, ProposedModel, ProposedRoute


def show(proposal: Proposal, silent: Sequence[Silent]) -> Iterator[RenderableType]:
    """The report, part by part. silent: the addresses where there was nothing to use."""
    from ...router.proposal import title
    from ...router.proposal_text import lacking, seen, set_up

    yield _found(proposal)
    for one in silent:
        if one.answered:
            yield _safe(f"Left out: {one.url}: {one.problem}")
    yield _routes(proposal)
    for note in (*proposal.notes, set_up(proposal)):
        if note:
            yield _safe(note)
    for server, needs in lacking(proposal):
        if needs.flags:
            yield _safe(f"{title(server)} at {server.found.url}: start it with these flags too")
        for flag in needs.flags:
            yield f"  {_safe(flag.words)}"
            yield f"      [dim]{_safe(f'{flag.effect} ({seen(flag)})')}[/dim]"
        for remark in needs.remarks:
            yield _safe(f"{title(server)} at {server.found.url}: {remark}")


def _found(proposal: Proposal) -> Any:
    from ...router.proposal import title
    from ...router.proposal_text import thinks

    rows = [
        (
            _safe(model.server.found.url),
            _safe(title(model.server)),
            _safe(model.info.id),
            _safe(model.family or "not known"),
            "not known" if model.parameters is None else f"{model.parameters:g} B",
            "not known" if model.info.context is None else f"{model.info.context:,}",
            thinks(model),
        )
        for model in proposal.models
    ]
    columns = ("url", "engine", "model", "family", "active size", "context", "thinks")
    return table("Found", columns, rows, words=(0, 1, 2, 3, 6))


def _routes(proposal: Proposal) -> Any:
    from ...router.proposal_text import price_of

    models = {model.name: model for model in proposal.models}
    rows = [_route(route, models[route.model], *price_of(models[route.model], route)) for route in proposal.routes]
    columns = ("route", "model", "thinks at most", "tier", "input", "output")
    title = (
        f"Proposed routes, cheapest first (price of a million tokens); {_safe(proposal.safe_route)} answers at first"
    )
    return table(title, columns, rows, words=(0, 1, 2, 3))


def _route(route: ProposedRoute, model: ProposedModel, given: float, made: float) -> tuple[str, ...]:
    budget = route.values.get("thinking_budget")
    if budget is None:
        most = "without limit" if route.kind == Tier.FULL.value else "as the server has it"
    else:
        most = f"{budget:,} tokens" if budget else "off"
    return _safe(route.name), _safe(model.name), most, route.tier.value if route.tier else "", f"{given:g}", f"{made:g}"


def _safe(text: str) -> str:
    """A server's words, without what a terminal or rich would obey."""
    from rich.markup import escape

    from ...router.proposal_text import plain

    return escape(plain(text))

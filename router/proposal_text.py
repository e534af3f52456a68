"""A proposal written down: a configuration in YAML whose comments say what was found, what was assumed and what to do.

What servers say of themselves (names of models, versions) stands in comments only on one line and without control
characters, and in values only as YAML quotes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from ..backends import dialect
from ..backends.ports import Server
from ..backends.server_flags import Flag, Wanting, wanting
from ..domain import Tier
from .pricing import assumed_price
from .proposal import BUDGET, Proposal, ProposedModel, ProposedRoute, title

WIDTH = 110
"""Columns of a comment."""

ONE_MODEL = (
    "One model with several thinking budgets: on a single GPU this is the recommended set-up. Nothing is loaded twice, "
    "and all routes share its cache of prompts."
)
SEVERAL_MODELS = (
    "On a single GPU, one model with several thinking budgets is the recommended set-up: each further model takes "
    "memory from the first. A separate small model pays where it has room of its own."
)


def written(proposal: Proposal, head: str) -> str:
    """The configuration as YAML with comments. head: by whom and when it was written, a sentence."""
    lines = [*comment(head), "#"]
    for note in (*proposal.fronts, *proposal.notes, set_up(proposal)):
        lines += comment(note)
    for server, needs in lacking(proposal):
        lines += ["#", *_needs(server, needs)]
    lines += ["", "models:"]
    for model in proposal.models:
        lines += _model(model)
    lines += ["", "routes:", *comment(_prices(proposal), "  ")]
    for route in proposal.routes:
        lines += _route(route)
    lines += [
        "",
        *comment("Answers while nothing is learnt for these routes: as the server did before."),
        f"safe_route: {scalar(proposal.safe_route)}",
        *comment("Keep this share of the best route's correctness, at the lowest cost."),
        "objective: {quality: 0.98}",
    ]
    return "\n".join(lines) + "\n"


def set_up(proposal: Proposal) -> str:
    """What is to be said of one model or several on one GPU; "" where neither is of use."""
    if len(proposal.models) > 1:
        return SEVERAL_MODELS
    return ONE_MODEL if len(proposal.routes) > 1 else ""


def lacking(proposal: Proposal) -> tuple[tuple[Server, Wanting], ...]:
    """What each server lacks, by the families of its models; in their order, those that lack nothing left out."""
    found: dict[str, tuple[Server, Wanting]] = {}
    for model in proposal.models:
        server = model.server
        one = wanting(server.found.dialect, model.family, server.started)
        before = found.get(server.found.url, (server, Wanting()))[1]
        flags = (*before.flags, *(flag for flag in one.flags if flag not in before.flags))
        remarks = tuple(dict.fromkeys((*before.remarks, *one.remarks)))
        found[server.found.url] = server, Wanting(flags, remarks)
    return tuple(pair for pair in found.values() if pair[1].flags or pair[1].remarks)


def told(able: bool | None, yes: str = "yes", no: str = "no") -> str:
    """A finding in a word."""
    return "not known" if able is None else yes if able else no


def thinks(model: ProposedModel) -> str:
    """Whether a model thinks, and whether it can be told not to, in words."""
    if not model.able.thinks:
        return told(model.able.thinks)
    return "yes, " + told(model.able.switchable, "can be off", "always")


def plain(text: str) -> str:
    """The text on one line, without what a terminal or a comment would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def comment(text: str, indent: str = "") -> list[str]:
    """Lines of a comment; none for no text."""
    start = f"{indent}# "
    return textwrap.wrap(plain(text), WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def scalar(value: Any) -> str:
    """One value in YAML's flow style, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False)
    text = text.removesuffix("...\n").removesuffix("\n")
    if "\n" in text:  # escaped in double quotes it is one line
        text = yaml.safe_dump(value, default_flow_style=True, default_style='"', width=float("inf"), sort_keys=False)
    return text.removesuffix("\n")


def _model(model: ProposedModel) -> Iterator[str]:
    parts = (title(model.server), model.family and f"family {model.family}", f"thinks: {thinks(model)}")
    yield from comment("; ".join(part for part in parts if part), "  ")
    for remark in _limits(model):
        yield from comment(remark, "  ")
    yield f"  {scalar(model.name)}:"
    for name, value in model.settings.items():
        yield f"    {name}: {scalar(value)}"


def _limits(model: ProposedModel) -> Iterator[str]:
    """Why a route that one might look for is not there, and on what one that is there rests."""
    how = dialect(model.server.found.dialect)
    if how.name == "ollama":
        yield "`context: 16384` here is its num_ctx, the same for every query; left out, Ollama decides."
    if not model.able.thinks:
        return
    if model.able.switchable is False:
        yield "It always thinks: there is no route with thinking off. `mode: least` is as little as it knows."
    elif model.able.switchable is None:
        yield "Whether its thinking can be turned off is not known: there is no route with thinking off."
    if model.cuts and how.budget is None and how.render is None:
        yield (
            f"{how.title} keeps no thinking budget; it is kept in two passes where {how.title} shows its prompt, which "
            "no document promises, or where the model's `template:` is given here. `pointsman check` tells."
        )
    elif not model.cuts and not model.closes:
        yield f"No text is known that ends its thoughts, so {how.title} keeps no budget: there is no budgeted route."
    elif not model.cuts:
        yield (
            f"{how.title} keeps no thinking budget: there is no budgeted route. With the model's `template:` here, one "
            "with a `thinking_budget` is kept in two passes."
        )


def _needs(server: Server, needs: Wanting) -> Iterator[str]:
    """What a server lacks. Its flags stand on lines of their own, unbroken, to be copied."""
    if needs.flags:
        yield from comment(f"{title(server)} at {server.found.url}: start it with these flags too.")
    for flag in needs.flags:
        yield f"#     {plain(flag.words)}"
        yield from (f"#       {line[2:]}" for line in comment(f"{flag.effect} ({seen(flag)})"))
    for remark in needs.remarks:
        yield from comment(f"{title(server)} at {server.found.url}: {remark}")


def seen(flag: Flag) -> str:
    """How sure it is that a flag is missing."""
    return "seen to be missing" if flag.seen else "cannot be seen from outside"


def _route(route: ProposedRoute) -> Iterator[str]:
    yield from comment(about(route), "  ")
    yield f"  {scalar(route.name)}: {scalar(route.settings)}"


def about(route: ProposedRoute) -> str:
    """What a route does, and where its numbers are from."""
    budget = route.values.get("thinking_budget")
    if route.kind == "direct":
        return "Thinking off: answers at once."
    if route.kind == Tier.BUDGETED.value:
        why = (
            "a round number, where many models think several thousand if nothing stops them"
            if budget == BUDGET
            else "a quarter of its context"
        )
        return (
            f"Thinks at most {budget} tokens: {why}. It is a first guess, not measured on your questions; `pointsman "
            "calibrate` measures several budgets and says which to fix."
        )
    if route.kind == Tier.FULL.value:
        return "Thinks as long as it will."
    return "Does not think: its only route." if budget == 0 else "As the server has it: its only route."


def _prices(proposal: Proposal) -> str:
    if any("price" in route.values for route in proposal.routes):
        return (
            "Prices are per million tokens, in a currency of your own; here a token of output costs 1 on every route."
        )
    sizes: Sequence[str] = [f"{m.parameters:g} for {m.name}" for m in proposal.models if m.parameters is not None]
    return (
        "Prices are per million tokens, in a currency of your own. None is given, so a model's active parameters in "
        f"billions stand for it: output costs {', '.join(sizes)}, input a tenth, cached input nothing. "
        "`price: {input: …, output: …}` on every route sets your own."
    )


def price_of(model: ProposedModel, route: ProposedRoute) -> tuple[float, float]:
    """What a million tokens cost on a route: input, output."""
    if "price" in route.values or model.parameters is None:
        given = route.values["price"]
        return given["input"], given["output"]
    price = assumed_price(model.parameters)
    return price.input, price.output

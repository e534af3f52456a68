"""What `pointsman serve` says when it is ready: where it listens, which routes it has, what it knows, what to type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ... import __version__
from ...router.certificates import UNCHECKED
from .listening import url
from .reports import price_words, table

if TYPE_CHECKING:
    from rich.console import Console

    from ...domain import Json, Route
    from ...router.config import Settings
    from .options import Where


@dataclass(frozen=True, slots=True)
class Setup:
    """What serves. missing: by model, why it is not there; notes: what else must be said."""

    settings: Settings
    where: Where
    routes: Sequence[Route]
    missing: Mapping[str, str]
    notes: Sequence[str] = ()


def show(screen: Console, setup: Setup, address: tuple[str, int], ready: Json) -> None:
    """Print it. ready: what the worker's GET /ready said."""
    base = url(*address)
    screen.print(f"[bold]Pointsman {__version__}[/bold] listens on [bold]{base}[/bold] (its API: {base}/docs)\n")
    screen.print(_routes(setup.routes, ready.get("checked") or {}))
    for line in (*setup.notes, *absences(setup), *knowledge(setup, ready.get("artifact"))):
        screen.print(line, markup=False, soft_wrap=True)
    screen.print("\nTry:", style="bold")
    screen.print(f"  {first_request(base, setup)}\n", markup=False, soft_wrap=True)
    screen.print(f"Ctrl-C stops it. Store, artifacts and logs: {setup.settings.home}", style="dim", soft_wrap=True)


def _routes(routes: Sequence[Route], checked: Mapping[str, str]) -> object:
    rows = [
        (
            route.name,
            route.model,
            route.mode,
            route.tier.value if route.tier else "",
            {0: "off", None: "unlimited"}.get(route.thinking_budget) or f"{route.thinking_budget:,}",
            price_words(asdict(route.price)),
            checked.get(route.name, UNCHECKED),
        )
        for route in routes
    ]
    columns = ("route", "model", "mode", "tier", "thinking budget", "price in/out", "enforced")
    return table("", columns, rows, words=(0, 1, 2, 3, 6))


def knowledge(setup: Setup, artifact: str | None) -> list[str]:
    """Which artifact serves; or that nothing is learnt, what that means, and what to type."""
    observed = setup.settings.observe_route if setup.settings.policy == "observe" else None
    if artifact and observed:
        return [
            f"Learnt: artifact {artifact} speaks for these routes. The policy is observe: {observed} answers all that",
            'asks for "auto", and what would have been chosen is recorded with each decision.',
        ]
    if artifact:
        return [f'Learnt: artifact {artifact} speaks for these routes, so "auto" chooses from the first request on.']
    safe = setup.settings.safe_route
    names = [route.name for route in setup.routes]
    safe = safe if safe in names else names[-1]
    if len(names) == 1:
        return ["There is one route only, so there is nothing to choose."]
    more = setup.where.words
    who = f"{observed} (policy: observe)" if observed else f"the safe route {safe}"
    return [
        f'Nothing is learnt for these routes yet: {who} answers all that asks for "auto", and',
        "nothing is saved before feedback and retraining. Say what was right, then learn from it:",
        f"  pointsman feedback DECISION_ID --correct{more}    (or POST /v1/feedback)",
        f"  pointsman retrain{more}",
    ]


def absences(setup: Setup) -> list[str]:
    """The models that are not installed, with the routes that go with them."""
    lines: list[str] = []
    for model, why in setup.missing.items():
        gone = [name for name, route in setup.settings.routes.items() if route.model == model]
        lines.append(f"Without {model} there is no route {', '.join(gone) or model}: {why}")
    if any(model.embedded == "smollm2" for name, model in setup.settings.models.items() if name not in setup.missing):
        lines.append("smollm2 has 135 million parameters: there to try the plumbing, not to be believed.")
    return lines


def first_request(base: str, setup: Setup) -> str:
    """A curl that works here: a chain where digits is there, else a question."""
    digits = any(setup.settings.models[r.model].embedded == "digits" for r in setup.routes)
    asked = "3+4*2-7" if digits else "What is the capital of France?"
    body = f'{{"model": "auto", "messages": [{{"role": "user", "content": "{asked}"}}]}}'
    return f"curl {base}/v1/chat/completions -H 'content-type: application/json' -d '{body}'"

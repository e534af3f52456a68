"""What it costs to load a model on a server that holds one (or few) at a time, and when that pays: pure functions.

A load is charged to the route that needs it: its seconds times what a second of the server is worth. Staying has a
price too: the queries that would have been better off with the other model. What staying has forgone lately is
remembered, and taken off the charge; so a swap is made when one query pays for it, or when many have missed it, and
never more often than it pays: between two swaps the queries have gained at least what the second one costs. On traffic
that alternates, what one query would gain the next one takes back, and nothing is swapped.

This is the deterministic rule for task systems of two states (A. Borodin, N. Linial, M. Saks: An optimal on-line
algorithm for metrical task system, J. ACM 39, 1992), with forgetting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..domain import Estimate

HALF_LIFE = 256
"""Queries after which what was forgone counts half."""
KEEP = 0.5 ** (1 / HALF_LIFE)
BYTES_S = 1e9
"""Bytes a second that loading is guessed to read, at one byte a parameter."""
UNKNOWN_S = 10.0
"""Seconds that a load is guessed to take where nothing tells the model's size."""
TOKENS_S = 30.0
"""Tokens that a model is taken to write in a second, until that is measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """What it would take to load a model now. cost: what the server's time is worth meanwhile, in currency; forgone:
    what staying without the model has cost lately; guessed: nobody measured or told the seconds."""

    model: str
    seconds: float
    cost: float
    forgone: float = 0.0
    guessed: bool = False

    @property
    def charge(self) -> float:
        """What a query that has it loaded is charged, in currency."""
        return max(0.0, self.cost - self.forgone)

    def __str__(self) -> str:
        time = f"{self.seconds:.0f} s" if self.seconds >= 9.5 else f"{self.seconds:.1f} s"
        return f"loading {self.model} takes {f'about {time} (a guess)' if self.guessed else time}"


Loads: TypeAlias = Mapping[str, Load]
"""By the names of the routes whose models are not in memory; a route that is not there needs no load."""


def gains(worth: Iterable[tuple[str, float]], loads: Loads) -> dict[str, float]:
    """By model that is not in memory: how much more the best that it could do is worth than the best that needs no
    load, in currency, the load itself apart; negative: less. worth: of routes, by name. Empty where all need one."""
    best: dict[str | None, float] = {}
    for route, value in worth:
        model = loads[route].model if route in loads else None
        best[model] = max(value, best.get(model, value))
    if None not in best:
        return {}
    return {model: value - best[None] for model, value in best.items() if model is not None}


def remembered(forgone: Mapping[str, float], gained: Mapping[str, float]) -> dict[str, float]:
    """What staying has forgone, by model, after a query for which these gains were left (`gains`). A query that is
    better off with what is loaded takes back as much."""
    return {**forgone, **{model: max(0.0, KEEP * forgone.get(model, 0.0) + gain) for model, gain in gained.items()}}


def with_loads(estimates: Mapping[str, Estimate], loads: Loads) -> Mapping[str, Estimate]:
    """The estimates, with what each route would have to wait and pay for its model to be loaded."""
    if not loads:
        return estimates
    return {
        name: replace(e, load_ms=1000 * loads[name].seconds, load_cost=loads[name].charge) if name in loads else e
        for name, e in estimates.items()
    }


def load_seconds(measured: float | None, told: float | None, parameters: float | None) -> tuple[float, bool]:
    """Seconds that a load takes, and whether they are a guess. measured, told (by the owner): seconds; parameters: in
    billions; None where not known."""
    for known in (measured, told):
        if known is not None:
            return known, False
    return (UNKNOWN_S if parameters is None else parameters * 1e9 / BYTES_S), True

"""Which routes a calibration runs, and how: each configured one as it stands, several samples where it draws its tokens
at random, and, for a model that thinks and has no route without thought, that too: a cut thought falls back on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...backends import Mode, ModelConfig
from ...domain import Route, Sampling, Wish
from ...errors import BadRequest
from ..build import dearness
from ..modes import Loop, loop_of, mode_of
from ..router import Router
from ..wishes import candidates

SHORT_THOUGHT, SHORT_ANSWER = 256, 8
"""Most tokens of an embedded model's answer with and without thought, where nobody says: digits thinks in under 130,
and SmolLM2's longer answers are not worth waiting for. Other models have the limit of their engine."""

_UNSAID = Sampling()


@dataclass(frozen=True, slots=True)
class Contender:
    """A route as a calibration runs it. mode: as the table of outcomes names it; max_tokens: None for no limit of ours;
    configured: whether the owner's configuration has it."""

    route: Route
    wish: Wish
    samples: int
    max_tokens: int | None
    configured: bool = True

    @property
    def name(self) -> str:
        """The route's name."""
        return self.route.name

    @property
    def thinks(self) -> bool:
        """Whether it may think."""
        return self.route.thinking_budget != 0

    @property
    def mode(self) -> str:
        """The mode, with the budget where there is one: a table tells routes of one model apart by it."""
        return f"{self.route.mode}({self.route.thinking_budget})" if self.route.thinking_budget else self.route.mode


def contenders(
    router: Router, names: Sequence[str] | None = None, *, samples: int = 2, max_tokens: int | None = None
) -> tuple[Contender, ...]:
    """The named routes (None: all), cheapest first, and what a cut thought falls back on. The engines should be open:
    they say whether thinking can be switched off. Raises BadRequest for a name that is no route."""
    known = {route.name: route for route in router.routes}
    for name in names or ():
        if name not in known:
            raise BadRequest(f"There is no route {name!r}; there are {', '.join(known)}.", field="routes")
    chosen = [route for route in router.routes if names is None or route.name in names]
    found = [(route, Wish(route=route.name), True) for route in chosen]
    models = dict.fromkeys(route.model for route in chosen)
    made = [_without_thought(router.routes, chosen, model) for model in models]
    found.extend((*entry, False) for entry in made if entry is not None)
    ranked = sorted(found, key=lambda entry: dearness(entry[0]))
    return tuple(
        Contender(
            route,
            wish,
            1 if _is_greedy(router, route) else samples,
            max_tokens or _short(router.models[route.model], route),
            configured,
        )
        for route, wish, configured in ranked
    )


def greedy(model: ModelConfig, mode: Mode | Loop, advised: Sampling = _UNSAID) -> bool:
    """Whether the same question gets the same answer each time: drawn without chance, or with a fixed seed.

    advised: what is recommended for the model in this mode."""
    said = {name: _said(model, mode, advised, name) for name in ("temperature", "top_k", "seed")}
    if said["temperature"] == 0 or said["top_k"] == 1 or said["seed"] is not None:
        return True
    return model.engine == "transformers" and said["temperature"] is None


def _is_greedy(router: Router, route: Route) -> bool:
    advised = router.advice[route.model].at(route.thinking_budget)
    return greedy(router.models[route.model], mode_of(route.mode, router.modes), advised)


def fallback(entered: Sequence[Contender], model: str) -> Contender | None:
    """What answers instead of this model's cut thought: its cheapest route without thought, direct if there is one."""
    off = [c for c in entered if c.route.model == model and not c.thinks]
    return next((c for c in off if c.route.mode == "direct"), off[0] if off else None)


def longest(entered: Sequence[Contender], model: str) -> Contender | None:
    """The contender of this model that may think longest, in one thought; in mode think, of several."""
    able = [c for c in entered if c.route.model == model and c.thinks and loop_of(c.route.mode) is None]
    return max(able, key=lambda c: (dearness(c.route)[1], c.route.mode == "think"), default=None)


def _short(model: ModelConfig, route: Route) -> int | None:
    if model.embedded is None:
        return None
    return SHORT_ANSWER if route.thinking_budget == 0 else SHORT_THOUGHT


def _said(model: ModelConfig, mode: Mode | Loop, advised: Sampling, name: str) -> object:
    """A value of sampling: the mode's, else what the model's configuration always sends, else the recommended."""
    told = (getattr(mode.sampling, name), model.extra.get(name), getattr(advised, name))
    return next((value for value in told if value is not None), None)


def _without_thought(routes: Sequence[Route], chosen: Sequence[Route], model: str) -> tuple[Route, Wish] | None:
    """A route of the model without thought, where one of the chosen thinks, the owner has none, and it can be had."""
    mine = [route for route in routes if route.model == model]
    able = all(r.capabilities.thinks is not False and r.capabilities.switchable is not False for r in mine)
    thinking = any(route.model == model and route.thinking_budget != 0 for route in chosen)
    if not thinking or not able or any(route.thinking_budget == 0 for route in mine):
        return None
    wish = Wish(model=model, mode="direct", mode_thinks=False, thinking_budget=0)
    (made,), _ = candidates(wish, routes)
    return made, wish

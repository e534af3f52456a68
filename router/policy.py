"""What to do next with a query: a pure function of what is known.

`next(query, evidence, estimates, terms)` says *buy this* (run a route and look at the answer before deciding) or
*commit to this route*. It does no I/O and keeps no state, so the live driver (live.py) and the replay of recorded
tables (jobs/evaluation/replay.py) run the same decisions: what is evaluated is what is served.

The rule: among the routes that can serve, take the one with the greatest `error_price * p_correct - cost`. The price of
an error comes from the objective (objectives.py). Where nothing is known the safe route answers. A route whose tokens
were never counted has no cost (NaN) to compare by, so it is not offered. Where a ladder was learnt and the objective
asks for it, evidence is bought first: the ladder says what, and when it is enough (climb.py). A route whose model would
have to be loaded is charged for that (swapping.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TypeAlias

from ..domain import Attempt, Estimate, Finish, Purpose, Query, Route
from ..errors import BackendUnavailable
from .climb import Climb, Rung, explained, next_rung
from .objectives import Climbing, Fixed, Plan, Priced
from .swapping import Load, Loads, gains

VERSION = "expected-utility-4"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds while a query is decided.

    routes: those that can serve it now, cheapest first. plan: what the objective asks for (None: nothing is learnt for
    these routes). safe_route: who answers when nothing is known. wished: the one route that the caller's words leave,
    which always wins. fixed: the route that the owner's `observe` names. escalate: whether an unfinished or empty
    answer may be followed by a dearer route's; cut_thoughts: so may one whose thought was cut at its budget. unplanned:
    why there is no plan. climb: the ladder to go up, None: decide on the text. complaint: the caller says that the last
    answer was wrong. beyond: the text is unlike all that the estimates were learnt from. loads: what would have to be
    loaded for which route."""

    routes: Sequence[Route]
    plan: Plan | None
    safe_route: str
    wished: str | None = None
    fixed: str | None = None
    escalate: bool = False
    cut_thoughts: bool = False
    unplanned: str = "nothing is learnt for these routes yet"
    climb: Climb | None = None
    complaint: bool = False
    beyond: bool = False
    loads: Loads = field(default_factory=dict[str, Load])


@dataclass(frozen=True, slots=True)
class Buy:
    """Run this route and look at its answer before deciding. gains: as in Commit."""

    route: str
    reason: str
    gains: Mapping[str, float] = field(default_factory=dict[str, float], compare=False)


@dataclass(frozen=True, slots=True)
class Commit:
    """Answer the caller with this route; `bought` is the index in the evidence of an answer that is already there, or,
    with resume, of the beginning that is gone on with.

    confidence: probability that the answer is right, as the evidence says; None: as the text says. little: neither can
    say it. gains: what each model that is not loaded would have been worth above those that are (swapping.gains)."""

    route: str
    reason: str
    bought: int | None = None
    confidence: float | None = None
    resume: bool = False
    little: bool = False
    gains: Mapping[str, float] = field(default_factory=dict[str, float], compare=False)


Step: TypeAlias = Buy | Commit


def next(  # noqa: A001 - the name that the design gives it
    query: Query, evidence: Sequence[Attempt], estimates: Mapping[str, Estimate], terms: Terms
) -> Step:
    """The next step for a query. Raises BackendUnavailable where no route is left."""
    answers = [i for i, attempt in enumerate(evidence) if attempt.purpose is Purpose.ANSWER]
    failed = {evidence[i].route for i in answers if evidence[i].error is not None}
    left = [route for route in terms.routes if route.name not in failed]
    if terms.wished is not None:
        if terms.wished in failed:
            raise BackendUnavailable("the route that was asked for failed", backend=terms.wished)
        return Commit(terms.wished, "asked for")
    if not left:
        raise BackendUnavailable("no route can serve this query now", backend=", ".join(sorted(failed)) or "all")
    if terms.climb is not None and terms.fixed is None and not terms.complaint:
        rung = next_rung(terms.climb, evidence, {route.name for route in left}, terms.loads)
        if rung is not None and rung.little:
            return _little(evidence, left, terms, explained(terms.climb, evidence))
        if rung is not None:
            return _climb(rung, terms, terms.climb, evidence, failed)
    bought = [i for i in answers if evidence[i].error is None and evidence[i].route not in failed]
    if bought:
        return _after(evidence, bought[-1], left, estimates, cut_thoughts=terms.cut_thoughts)
    step = _choose(left, estimates, terms)
    if failed:
        step = Commit(step.route, f"{step.reason}; {', '.join(sorted(failed))} failed", gains=step.gains)
    if terms.escalate and any(_dearer(route, step.route, left) for route in left):
        return Buy(step.route, step.reason, step.gains)
    return step


def _climb(rung: Rung, terms: Terms, climb: Climb, evidence: Sequence[Attempt], failed: set[str]) -> Step:
    """The ladder's next rung as a step, and what the evidence said in a sentence."""
    shown = explained(climb, evidence)
    because = f"{shown}: " if shown else ""
    lost = _loading(rung.route, rung.stays, terms)
    lost += f"; {', '.join(sorted(failed))} failed" if failed else ""
    if rung.bought is not None:
        p, best = rung.p_correct or 0.0, rung.p_reference or 0.0
        reason = f"{because}{p:.0%} likely right, {climb.model.reference} {best:.0%}{lost}"
        return _given(Commit(rung.route, reason, rung.bought, rung.p_correct, gains=rung.gains), evidence)
    if rung.final:
        reason = f"{because}{rung.route} answers{lost}" if shown else f"no evidence is worth its price{lost}"
        return Commit(rung.route, reason, confidence=rung.p_correct, gains=rung.gains)
    return Buy(rung.route, f"{because}{rung.route}'s answer is worth its price as evidence{lost}", rung.gains)


def _loading(chosen: str, better: Load | None, terms: Terms) -> str:
    """What loading has to do with a choice; empty where it has nothing. better: of the route that would have been
    chosen if nothing had to be loaded, where that is another one."""
    if chosen in terms.loads:
        return f"; {terms.loads[chosen]}"
    if better is None:
        return ""
    model = {route.name: route.model for route in terms.routes}[chosen]
    return f"; stays with {model}: {better}"


def _little(evidence: Sequence[Attempt], left: Sequence[Route], terms: Terms, shown: str) -> Commit:
    """The safe route where the ladder was taught by nothing like this: with its own answer where that is there."""
    why = f"little evidence ({shown or 'no question like this was learnt from'})"
    step = replace(_safe(left, terms, why), little=True)
    mine = [i for i, a in enumerate(evidence) if a.route == step.route and a.purpose is Purpose.ANSWER]
    usable = [i for i in mine if _whole(evidence[i]) or evidence[i].finish is Finish.LENGTH]
    return _given(replace(step, bought=usable[0] if usable else None), evidence)


def _given(step: Commit, evidence: Sequence[Attempt]) -> Commit:
    """The commitment to an answer that was bought, or to going on with it where it was cut."""
    cut = step.bought is not None and evidence[step.bought].finish is Finish.LENGTH
    return replace(step, resume=True) if cut else step


def _choose(routes: Sequence[Route], estimates: Mapping[str, Estimate], terms: Terms) -> Commit:
    """The route to start with, of those that can serve."""
    names = {route.name for route in routes}
    if terms.fixed is not None and terms.fixed in names:
        return Commit(terms.fixed, f"observe: {terms.fixed} answers everything")
    known = [route for route in routes if route.name in estimates and isfinite(estimates[route.name].cost)]
    if terms.complaint and known and terms.plan is not None:
        return Commit(
            _likeliest(known, estimates), "the caller says that the last answer was wrong: the likeliest answers"
        )
    if terms.plan is None:
        return _safe(routes, terms, terms.unplanned)
    if not known:
        return _safe(routes, terms, "nothing is known of the routes that can serve")
    if isinstance(terms.plan, Climbing):
        return _safe(routes, terms, "the ladder has no rung left")
    if isinstance(terms.plan, Fixed):
        if terms.plan.route in names:
            return Commit(terms.plan.route, terms.plan.reason)
        return _instead(known, estimates, terms.plan)
    if terms.beyond:
        return replace(_safe(routes, terms, "little evidence (no text like this was learnt from)"), little=True)
    return _best(known, estimates, terms.plan, terms)


def _safe(routes: Sequence[Route], terms: Terms, why: str) -> Commit:
    """The safe route, or the dearest of those left where it cannot serve."""
    if any(route.name == terms.safe_route for route in routes):
        return Commit(terms.safe_route, f"{why}: the safe route answers")
    return Commit(routes[-1].name, "the safe route cannot serve this query: the dearest that can answers")


def _instead(routes: Sequence[Route], estimates: Mapping[str, Estimate], plan: Fixed) -> Commit:
    """Who answers in place of the one route for everything: the likeliest of the others, the cheaper of two alike."""
    why = f"{plan.route} cannot serve this query now: the likeliest of the others answers"
    return Commit(_likeliest(routes, estimates), why)


def _likeliest(routes: Sequence[Route], estimates: Mapping[str, Estimate]) -> str:
    """The route that is likeliest to be right, the cheaper of two alike."""
    return max(routes, key=lambda r: (estimates[r.name].p_correct, -estimates[r.name].cost)).name


def _best(routes: Sequence[Route], estimates: Mapping[str, Estimate], plan: Priced, terms: Terms) -> Commit:
    """Greatest expected utility; ties go to the cheaper route. Under a limit on the cost of a query a load counts
    whole: what others have forgone is no concern of it."""
    loads = terms.loads

    def worth(name: str) -> float:
        return plan.error_price * estimates[name].p_correct - estimates[name].cost

    def whole(name: str) -> float:
        return estimates[name].cost + (loads[name].cost if name in loads else 0.0)

    def utility(route: Route, *, charged: bool) -> tuple[float, float]:
        charge = loads[route.name].charge if charged and route.name in loads else 0.0
        return worth(route.name) - charge, -estimates[route.name].cost

    allowed = [r for r in routes if plan.max_cost is None or whole(r.name) <= plan.max_cost]
    if not allowed:
        cheapest = min(routes, key=lambda r: whole(r.name))
        return Commit(cheapest.name, "every route is expected to cost more than max_cost: the cheapest answers")
    best = max(allowed, key=lambda r: utility(r, charged=True))
    if not loads:
        return Commit(best.name, _reason(best, allowed, estimates))
    possible = [r for r in routes if plan.max_cost is None or estimates[r.name].cost <= plan.max_cost]
    free = max(possible, key=lambda r: utility(r, charged=False))
    told = _loading(best.name, loads.get(free.name), terms)
    left = gains(((r.name, worth(r.name)) for r in allowed), loads) if plan.max_cost is None else {}
    return Commit(best.name, f"{_reason(best, allowed, estimates)}{told}", gains=left)


def _reason(best: Route, routes: Sequence[Route], estimates: Mapping[str, Estimate]) -> str:
    """One plain sentence: how likely it is right, and what the likeliest route would have cost."""
    e = estimates[best.name]
    if not e.measured:
        return "the route for texts like this; how likely it is right was not measured"
    likeliest = max(routes, key=lambda r: (estimates[r.name].p_correct, -estimates[r.name].cost))
    if likeliest.name == best.name:
        return f"likeliest to be right ({e.p_correct:.0%})"
    other = estimates[likeliest.name]
    if not other.measured:
        return f"{e.p_correct:.0%} likely right"
    share = e.cost / other.cost if other.cost > 0 else 1.0
    return f"{e.p_correct:.0%} likely right, {likeliest.name} {other.p_correct:.0%}, at {share:.0%} of its cost"


def _dearer(route: Route, than: str, routes: Sequence[Route]) -> bool:
    names = [r.name for r in routes]
    return names.index(route.name) > names.index(than)


def _whole(answer: Attempt) -> bool:
    """Whether an attempt can be given to the caller."""
    return answer.error is None and answer.finish in (Finish.STOP, Finish.TOOL_CALLS) and bool(answer.answer)


def _cut(answer: Attempt) -> bool:
    """Whether an answer's thought came to its budget."""
    budget, thought = answer.thinking_budget, answer.kept + answer.usage.thought
    return budget is not None and 0 < budget <= thought


def _after(
    evidence: Sequence[Attempt],
    last: int,
    left: Sequence[Route],
    estimates: Mapping[str, Estimate],
    *,
    cut_thoughts: bool,
) -> Step:
    """After a bought answer: keep it if it is whole, else go on to the next dearer route, if there is one."""
    answer = evidence[last]
    whole = _whole(answer)
    done = whole and not (cut_thoughts and _cut(answer))
    tried = {attempt.route for attempt in evidence}
    names = [route.name for route in left]
    dearer = [n for n in names if n not in tried and names.index(n) > names.index(answer.route)]
    if done or not dearer:
        return Commit(answer.route, "its answer is whole" if done else "no dearer route is left", bought=last)
    what = "answer of {} was unfinished" if answer.finish is Finish.LENGTH else "answer of {} was empty"
    reason = f"the {'thought of {} was cut' if whole else what}".format(answer.route)
    known = [n for n in dearer if n in estimates]
    choice = max(known, key=lambda n: estimates[n].p_correct) if known else dearer[-1]
    return Buy(choice, reason) if dearer[-1] != choice else Commit(choice, reason)

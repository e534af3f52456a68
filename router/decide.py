"""From a query to a decision: what each route is expected to do, what can serve, what the policy says.

One embedding, one feature vector, one matrix product for all routes; nothing here waits for a server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from ..backends import Outages
from ..classifiers import Artifact, Embedder, RouteKey, lexical, text_of
from ..domain import Attempt, Decision, Estimate, Objective, Query, Route, Wish
from ..errors import BadRequest, ContextTooLong
from . import policy
from .certificates import Certificates
from .climb import Climb
from .conversation import complains
from .loaded import Loaded
from .modes import fitting
from .objectives import Climbing, Plan, Point, on_text, plan
from .pricing import changed_by, expected_cost
from .swapping import with_loads
from .token_counts import TokenCounts, has_images
from .wishes import candidates

ANSWER_TOKENS = 16
"""The least room for an answer that a context must leave."""
MARGIN = 1.5
"""The count is a guess: only what is longer than every context by so much is refused; the rest the engine judges."""
REPRICED = "the prices of the routes have changed against each other since this was learnt"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the owner set the router up: its routes (cheapest first), the one for when nothing is known, what is wanted.
    escalate, cut_thoughts: as in policy.Terms.

    observed: the route that answers everything under `policy: observe`; None: the policy routes. cap: tokens after
    which an answer that is bought as evidence is cut (None: nowhere)."""

    routes: tuple[Route, ...]
    safe_route: str
    objective: Objective
    observed: str | None = None
    escalate: bool = False
    cut_thoughts: bool = False
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """What is known of a query before a step is taken."""

    query: Query
    terms: policy.Terms
    routes: Mapping[str, Route]
    estimates: Mapping[str, Estimate]
    objective: Objective
    artifact: str | None
    features: tuple[float, ...] | None
    embedding: tuple[float, ...] | None
    warnings: tuple[str, ...]
    certificates: Certificates
    took_ms: float
    """Milliseconds that this took: deciding, not waiting for a model."""
    forgone: bool = False
    """Whether answers could have been bought, or followed, that are not."""
    id: str = ""
    """Of the decision that comes of it; empty: one is made then."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """An artifact that speaks for the routes at hand, and which column is which route.

    curve: its policy's points at today's prices; empty where they cannot be told, and `warning` says why. factor:
    today's prices by those that it was trained at."""

    artifact: Artifact
    columns: Mapping[str, int]
    curve: tuple[Point, ...]
    warning: str | None = None
    factor: float = 1.0


def learnt(artifact: Artifact, routes: Sequence[Route]) -> Learnt | None:
    """The artifact for these routes; None where it was trained for others (a route it does not know would be blind).

    Its curve and its prices of an error are in the currency of its training: where all prices changed by one factor
    they change with them; where they changed otherwise other routes would be worth their cost, and it has no curve."""
    if unknown(artifact.routes, routes):
        return None
    columns = {route.name: artifact.routes.index(route_key(route)) for route in routes}
    trained = artifact.prices
    if trained is None:
        factor = 1.0  # not recorded: taken as unchanged
    else:
        factor = changed_by([trained[columns[route.name]] for route in routes], [route.price for route in routes])
    if factor is None:
        return Learnt(artifact, columns, (), f"{REPRICED} (artifact {artifact.id}): run pointsman retrain")
    curve = tuple(
        Point(
            p.accuracy,
            factor * p.cost,
            None if p.error_price is None else factor * p.error_price,
            p.route,
            p.rung,
            p.sure,
        )
        for p in artifact.policy
        if p.rung is None or artifact.ladder is not None
    )
    return Learnt(artifact, columns, curve, factor=factor)


def unknown(trained: Collection[RouteKey], routes: Sequence[Route]) -> tuple[str, ...]:
    """The names of the routes that are not, just so, among those that an artifact was trained for."""
    return tuple(route.name for route in routes if route_key(route) not in trained)


def route_key(route: Route) -> RouteKey:
    """What makes a route the same one to an artifact."""
    return RouteKey(route.name, route.model, route.mode, route.thinking_budget)


class Decider:
    """Holds what decisions need; `use` swaps the artifact under running requests."""

    def __init__(self, standing: Standing, embedder: Embedder, counts: TokenCounts | None = None) -> None:
        self.standing = standing
        self.embedder = embedder
        self.counts = counts or TokenCounts()
        self.outages = Outages()
        self.certificates = Certificates()
        self.loaded: Loaded | None = None
        self._learnt: Learnt | None = None

    @property
    def artifact(self) -> str | None:
        """The serving artifact's id; None: nothing is learnt for these routes."""
        return self._learnt.artifact.id if self._learnt else None

    def use(self, found: Learnt | None) -> None:
        """Serve by this artifact from the next query on (None: cold)."""
        self._learnt = found

    def consider(self, query: Query, wish: Wish | None = None, *, buying: bool = True) -> Considered:
        """Estimates and terms for a query; without `buying` what the text alone allows. Raises BadRequest for a wish
        that cannot be met, ContextTooLong."""
        started = time.perf_counter()
        wish, found = wish or Wish(), self._learnt
        routes, wished = candidates(wish, self.standing.routes)
        routes = fitting(routes, query, self.standing.routes)
        serving = routes if wished is not None else self._able(query, routes)
        objective = wish.objective or self.standing.objective
        features, embedding, estimates, beyond = self._estimate(query, serving, found)
        loads = self.loaded.loads(serving) if self.loaded is not None else {}
        fixed = self.standing.observed if wish == Wish() else None
        wanted, escalate = _plan(objective, found, buying=fixed is None), self.standing.escalate and wished is None
        climb = _climb(wanted, found, features, self.embedder)
        forgone = not buying and wished is None and (climb is not None or escalate)
        if not buying:
            wanted, climb, escalate = _plan(objective, found, buying=False), None, False
        terms = policy.Terms(
            routes=serving,
            plan=wanted,
            climb=climb,
            safe_route=self.standing.safe_route,
            wished=wished,
            fixed=fixed,
            escalate=escalate,
            cut_thoughts=self.standing.cut_thoughts,
            complaint=complains(query),
            beyond=beyond,
            loads=loads,
            **({"unplanned": REPRICED} if found and found.warning else {}),
        )
        return Considered(
            query,
            terms,
            {route.name: route for route in serving},
            with_loads(estimates, loads),
            objective,
            found.artifact.id if found else None,
            features,
            embedding,
            (found.warning,) if found and found.warning else (),
            self.certificates,
            (time.perf_counter() - started) * 1000,
            forgone,
        )

    def step(self, considered: Considered, evidence: Sequence[Attempt]) -> policy.Step:
        """What to do next for a query that is being served, by what is in memory now. Raises BackendUnavailable."""
        if self.loaded is None:
            return policy.next(considered.query, evidence, considered.estimates, considered.terms)
        terms = replace(considered.terms, loads=self.loaded.loads(considered.terms.routes))
        step = policy.next(considered.query, evidence, considered.estimates, terms)
        self.loaded.forgo(step.gains)
        return step

    def decide(self, query: Query, wish: Wish | None = None) -> tuple[Decision, Considered]:
        """The decision on the text alone, nothing bought."""
        considered = self.consider(query, wish, buying=False)
        step = policy.next(query, (), considered.estimates, considered.terms)
        assert isinstance(step, policy.Commit)
        return conclude(considered, step), considered

    def _able(self, query: Query, routes: Sequence[Route]) -> tuple[Route, ...]:
        """The routes whose models can take this query; those whose servers were silent lately only where no other can.
        Raises BadRequest where none can."""
        able = [r for r in routes if not (query.tools and r.capabilities.tools is False)]
        if not able:
            raise BadRequest("No route that may answer this takes tools.", field="tools")
        if has_images(query):
            able = [r for r in able if r.capabilities.images is not False]
            if not able:
                raise BadRequest("No route that may answer this takes images.", field="messages")
        fits = [r for r in able if self._fits(query, r)] or [r for r in able if self._fits(query, r, MARGIN)]
        if not fits:
            longest = max(able, key=lambda r: r.capabilities.context or 0)
            raise ContextTooLong(
                f"The query is too long for every route; the longest context is {longest.capabilities.context} tokens "
                f"({longest.name}), the query is about {self.counts.prompt_tokens(longest.model, query):.0f}."
            )
        return tuple([r for r in fits if not self.outages.resting(r.model)] or fits)

    def _fits(self, query: Query, route: Route, margin: float = 1.0) -> bool:
        context = route.capabilities.context
        return context is None or self.counts.prompt_tokens(route.model, query) + ANSWER_TOKENS <= margin * context

    def _estimate(
        self, query: Query, routes: Sequence[Route], found: Learnt | None
    ) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, dict[str, Estimate], bool]:
        """Features, embedding, an estimate by route, and whether the text is unlike all that they were learnt from."""
        text = text_of(query)
        features = lexical(text)
        vector = self.embedder.encode([text])[0]
        told = tuple(features.tolist()), tuple(vector.tolist())
        if found is None:
            return *told, {}, False
        p = found.artifact.estimator.predict(features[np.newaxis], vector[np.newaxis])
        estimates: dict[str, Estimate] = {}
        for route in routes:
            if (column := found.columns.get(route.name)) is None:
                continue
            prompt = self.counts.prompt_tokens(route.model, query)
            output, output_se = float(p.output_tokens[0, column]), float(p.output_tokens_se[0, column])
            estimates[route.name] = Estimate(
                route=route.name,
                p_correct=float(p.p_correct[0, column]),
                p_correct_se=float(p.p_correct_se[0, column]),
                input_tokens=prompt,
                output_tokens=output,
                output_tokens_se=output_se,
                cost=expected_cost(route.price, prompt, output),
                cost_se=expected_cost(route.price, 0.0, output_se),
                measured=route.name not in found.artifact.report.get("not_measured", ()),
            )
        return *told, estimates, bool(p.beyond[0])


def _plan(objective: Objective, found: Learnt | None, *, buying: bool) -> Plan | None:
    if found is None:
        return None
    return plan(objective, found.curve if buying else on_text(found.curve))


def _climb(
    wanted: Plan | None, found: Learnt | None, features: tuple[float, ...] | None, embedder: Embedder
) -> Climb | None:
    """The ladder, where the plan is to go up one."""
    if found is None or found.artifact.ladder is None or not isinstance(wanted, Climbing) or features is None:
        return None
    return Climb(found.artifact.ladder, wanted.rung, np.asarray(features, np.float32), embedder, found.factor)


def _measured(known: Estimate | None) -> float | None:
    """The probability that a route is right, where it was measured."""
    return known.p_correct if known is not None and known.measured else None


def new_id() -> str:
    """The id of a decision that nobody has made yet."""
    return f"dec_{uuid.uuid4().hex}"


def conclude(considered: Considered, step: policy.Commit, evidence: Sequence[Attempt] = ()) -> Decision:
    """The decision that a step amounts to."""
    started = time.perf_counter()
    known = considered.estimates.get(step.route)
    observed = None
    if considered.terms.fixed is not None:
        free = policy.next(
            considered.query, (), considered.estimates, replace(considered.terms, fixed=None, escalate=False)
        )
        observed = free.route
    return Decision(
        id=considered.id or new_id(),
        created_at=datetime.now(UTC),
        route=considered.routes[step.route],
        reason=step.reason,
        objective=considered.objective,
        policy=policy.VERSION,
        estimates=considered.estimates,
        evidence=tuple(evidence),
        artifact=considered.artifact,
        confidence=None if step.little else step.confidence if step.confidence is not None else _measured(known),
        observed=observed,
        warnings=(*considered.warnings, *considered.certificates.warnings(considered.routes[step.route])),
        overhead_ms=considered.took_ms + (time.perf_counter() - started) * 1000,
    )

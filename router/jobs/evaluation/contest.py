"""The policies that stand against each other on held-out questions, each fitted on the training questions alone.

`pointsman`: the ladder, with a point for each price of an error. `text_only`: commits on the lexical features of the
text. `knn`: commits on the nearest neighbours of the text's embedding, as other routers do. `agreement`: the plain
rule, no learning. Every policy has a curve (its points) and the point chosen on the training questions for the
objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers import Embedder
from ....classifiers.smoothers import Neighbours, smoother
from ....domain import Objective
from ...ladder import Fixed, Ladder, fixed_route, streamed
from ..induction import LadderPolicy, Terms, fixed_results, induce
from .models import RouteModel, first_probes, fit_routes, probe_rows, score, text_rows
from .plans import (
    SHIFT_CAUTION,
    Candidate,
    Plan,
    agreeing,
    agreement_results,
    agreement_tokens,
    best_fixed,
    can_agree,
    choose,
    shifts,
)
from .playing import Path, Played, beside, mixed, play, play_fixed
from .recording import Recording
from .samples import ladder_for

Doubles: TypeAlias = NDArray[np.float64]

POINTS = 32
"""Prices of an error on a curve; its last point is the best fixed route."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a contest is held. ladder: routes and further samples in order of purchase (samples.py), `auto` or `none`;
    estimator: a name of SMOOTHERS.

    streamed: the best fixed route and the ladder's last one answer as they come, so nothing follows them."""

    objective: Objective
    estimator: str = "ridge"
    ladder: str = "auto"
    knn: bool = True
    streamed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One policy on the held-out questions. score (n,): probability that the first route's own answer is right, as it
    stood at the chosen point when only probes and their further samples had been bought: those that were not bought
    there are not looked at. probed (n,): the same had all of them been bought for every question, None for a policy
    that buys none. curve: None for a policy without points."""

    curve: Played | None
    chosen: Played
    score: Doubles
    plan: str
    probed: Doubles | None = None


def error_prices(recording: Recording) -> tuple[float, ...]:
    """Prices of an error in currency: what 300 to 1,000,000 output tokens of the last route cost (half a call to ten
    thousand where calls are the cost). They depend on the prices alone, so they are the same in every fold."""
    last = recording.ladder.towards(recording.names[-1]).track
    if recording.constellation.cost == "calls":
        return tuple(np.geomspace(0.5, 1e4, POINTS).tolist())
    return tuple((recording.output_price[last] * np.geomspace(300, 1e6, POINTS)).tolist())


def contest(train: Recording, test: Recording, rules: Rules, embedder: Embedder) -> dict[str, Entry | None]:
    """Every policy fitted on train and played on test. `agreement` is None where there are not two probes to agree."""
    reference = best_fixed(train, shift=shifts(train))
    fold = _Fold(train, test, rules, reference)
    entries: dict[str, Entry | None] = {"pointsman": fold.ladder(), "text_only": fold.commit(fold.text)}
    entries["agreement"] = fold.agreement() if can_agree(train) else None
    if rules.knn:
        x, new = (np.asarray(embedder.encode(list(r.prompts)), np.float64) for r in (train, test))
        near = fit_routes(train, x, Neighbours(prior=0.0))
        entries["knn"] = fold.commit(near, *near.predict(new))
    return entries


class _Fold:
    """One division into training and test questions."""

    def __init__(self, train: Recording, test: Recording, rules: Rules, reference: Fixed) -> None:
        self._train, self._test, self._rules, self._reference = train, test, rules, reference
        self._prices = error_prices(train)
        self._method = method = smoother(rules.estimator)
        self.text = fit_routes(train, text_rows(train), method)
        self._p_text, _ = self.text.predict(text_rows(test))
        probes = first_probes(train)
        self._seen = fit_routes(train, probe_rows(train, train, probes), method)
        self._p_seen, _ = self._seen.predict(probe_rows(test, train, probes))
        self._column = train.names.index(reference.name)

    def ladder(self) -> Entry:
        """Pointsman's own."""
        if self._rules.ladder == "none":
            return self.commit(self.text)
        ladder = ladder_for(self._train, self._rules.ladder)
        reference = _on(ladder, self._reference)
        if self._rules.streamed:
            ladder = streamed(ladder, reference)
        train, test = self._train.along(ladder), self._test.along(ladder)
        caution = SHIFT_CAUTION if shifts(train) else 0.0
        terms = Terms(self._prices, reference, caution, smoother(self._rules.estimator))
        policy = induce(train, ladder, terms)
        candidates = [
            Candidate(Plan("ladder", index=k), *_doubles(policy.held_out.correct[:, k], policy.held_out.cost[:, k]))
            for k in range(len(self._prices))
        ]
        probes = set(self._train.constellation.probes)
        probing = probes <= set(ladder.names()) and not probes & {ladder.tracks[place].route for place in ladder.final}
        plan = self._choose(candidates, probing=probing)
        played = play(policy, test)
        chosen = self._carry_out(plan, played, policy)
        curve = beside([played, self._always(self._reference)])
        mine, probed = (
            score(self._train, self._test, bought, self._method) for bought in (self._bought(chosen), self._recorded())
        )
        return Entry(curve, chosen, mine, str(plan), probed)

    def commit(self, model: RouteModel, p: Doubles | None = None, cost: Doubles | None = None) -> Entry:
        """A policy that commits to one fixed route on the model's estimates (p, cost: on the test questions)."""
        if p is None or cost is None:
            p, cost = model.predict(text_rows(self._test))
        fixed = [fixed_route(self._train.ladder, name) for name in model.names]
        seen = [fixed_results(self._train, f) for f in fixed]
        right, paid = (np.stack([part[i] for part in seen], axis=1) for i in (0, 1))
        candidates: list[Candidate] = []
        parts: list[Played] = []
        every = [self._always(f, p[:, i], p[:, self._column]) for i, f in enumerate(fixed)]
        for k, price in enumerate(self._prices):
            own = (price * model.held_out_p - model.held_out_cost).argmax(axis=1)
            at = np.arange(len(own)), own
            candidates.append(Candidate(Plan("ladder", index=k), right[at], paid[at]))
            parts.append(mixed(every, (price * p - cost).argmax(axis=1)))
        plan = self._choose(candidates, probing=False)
        curve = beside([*parts, self._always(self._reference)])
        if plan.kind == "ladder":
            own = (self._prices[plan.index] * model.held_out_p - model.held_out_cost).argmax(axis=1)
            mine = model.held_out_p[np.arange(len(own)), own] - candidates[plan.index].correct
            chosen = self._honest(parts[plan.index], mine, model.held_out_p[:, self._column])
        else:
            chosen = self._carry_out(plan, curve, None)
        return Entry(curve, chosen, p[:, 0], str(plan))

    def agreement(self) -> Entry:
        """The plain rule; its points are the best fixed route and the last behind it."""
        last = fixed_route(self._train.ladder, self._train.names[-1])
        rules = [self._agree(self._reference), self._agree(last)]
        same = agreeing(self._test).astype(np.float64)
        return Entry(beside(rules), rules[0], same, str(Plan("agreement", route=self._reference.name)))

    def _bought(self, chosen: Played) -> list[frozenset[int]]:
        """The tracks whose whole answer was bought for each question: what may be looked at."""
        ladder = self._train.ladder
        tops = {track.route: place for place, track in enumerate(ladder.tracks)}
        sets = [frozenset(tops[name] for name in path.bought if name in tops) for path in chosen.paths]
        return [sets[int(code)] for code in chosen.path[:, 0]]

    def _recorded(self) -> list[frozenset[int]]:
        """The tracks that the table has an answer of, for each question."""
        there = [~self._test.lacks(place) for place in range(len(self._test.ladder.tracks))]
        return [frozenset(np.flatnonzero(row).tolist()) for row in np.stack(there, axis=1)]

    def _choose(self, candidates: list[Candidate], *, probing: bool) -> Plan:
        objective = self._rules.objective
        return choose(self._train, self._reference, candidates, self._prices, objective, probing=probing)

    def _carry_out(self, plan: Plan, played: Played, policy: LadderPolicy | None) -> Played:
        if plan.kind == "fixed":
            return self._always(fixed_route(self._train.ladder, plan.route))
        if plan.kind == "agreement":
            return self._agree(fixed_route(self._train.ladder, plan.route))
        assert policy is not None
        k, held = plan.index, policy.held_out
        mine, reference, right = _doubles(held.p_correct[:, k], held.p_reference[:, k], held.correct[:, k])
        return self._honest(played.point(k), mine - right, reference)

    def _honest(self, chosen: Played, over: Doubles, p_reference: Doubles) -> Played:
        """The chosen point with probabilities that promise, on the training questions, the loss that came there.

        over: by how much each answer's probability promised too much; p_reference: the best fixed route's; (n,)."""
        came = fixed_results(self._train, self._reference)[0]
        return chosen.promising(float(p_reference.mean() - came.mean() - over.mean()))

    def _always(self, fixed: Fixed, p: Doubles | None = None, p_reference: Doubles | None = None) -> Played:
        mine = self._p_text[:, self._train.names.index(fixed.name)] if p is None else p
        return play_fixed(
            self._test, fixed, mine, self._p_text[:, self._column] if p_reference is None else p_reference
        )

    def _agree(self, behind: Fixed) -> Played:
        """The agreement rule with this route behind it, and what its training questions promise."""
        test, probes = self._test, self._test.probes
        same = agreeing(test)
        right, cost = agreement_results(test, behind)
        names = [test.ladder.tracks[track].route for track in probes]
        bought = tuple(dict.fromkeys([*names, behind.name]))
        paths = (Path(tuple(names), names[0]), Path(bought, behind.name))
        inputs, outputs = agreement_tokens(test, behind)
        p = np.where(same, self._p_seen[:, 0], self._p_seen[:, self._train.names.index(behind.name)])
        columns = (
            right,
            cost,
            inputs,
            outputs,
            p,
            self._p_seen[:, self._column],
        )
        return Played(paths, np.where(same, 0, 1)[:, None], *(column[:, None] for column in columns))


def fold_names(recording: Recording) -> list[str]:
    """The folds, in order."""
    return sorted(set(recording.folds.tolist()))


def _on(ladder: Ladder, fixed: Fixed) -> Fixed:
    """The reference by its place on this ladder; the ladder's last route where it has no such."""
    names = ladder.routes()
    return fixed_route(ladder, fixed.name if fixed.name in names else names[-1])


def _doubles(*parts: NDArray[Any]) -> list[Doubles]:
    return [np.asarray(part, np.float64) for part in parts]

"""Which point of a policy's curve, or which plain rule, an objective asks for: chosen on the training questions alone.

For `quality` the cheapest plan is taken that keeps the share of the best fixed route's correctness. What needs no
learning (a fixed route or budget, the plain agreement rule) stands beside the ladder, so a ladder that does not pay is
not the plan. Where the questions to come are of other benchmarks or topics, a plan must keep the share at one and a
half standard errors below its mean (random effects of groups, losses weighing more by the caution); learnt from one
group alone it gets no credit for a gain, as nothing says that the gain is not that group's own. Where they are of the
same kind, noise is no reason to pay more: a plan is refused only where it is half a standard error short, and among
fixed routes as good as each other to that precision the cheaper one is the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....domain import Objective, ObjectiveKind
from ...ladder import Fixed, fixed_route
from ..effects import pooled
from ..induction import fixed_results
from .recording import Recording

Doubles: TypeAlias = NDArray[np.float64]

SHIFT_CAUTION = 0.2
"""How much more a loss weighs than a gain where the questions to come are of other groups (induction.py)."""
SHIFT_ERRORS, SAME_ERRORS = 1.5, -0.5
"""Standard errors that a plan must stay clear of the wanted quality, under shift and without."""


@dataclass(frozen=True, slots=True)
class Plan:
    """kind `ladder`: the policy at the price with this index; `fixed`: one route; `agreement`: the first probe's answer
    where all probes agree, else this route."""

    kind: Literal["ladder", "fixed", "agreement"]
    index: int = 0
    route: str = ""

    def __str__(self) -> str:
        return {"ladder": f"ladder at price {self.index}", "fixed": f"always {self.route}"}.get(
            self.kind, f"the probes where they agree, else {self.route}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A plan and what it came to on the training questions: right and cost, (n,) each."""

    plan: Plan
    correct: Doubles
    cost: Doubles


def shifts(recording: Recording) -> bool:
    """Whether the questions to come are of other groups than those trained on."""
    return recording.constellation.hold_out_by != "query"


def best_fixed(train: Recording, *, shift: bool) -> Fixed:
    """The fixed route to be measured by: the most often right, ties to the cheaper.

    Under shift the last route, or the best budget of its own thought, unless another model is shown to be better (or
    answers alike and costs less): which of two models is the better one on a benchmark not seen, a few hundred
    questions of another do not tell, and the owner has named the last one as the one to rely on."""
    ranked: list[tuple[Fixed, Doubles, float]] = []
    for name in train.names:
        fixed = fixed_route(train.ladder, name)
        right, cost = fixed_results(train, fixed)
        ranked.append((fixed, right, float(cost.mean())))
    best = max(ranked, key=lambda entry: (entry[1].mean(), -entry[2]))
    if shift:
        last = ranked[-1][0].purchase.track
        own = max((r for r in ranked if r[0].purchase.track == last), key=lambda entry: (entry[1].mean(), -entry[2]))
        mean, error = pooled(best[1] - own[1], train.folds)
        return best[0] if mean - SHIFT_ERRORS * error >= 0 else own[0]
    for fixed, right, _ in sorted(ranked, key=lambda entry: entry[2]):
        mean, error = pooled(right - best[1], train.folds)
        if mean - SAME_ERRORS * error >= 0:
            return fixed
    return best[0]


def agreeing(recording: Recording) -> NDArray[np.bool_]:
    """Where all probes gave one answer that could be read, (n,)."""
    codes = recording.seen.answers[:, list(recording.probes)]
    return (codes == codes[:, :1]).all(axis=1) & (codes[:, 0] >= 0)


def can_agree(recording: Recording) -> bool:
    """Whether there are two probes or more whose answers can be compared."""
    return len(recording.probes) > 1 and bool(recording.constellation.answers_comparable)


def agreement_results(recording: Recording, fixed: Fixed) -> tuple[Doubles, Doubles]:
    """(right, cost) of the plain agreement rule with this route behind it, (n,) each: the first probe's answer where
    all probes agree, else the route's. A fallback that is a probe is paid once."""
    right, _ = fixed_results(recording, fixed)
    costs = [
        np.where(at, recording.cost_to(track, level), 0.0) for track, level, at in _agreement_buys(recording, fixed)
    ]
    return np.where(agreeing(recording), recording.correct[:, recording.probes[0]], right), np.sum(costs, axis=0)


def agreement_tokens(recording: Recording, fixed: Fixed) -> tuple[Doubles, Doubles]:
    """(input, output) tokens of the same, (n,) each."""
    buys = _agreement_buys(recording, fixed)
    inputs = [np.where(at, recording.input_tokens[:, track], 0.0) for track, _, at in buys]
    outputs = [np.where(at, recording.output_to(track, level), 0.0) for track, level, at in buys]
    return np.sum(inputs, axis=0), np.sum(outputs, axis=0)


def _agreement_buys(recording: Recording, fixed: Fixed) -> list[tuple[int, int, NDArray[np.bool_]]]:
    """(track, level, where it is bought): all probes, and what of the route behind them is not among them."""
    tops, differ = [track.top for track in recording.ladder.tracks], ~agreeing(recording)
    track, level = fixed.purchase.track, fixed.purchase.level
    behind = [(track, level, differ)]
    if fixed.fallback is not None:
        behind.append((fixed.fallback, tops[fixed.fallback], differ & recording.unfinished(track, level)))
    always = np.ones(len(recording), dtype=bool)
    probes = [(probe, tops[probe], always) for probe in recording.probes]
    return [*probes, *(entry for entry in behind if entry[0] not in recording.probes)]


def plain_candidates(train: Recording, *, probing: bool = True) -> list[Candidate]:
    """The fixed routes, then (where probes may be bought) the agreement rules."""
    fixed = [fixed_route(train.ladder, name) for name in train.names]
    found = [Candidate(Plan("fixed", route=f.name), *fixed_results(train, f)) for f in fixed]
    if probing and can_agree(train):
        behind = [f for f in fixed if f.purchase.track not in train.probes]
        found += [Candidate(Plan("agreement", route=f.name), *agreement_results(train, f)) for f in behind]
    return found


def choose(
    train: Recording,
    reference: Fixed,
    ladder: Sequence[Candidate],
    prices: Sequence[float],
    objective: Objective,
    *,
    probing: bool = True,
) -> Plan:
    """The plan for this objective. ladder: the policy at each price of an error, by held-out predictions; probing:
    whether the probes may be bought."""
    if objective.kind is ObjectiveKind.WILLINGNESS_TO_PAY:
        distance = np.abs(np.log(np.array(prices) / max(objective.value, 1e-12)))
        return ladder[int(distance.argmin())].plan
    every = [*plain_candidates(train, probing=probing), *ladder]
    if objective.kind is ObjectiveKind.MAX_COST:
        able = [c for c in every if c.cost.mean() <= objective.value]
        return max(
            able or every, key=lambda c: (c.correct.mean(), -c.cost.mean()) if able else (0.0, -c.cost.mean())
        ).plan
    base = fixed_results(train, reference)[0]
    allowed = (objective.value - 1) * base.mean()
    kept = [c for c in every if _keeps(c, reference, base, allowed, train)]
    return min(kept, key=lambda c: (c.cost.mean(), c.plan.kind == "ladder")).plan


def _keeps(candidate: Candidate, reference: Fixed, base: Doubles, allowed: float, train: Recording) -> bool:
    if candidate.plan == Plan("fixed", route=reference.name):
        return True
    return sure_gain(candidate.correct - base, train.folds, shift=shifts(train)) >= allowed


def sure_gain(difference: Doubles, folds: NDArray[np.str_], *, shift: bool) -> float:
    """How much of the difference (n,) in being right, question by question, may be relied on for questions to come.

    folds (n,): their groups; shift: whether the questions to come are of other groups. Then losses weigh more than
    gains, and of one group alone no gain is believed: nothing says that it is not that group's own."""
    caution = SHIFT_CAUTION if shift else 0.0
    mean, error = pooled(difference - caution * np.abs(difference), folds)
    if shift and len(set(folds.tolist())) < 2:
        mean = min(mean, 0.0)
    return mean - (SHIFT_ERRORS if shift else SAME_ERRORS) * error

"""From observations to a ladder that can serve: recorded questions with every route's answer, fitted by induction.

Only questions that every route has answered teach it, with a known outcome and length on each: those of `pointsman
calibrate`, of tables, or of traffic that was sent down all routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...classifiers import Embedder
from ...classifiers.answers import agreement_codes, text_likenesses
from ...classifiers.evidence import Seen
from ...classifiers.features import lexical_batch
from ...classifiers.ladder_model import LadderModel, StateModel
from ...domain import Json, Observation
from ...store import Constellation, RecordedRoute
from ..kept_thoughts import thinks_alike
from ..ladder import Ladder, State, Track, serving_ladder
from ..objectives import Point
from .evaluation.contest import error_prices
from .evaluation.plans import SHIFT_CAUTION, best_fixed, shifts, sure_gain
from .evaluation.recording import Recording, folds_by_question, question_of
from .evaluation.replay import Aim
from .induction import LadderPolicy, Terms, fixed_results, induce

Doubles: TypeAlias = NDArray[np.float64]

MIN_COMPLETE = 100
"""With fewer complete questions a ladder is not fitted."""
MAX_ROUTES = 7
"""A ladder of more routes has too many states to fit."""
LONGER = 1.25
"""How much longer than those learnt from an answer may become before it is cut."""
COMPARISON: Literal["free_text"] = "free_text"


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """A ladder fitted for the aim's routes, its points, and the recording that it was fitted on (with its policy's
    held-out results, for whoever compares)."""

    model: LadderModel
    points: tuple[Point, ...]
    recording: Recording
    policy: LadderPolicy

    def report(self, rung: int | None) -> Json:
        """For the training report: what the ladder came to, at the rung that the objective asks for (None: at none)."""
        told: Json = {"n": len(self.recording), "reference": self.model.reference, "rung": rung}
        if rung is not None:
            point = self.points[rung]
            told |= {"accuracy": point.accuracy, "sure": point.sure, "cost": point.cost}
        return told


def climb(observations: Sequence[Observation], aim: Aim, embedder: Embedder | None = None) -> Climbed | None:
    """The ladder that these observations teach; None where too few questions are complete, or routes too many.

    embedder: by which long answers are compared (None: they are not)."""
    if aim.calls or len(aim.routes) > MAX_ROUTES:
        return None
    recording = complete_recording(observations, aim, embedder)
    if recording is None or len(recording) < MIN_COMPLETE or not np.ptp(recording.correct):
        return None
    shift = shifts(recording)
    reference = best_fixed(recording, shift=shift)
    terms = Terms(error_prices(recording), reference, SHIFT_CAUTION if shift else 0.0)
    able = [route.name for route in aim.routes if route.capabilities.continues]
    cap = _cap(recording, reference.name, aim.cap)
    ladder = serving_ladder(recording.ladder.names(), reference.name, cap, able)
    # Nothing is asked about an answer that streams to the caller.
    paid = [0.0 if place in ladder.final else cost for place, cost in enumerate(recording.call_price)]
    recording = replace(
        recording, ladder=ladder, call_price=np.array(paid), kept=_kept(observations, recording, aim, cap)
    )
    policy = induce(recording, ladder, terms)
    points = _points(recording, policy, shift=shift)
    model = replace(_model(policy), texts=recording.seen.alike is not None)
    return Climbed(model, points, recording, policy)


def complete_recording(
    observations: Sequence[Observation], aim: Aim, embedder: Embedder | None = None
) -> Recording | None:
    """The questions that every route of the aim answered, with text, correctness and tokens. None where there are none.
    A call's price is what the probes about the answer cost on average.

    Their groups are the folds; where every question is its own group, five folds of questions."""
    names = [route.name for route in aim.routes]
    cells: dict[str, dict[str, Observation]] = defaultdict(dict)
    for o in observations:
        if o.route in names and o.text is not None and o.correct is not None and o.output_tokens is not None:
            cells[o.query_id].setdefault(o.route, o)
    ids = sorted(query for query, by_route in cells.items() if len(by_route) == len(names))
    if not ids:
        return None
    table = [[cells[query][name] for name in names] for query in ids]
    prompts = [row[0].text or "" for row in table]
    questions = tuple(question_of(prompt) for prompt in prompts)
    groups = [row[0].group for row in table]
    grouped = 1 < len(set(groups)) < len(set(questions)) / 2
    folds = np.array(groups if grouped else folds_by_question(questions))
    tokens = np.array([[float(o.output_tokens or 0.0) for o in row] for row in table])
    said = [[o.answer for o in row] for row in table]
    codes = agreement_codes(said, COMPARISON)
    alike = None if embedder is None else np.array([text_likenesses(answers, embedder) for answers in said])
    correct = np.array([[float(o.correct or 0.0) for o in row] for row in table])
    return Recording(
        file="the log",
        constellation=Constellation(
            "the log",
            tuple(RecordedRoute(r.name, r.model, r.mode, r.price) for r in aim.routes),
            hold_out_by="group" if grouped else "query",
            answers_comparable=COMPARISON,
        ),
        price="list",
        ladder=Ladder(tuple(Track(name) for name in names), ordered=True),
        ids=tuple(ids),
        prompts=tuple(prompts),
        questions=questions,
        groups=np.array(groups),
        folds=folds,
        strata=folds,
        correct=correct,
        samples=correct[np.newaxis],
        input_price=np.array([route.price.input / 1e6 for route in aim.routes]),
        output_price=np.array([route.price.output / 1e6 for route in aim.routes]),
        call_price=np.array([[o.probe_cost for o in row] for row in table]).mean(axis=0),
        input_tokens=np.array([[float(o.input_tokens or 0.0) for o in row] for row in table]),
        seen=Seen(lexical_batch(prompts), tokens, codes, _signs(table), alike),
    )


def _kept(
    observations: Sequence[Observation], recording: Recording, aim: Aim, cap: int | None
) -> dict[tuple[int, int], Doubles]:
    """Tokens of thought that one route leaves, cut at its budget, and another goes on with while serving
    (router/kept_thoughts.py), by their places: 0 where the thought ended, or nobody told how long it was."""
    thoughts = {(o.route, o.query_id): o.thought_tokens or 0.0 for o in reversed(observations)}
    found: dict[tuple[int, int], Doubles] = {}
    for i, first in enumerate(aim.routes):
        budget = first.thinking_budget
        for j, other in enumerate(aim.routes):
            more = other.thinking_budget is None or (budget is not None and other.thinking_budget > budget)
            if budget and more and other.capabilities.continues and thinks_alike(first, other):
                cut = np.array([thoughts.get((first.name, query), 0.0) >= budget for query in recording.ids])
                found[i, j] = np.where(cut, float(min(budget, cap or budget)), 0.0)
    return found


def _signs(table: Sequence[Sequence[Observation]]) -> dict[str, Doubles]:
    """What came with the answers, by name, each (n, R), NaN where it is not known."""
    names = sorted({name for row in table for o in row for name in o.signs})
    return {name: np.array([[o.signs.get(name, np.nan) for o in row] for row in table]) for name in names}


def _points(recording: Recording, policy: LadderPolicy, *, shift: bool) -> tuple[Point, ...]:
    """What the ladder came to at each price, and how much of it may be relied on."""
    base = fixed_results(recording, policy.terms.reference)[0]
    found: list[Point] = []
    for k in range(len(policy.terms.prices)):
        right, cost = policy.held_out.correct[:, k].astype(np.float64), policy.held_out.cost[:, k]
        sure = float(base.mean()) + sure_gain(right - base, recording.folds, shift=shift)
        sure = min(1.0, max(0.0, sure))
        found.append(Point(float(right.mean()), float(cost.mean()), rung=k, sure=sure))
    return tuple(found)


def _cap(recording: Recording, reference: str, most: int | None) -> int | None:
    """Tokens after which an answer is cut that is bought while serving: where it is longer than all that were learnt
    from, nothing is known of it and its end not worth waiting for; never more than `most`."""
    if most is None:
        return None
    names = recording.ladder.names()
    bought = [place for place, name in enumerate(names[:-1]) if name != reference]
    longest = float(recording.seen.tokens[:, bought].max()) if bought else 0.0
    return min(most, int(LONGER * longest) + 8)


def _model(policy: LadderPolicy) -> LadderModel:
    """The policy's fits as arrays."""
    resumes = [track for track in policy.ladder.tracks if track.resumes]
    states: dict[State, StateModel] = {}
    for state, node in policy.nodes.items():
        linear = node.smooth.linear if node.smooth is not None else None
        mean, scale, weights = linear or (None, None, None)
        kept = None if weights is None else weights.astype(np.float32)
        fitted = StateModel(node.done, len(node.actions), node.default, mean, scale, kept, begun=node.begun)
        if node.support is not None and kept is not None:
            fitted = replace(fitted, spread=node.support.spread, farthest=node.support.farthest)
        states[state] = fitted
    return LadderModel(
        tuple(track.route for track in policy.ladder.tracks),
        policy.terms.reference.name,
        policy.terms.prices,
        COMPARISON,
        policy.layout,
        states,
        resumes[0].budgets[0] if resumes else None,
        tuple(track.route for track in resumes),
    )

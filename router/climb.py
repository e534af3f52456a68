"""The ladder while serving: which state a query is in, and what to do there.

A pure function of what was bought so far: the answers' lengths, which could be read, which agree. The numbers come from
an artifact (classifiers/ladder_model.py), the structure from ladder.py; what is evaluated by replay is this same walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..classifiers import Embedder
from ..classifiers.answers import agreement_codes, text_likenesses
from ..classifiers.ladder_model import LadderModel, StateModel
from ..classifiers.ladder_table import LadderTable, table_of
from ..domain import Attempt, Finish, Purpose
from .ladder import Action, Answer, Ladder, Purchase, State, fixed_route, serving_ladder, state_actions
from .swapping import Load, Loads, gains

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """How a query may climb: the fitted ladder, the place of the price of an error, the query's lexical features, and
    by what long answers are compared. factor: today's prices by those that it was fitted at."""

    model: LadderModel
    price: int
    features: Floats
    embedder: Embedder | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Rung:
    """The next thing to do: buy this route, or answer with the attempt at this place of the evidence.

    final: nothing else can follow, so its answer may stream. p_correct, p_reference: probability that the answer
    given is right, and the best fixed route's; None where nothing was fitted or nothing is answered yet. little: too
    few training questions were here, or none like this one, to say what is worth its price; the route is then that of
    the best fixed route's next step, and whoever is to be safe answers. stays: what would have been loaded if that were
    for nothing, where something else is done; gains: see swapping.gains."""

    route: str
    bought: int | None
    final: bool
    p_correct: float | None = None
    p_reference: float | None = None
    little: bool = False
    stays: Load | None = None
    gains: Mapping[str, float] = field(default_factory=dict[str, float])


def next_rung(
    climb: Climb, evidence: Sequence[Attempt], can: Collection[str], loads: Loads | None = None
) -> Rung | None:
    """What to do after this evidence. can: the routes that can serve now; loads: what would have to be loaded for which
    of them. None where the ladder has nothing to say: no purchase is possible and no answer is whole."""
    model = climb.model
    ladder = ladder_of(model)
    answers = _answers(model, evidence)
    state = _state(ladder, answers, evidence)
    if state not in model.states:
        return None
    actions = state_actions(ladder, fixed_route(ladder, model.reference), state)
    allowed = [_allowed(ladder, action, answers, evidence, can) for action in actions]
    if not any(allowed):
        return None
    table = table_of(model, climb.price)
    predicted = table.predict_one(state, _row(table, climb, answers, evidence))
    fitted = model.states[state]
    needed = [_load(ladder, action, answers, evidence, loads or {}) for action in actions] if loads else ()
    place = _best(fitted, predicted, allowed, needed, climb.factor)
    rung = _rung(model, ladder, state, actions[place], answers, predicted, can)
    if not needed or predicted is None:
        return rung
    free = _best(fitted, predicted, allowed, (), climb.factor)
    worth = {str(at): climb.factor * gain for at, gain in enumerate(_gains(fitted, predicted).tolist()) if allowed[at]}
    missing = {str(at): load for at, load in enumerate(needed) if load is not None}
    return replace(rung, stays=needed[free], gains=gains(worth.items(), missing))


def ladder_of(model: LadderModel) -> Ladder:
    """The ladder that the model was fitted on."""
    return serving_ladder(model.routes, model.reference, model.cap, model.resumes)


def explained(climb: Climb, evidence: Sequence[Attempt]) -> str:
    """What the bought answers showed, in a few words; empty where nothing was bought."""
    answers = _answers(climb.model, evidence)
    if not answers:
        return ""
    begun = {name: evidence[place] for name, place in answers.items() if evidence[place].finish is Finish.LENGTH}
    cut = [f"{name}'s answer has not ended by {_length(attempt)} tokens" for name, attempt in begun.items()]
    whole = [name for name in answers if name not in begun]
    return ", ".join([*_whole_ones(climb, evidence, answers, whole), *cut])


def _whole_ones(
    climb: Climb, evidence: Sequence[Attempt], answers: Mapping[str, int], names: Sequence[str]
) -> list[str]:
    """What the answers that are whole showed; nothing where there are none."""
    if len(names) < 2:
        return [f"{name} has answered" for name in names]
    said = [_text(evidence[answers[name]]) for name in names]
    codes = agreement_codes([said], climb.model.comparison)[0]
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    if (codes >= 0).all() and (codes == codes[0]).all():
        return [f"{who} agree"]
    alike = _alike(climb, said)
    if alike is not None and alike.any():
        return [f"{who} have answered, alike to {alike.max():.0%}"]
    return [f"{who} differ"]


def _state(ladder: Ladder, answers: Mapping[str, int], evidence: Sequence[Attempt]) -> State:
    """Where the query stands: each route's answer not bought, begun and cut, or there."""
    levels: list[int] = []
    for track in ladder.tracks:
        place = answers.get(track.route)
        cut = place is not None and track.resumes and evidence[place].finish is Finish.LENGTH
        levels.append(0 if place is None else track.most if cut else track.top)
    return tuple(levels)


def _answers(model: LadderModel, evidence: Sequence[Attempt]) -> dict[str, int]:
    """The place of each route's first answer among the evidence, in the ladder's order. A call that failed is none, and
    one after which its route failed can neither be given nor gone on with."""
    found: dict[str, int] = {}
    for route in model.routes:
        for place, attempt in enumerate(evidence):
            if attempt.route != route or attempt.purpose is not Purpose.ANSWER:
                continue
            if attempt.error is None:
                found.setdefault(route, place)
            else:
                found.pop(route, None)
    return found


def _text(attempt: Attempt) -> str | None:
    """The answer as it is compared: one that was cut off cannot be read."""
    return attempt.answer if attempt.finish is Finish.STOP else None


def _length(attempt: Attempt) -> int:
    """Tokens of thought and answer, those included that it went on with."""
    return attempt.usage.output + attempt.kept


def _row(table: LadderTable, climb: Climb, answers: dict[str, int], evidence: Sequence[Attempt]) -> Doubles:
    """What was bought, as the table reads it."""
    model = climb.model
    said = [_text(evidence[answers[route]]) if route in answers else None for route in model.routes]
    codes = agreement_codes([said], model.comparison)[0].tolist()
    tokens = [float(_length(evidence[answers[r]])) if r in answers else 0.0 for r in model.routes]
    nothing: Mapping[str, float] = {}
    signs = [evidence[answers[r]].signs if r in answers else nothing for r in model.routes]
    return table.row(climb.features, tokens, codes, signs, _alike(climb, said))


def _alike(climb: Climb, said: Sequence[str | None]) -> Doubles | None:
    """How far each two of these answers that are texts say the same; None where the ladder does not compare texts."""
    return text_likenesses(said, climb.embedder) if climb.model.texts and climb.embedder is not None else None


def _allowed(
    ladder: Ladder, action: Action, answers: dict[str, int], evidence: Sequence[Attempt], can: Collection[str]
) -> bool:
    """Whether an action is possible: a purchase of a route that can serve, an answer that is whole and not empty, or
    was cut and can be gone on with."""
    track = ladder.tracks[action.track]
    if isinstance(action, Purchase):
        return track.route in can
    given = evidence[answers[track.route]]
    if given.finish is Finish.LENGTH:
        return track.resumes and track.route in can
    return given.finish in (Finish.STOP, Finish.TOOL_CALLS) and bool((given.answer or "").strip())


def _load(
    ladder: Ladder, action: Action, answers: dict[str, int], evidence: Sequence[Attempt], loads: Loads
) -> Load | None:
    """What would have to be loaded for an action; an answer that is there and whole needs nothing."""
    route = ladder.tracks[action.track].route
    if isinstance(action, Answer) and evidence[answers[route]].finish is not Finish.LENGTH:
        return None
    return loads.get(route)


def _gains(fitted: StateModel, predicted: Doubles) -> Doubles:
    """What each action is expected to gain, at the prices that the ladder was fitted at."""
    return predicted[len(fitted.answerable) + 1 :]


def _best(
    fitted: StateModel,
    predicted: Doubles | None,
    allowed: Sequence[bool],
    needed: Sequence[Load | None],
    factor: float,
) -> int:
    """The place of the possible action with the greatest gain, the loads that are `needed` charged, ties to what the
    best fixed route would do; without predictions that, or the last possible one."""
    places = [place for place, able in enumerate(allowed) if able]
    if predicted is None:
        return fitted.default if allowed[fitted.default] else places[-1]
    gain = _gains(fitted, predicted)

    def net(place: int) -> float:
        load = needed[place] if needed else None
        return float(gain[place]) - (load.charge / factor if load is not None else 0.0)

    return max(places, key=lambda place: (net(place), place == fitted.default))


def _rung(
    model: LadderModel,
    ladder: Ladder,
    state: State,
    action: Action,
    answers: dict[str, int],
    predicted: Doubles | None,
    can: Collection[str],
) -> Rung:
    route, little = model.routes[action.track], predicted is None
    answerable = model.states[state].answerable
    best = None if predicted is None else float(np.clip(predicted[len(answerable)], 0.0, 1.0))
    if isinstance(action, Answer):
        p = None if predicted is None else float(np.clip(predicted[answerable.index(action.track)], 0.0, 1.0))
        return Rung(route, answers[route], True, p, best, little)
    later = [name for name in model.routes[action.track + 1 :] if name in can]
    final = action.track in ladder.final or not later
    return Rung(route, None, final, best if route == model.reference else None, best, little)

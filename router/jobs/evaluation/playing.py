"""Policies played over recorded questions: what is bought, whose answer is given, what it costs.

Strict: a state's choice sees the text and the answers that were bought, nothing else: `evidence_rows` is given the
whole answers of the state and looks at no other column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...ladder import Answer, Fixed, Purchase, State
from ..induction import LadderPolicy, Node, fixed_results
from .recording import Recording

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Path:
    """What was bought, in order (route names), and the one of them whose answer was given."""

    bought: tuple[str, ...]
    answered_by: str


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """n questions at K points. path (n, K): index into paths. correct, cost (currency), input_tokens, output_tokens,
    p_correct (of the answer given), p_reference (of the best fixed route): (n, K)."""

    paths: tuple[Path, ...]
    path: Integers
    correct: Doubles
    cost: Doubles
    input_tokens: Doubles
    output_tokens: Doubles
    p_correct: Doubles
    p_reference: Doubles

    @property
    def columns(self) -> tuple[Doubles, ...]:
        """Everything but the paths, in the order of the fields."""
        tokens = self.input_tokens, self.output_tokens
        return self.correct, self.cost, *tokens, self.p_correct, self.p_reference

    def point(self, k: int) -> Played:
        """One of the points alone."""
        return Played(self.paths, self.path[:, k : k + 1], *(column[:, k : k + 1] for column in self.columns))

    def rows(self, kept: Integers) -> Played:
        """Only these questions."""
        return Played(self.paths, self.path[kept], *(column[kept] for column in self.columns))

    def promising(self, more: float) -> Played:
        """The same, every answer's probability moved by so much (held in [0, 1])."""
        return replace(self, p_correct=np.clip(self.p_correct + more, 0.0, 1.0))


class _Walk:
    """A policy's walk over questions: pairs of a question and a price stand in a state, with what they bought."""

    def __init__(self, policy: LadderPolicy, recording: Recording) -> None:
        self._policy, self._data = policy, recording
        shape = (len(recording), len(policy.terms.prices))
        self._paths: dict[Path, int] = {}
        self._trails: dict[tuple[str, ...], int] = {(): 0}
        self._trail_list: list[tuple[str, ...]] = [()]
        self._path = np.zeros(shape, dtype=np.int64)
        self._correct, self._cost, self._inputs, self._outputs = (np.zeros(shape) for _ in range(4))
        self._mine, self._reference = np.zeros(shape), np.zeros(shape)
        self._standing: dict[State, list[tuple[Integers, Integers, Integers]]] = {}

    def run(self) -> Played:
        n, size = self._path.shape
        rows, prices = np.repeat(np.arange(n), size), np.tile(np.arange(size), n)
        ladder = self._policy.ladder
        self._standing[ladder.root] = [(rows, prices, np.zeros(len(rows), dtype=np.int64))]
        for state in reversed(ladder.states()):
            if standing := self._standing.pop(state, None):
                self._decide(state, *(np.concatenate(parts) for parts in zip(*standing, strict=True)))
        return Played(
            tuple(self._paths),
            self._path,
            self._correct,
            self._cost,
            self._inputs,
            self._outputs,
            self._mine,
            self._reference,
        )

    def _decide(self, state: State, rows: Integers, prices: Integers, trails: Integers) -> None:
        node = self._policy.nodes[state]
        questions, place = np.unique(rows, return_inverse=True)
        predicted = self._recorded(node, self._policy.predict(state, self._data, questions), questions)
        chosen = self._policy.choose(state, predicted)[place, prices]
        for index, action in enumerate(node.actions):
            at = chosen == index
            if not at.any():
                continue
            if isinstance(action, Answer):
                p = predicted[place[at]]
                mine, reference = p[:, node.answerable.index(action.track)], p[:, len(node.answerable)]
                self._answer(state, action, rows[at], prices[at], trails[at], mine, reference)
            else:
                self._buy(state, action, rows[at], prices[at], trails[at])

    def _recorded(self, node: Node, predicted: Doubles, questions: Integers) -> Doubles:
        """The predictions, where a sample that the table does not have is the worst that could be bought."""
        lead, gains = np.split(predicted, [len(node.answerable) + 1], axis=1)
        shaped = gains.reshape(len(questions), len(node.actions), -1).copy()
        for place, action in enumerate(node.actions):
            if isinstance(action, Purchase):
                shaped[self._data.lacks(action.track)[questions], place] = -np.inf
        return np.concatenate([lead, shaped.reshape(gains.shape)], axis=1)

    def _answer(
        self,
        state: State,
        action: Answer,
        rows: Integers,
        prices: Integers,
        trails: Integers,
        mine: Doubles,
        reference: Doubles,
    ) -> None:
        to = rows, prices
        self._correct[to] = self._data.correct[rows, action.track]
        self._mine[to], self._reference[to] = np.clip(mine, 0.0, 1.0), np.clip(reference, 0.0, 1.0)
        track = self._data.ladder.tracks[action.track]
        self._pay(state, action.track, track.top, rows, prices)
        names = {track.name(level) for level in range(1, track.top + 1)}
        for trail in {int(trail) for trail in trails}:
            bought = self._trail_list[trail]
            path = Path(bought, next(name for name in reversed(bought) if name in names))
            at = trails == trail
            self._path[rows[at], prices[at]] = self._paths.setdefault(path, len(self._paths))

    def _buy(self, state: State, action: Purchase, rows: Integers, prices: Integers, trails: Integers) -> None:
        data, track, before = self._data, action.track, state[action.track]
        self._pay(state, track, action.level, rows, prices)
        if before == 0:
            self._inputs[rows, prices] += (data.input_tokens[:, track] + data.spared(state, track))[rows]
        name = data.ladder.tracks[track].name(action.level)
        longer = {int(trail): self._trail((*self._trail_list[int(trail)], name)) for trail in np.unique(trails)}
        trails = np.array([longer[int(trail)] for trail in trails], dtype=np.int64)
        open_still = data.unfinished(track, action.level)[rows]
        for ended in (True, False):
            at = open_still != ended
            if at.any():
                state_then = self._policy.ladder.after(state, action, ended=ended)
                self._standing.setdefault(state_then, []).append((rows[at], prices[at], trails[at]))

    def _pay(self, state: State, track: int, level: int, rows: Integers, prices: Integers) -> None:
        """Charge a track from where it is in this state up to a level."""
        data, to = self._data, (rows, prices)
        made = data.output_to(track, level) - data.output_to(track, state[track]) - data.spared(state, track)
        self._cost[to] += data.paid(state, track, level)[rows]
        self._outputs[to] += made[rows]

    def _trail(self, bought: tuple[str, ...]) -> int:
        if bought not in self._trails:
            self._trails[bought] = len(self._trail_list)
            self._trail_list.append(bought)
        return self._trails[bought]


def play(policy: LadderPolicy, recording: Recording) -> Played:
    """The policy over these questions (whose columns are the policy's ladder's), at each of its prices of an error."""
    return _Walk(policy, recording).run()


def play_fixed(recording: Recording, fixed: Fixed, p_correct: Doubles, p_reference: Doubles) -> Played:
    """One route for everything; probabilities (n,) as estimated from the text."""
    right, cost = fixed_results(recording, fixed)
    track, level = fixed.purchase.track, fixed.purchase.level
    inputs, outputs = recording.input_tokens[:, track], recording.output_to(track, level)
    if fixed.fallback is not None:
        cut = recording.unfinished(track, level)
        top = recording.ladder.tracks[fixed.fallback].top
        inputs = inputs + np.where(cut, recording.input_tokens[:, fixed.fallback], 0.0)
        outputs = outputs + np.where(cut, recording.output_to(fixed.fallback, top), 0.0)
    path = np.zeros((len(recording), 1), dtype=np.int64)
    columns = (values[:, None] for values in (right, cost, inputs, outputs, p_correct, p_reference))
    return Played((Path((fixed.name,), fixed.name),), path, *columns)


def joined(parts: Sequence[Played], order: Sequence[Integers], size: int) -> Played:
    """Results on parts of the questions as one: order[i] says where the rows of parts[i] belong among `size`."""
    paths: dict[Path, int] = {}
    points = parts[0].path.shape[1]
    path = np.zeros((size, points), dtype=np.int64)
    columns = [np.zeros((size, points)) for _ in parts[0].columns]
    for part, rows in zip(parts, order, strict=True):
        path[rows] = _codes(part, paths)[part.path]
        for column, values in zip(columns, part.columns, strict=True):
            column[rows] = values
    return Played(tuple(paths), path, *columns)


def beside(parts: Sequence[Played]) -> Played:
    """The points of all parts as one, in order; the questions are the same."""
    paths: dict[Path, int] = {}
    path = np.concatenate([_codes(part, paths)[part.path] for part in parts], axis=1)
    return Played(
        tuple(paths), path, *(np.concatenate(c, axis=1) for c in zip(*(p.columns for p in parts), strict=True))
    )


def mixed(parts: Sequence[Played], chosen: Integers) -> Played:
    """For each question the part with this place; the parts are of the same questions."""
    rows = [np.flatnonzero(chosen == place) for place in range(len(parts))]
    return joined([part.rows(at) for part, at in zip(parts, rows, strict=True)], rows, len(chosen))


def _codes(part: Played, paths: dict[Path, int]) -> Integers:
    """The places of a part's paths among `paths`, to which new ones are added."""
    return np.array([paths.setdefault(path, len(paths)) for path in part.paths], dtype=np.int64)

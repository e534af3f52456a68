"""Backward induction over a ladder's states: what each action is worth, learnt from what came of it.

For every state, those with most bought first, one regression (classifiers/smoothers.py) on what the state shows gives,
for each action and each price of an error, the expected gain over the best fixed route: `price * (right - right of the
best fixed route) - (cost - cost of going on as that route would)`. The best action by predictions that did not see the
question's block is followed, and what it came to is the target of the states before (Longstaff & Schwartz 2001, with
cross-fitting). So a state's value counts what later states will do, and none was fitted on its own mistakes.

*Caution* makes losses against the best fixed route count more than gains: with caution c a question that the best
fixed route gets right and this one wrong counts 1 + c, the other way round 1 - c. The level of a new benchmark cannot
be known; where two routes' answers differ, which of them is right there is the uncertain thing, and where they agree
nothing is. That is why a gain is drawn towards none exactly by how often the answers differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...classifiers.evidence import Layout, evidence_rows, layout_of
from ...classifiers.smoothers import Ridge, Smooth, Smoother
from ...classifiers.support import Support
from ..ladder import Action, Answer, Fixed, Ladder, Purchase, State, default_action, state_actions
from .evaluation.recording import Recording, folds_by_question

Doubles: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]
Came: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]

MIN_ROWS = 60
"""States that fewer training questions can reach go on as the best fixed route would."""
MAX_BLOCKS = 6
"""Groups are held out in at most this many blocks while fitting."""


@dataclass(frozen=True, slots=True)
class Terms:
    """prices (K,): of an error, ascending, in currency. reference: the best fixed route. caution in [0, 1)."""

    prices: tuple[float, ...]
    reference: Fixed
    caution: float = 0.0
    smoother: Smoother = field(default_factory=Ridge)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What a policy came to on n questions at K prices of an error, each array (n, K): right, cost, and the
    probabilities that the answer given and the best fixed route's are right."""

    correct: Floats
    cost: Floats
    p_correct: Floats
    p_reference: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A state: its actions, the one that the best fixed route would take (by its place), and the fitted predictions,
    None where too few questions were there. Columns of a prediction: a probability for each answer that may be given
    (whole, or begun and gone on with), that of the best fixed route (their means are `usual`), then the gain of each
    action at each price (actions x K). support: what evidence the fit may speak of."""

    actions: tuple[Action, ...]
    default: int
    done: tuple[int, ...]
    smooth: Smooth | None
    usual: Doubles
    support: Support | None = None
    begun: tuple[int, ...] = ()

    @property
    def answerable(self) -> tuple[int, ...]:
        """The tracks whose answer may be given, ascending."""
        return tuple(sorted((*self.done, *self.begun)))

    def rows(self, recording: Recording, layout: Layout, rows: Integers) -> Doubles:
        """What the state shows of these questions, (len(rows), p)."""
        return evidence_rows(self.done, recording.seen, layout, rows, self.begun)


@dataclass(frozen=True, slots=True, eq=False)
class LadderPolicy:
    """What to do in every state. held_out: results on the training questions by fits without their block."""

    ladder: Ladder
    terms: Terms
    layout: Layout
    nodes: Mapping[State, Node]
    held_out: Results

    def predict(self, state: State, recording: Recording, rows: Integers) -> Doubles:
        """Predictions for these questions in this state; where nothing was fitted, or nothing like them was there, the
        usual probabilities and no gains (the default is taken)."""
        node = self.nodes[state]
        unknown = np.concatenate([node.usual, np.zeros(len(node.actions) * len(self.terms.prices))])
        if node.smooth is None:
            return np.repeat(unknown[None], len(rows), axis=0)
        x = node.rows(recording, self.layout, rows)
        predicted = node.smooth.predict(x)
        return predicted if node.support is None else np.where(node.support.beyond(x)[:, None], unknown, predicted)

    def choose(self, state: State, predicted: Doubles) -> Integers:
        """The place of the best action for each row and price, (n, K); ties to the default."""
        node = self.nodes[state]
        size = len(self.terms.prices)
        if node.smooth is None:
            return np.full((len(predicted), size), node.default, dtype=np.int64)
        return best_action(predicted[:, len(node.answerable) + 1 :], len(node.actions), node.default)


def fixed_results(recording: Recording, fixed: Fixed) -> tuple[Doubles, Doubles]:
    """(right, cost) of a fixed route on every question, (n,) each."""
    track, level = fixed.purchase.track, fixed.purchase.level
    right, cost = recording.correct[:, track], recording.cost_to(track, level)
    if fixed.fallback is None:
        return right, cost
    cut = recording.unfinished(track, level)
    whole = recording.ladder.tracks[fixed.fallback].top
    other = recording.cost_to(fixed.fallback, whole)
    return np.where(cut, recording.correct[:, fixed.fallback], right), cost + np.where(cut, other, 0.0)


def blocks_of(groups: NDArray[np.str_], most: int = MAX_BLOCKS) -> Integers:
    """Which groups are held out together, (n,): at most `most` blocks of about one size, the largest groups first."""
    names, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    count = min(most, len(names))
    loads, block = np.zeros(count), np.zeros(len(names), dtype=np.int64)
    for group in sorted(range(len(names)), key=lambda g: (-sizes[g], names[g])):
        block[group] = int(loads.argmin())
        loads[block[group]] += sizes[group]
    return block[places]


def training_blocks(recording: Recording) -> Integers:
    """Which of the training questions are held out together while fitting, (n,): groups, or where there is one group
    only, questions within it. Predictions that did not see a question are what a ladder is fitted on; with one block
    there would be none."""
    several = len(set(recording.folds.tolist())) > 1
    return blocks_of(recording.folds if several else folds_by_question(recording.questions))


def best_action(gains: Doubles, actions: int, default: int) -> Integers:
    """The action with the greatest gain, (n, K), from gains (n, actions * K); ties to the default."""
    shaped = gains.reshape(len(gains), actions, -1)
    best = shaped.argmax(axis=1)
    tie = np.take_along_axis(shaped, best[:, None], axis=1)[:, 0] <= shaped[:, default]
    return np.where(tie, default, best)


class _Induction:
    """One fit: goes through the states and keeps what following the policy from each came to."""

    def __init__(self, recording: Recording, ladder: Ladder, terms: Terms) -> None:
        self._data, self._ladder, self._terms = recording, ladder, terms
        self._prices = np.array(terms.prices)
        self._blocks = training_blocks(recording)
        self._layout = layout_of(recording.seen)
        self._reference = fixed_results(recording, terms.reference)[0]
        self._values: dict[State, Results] = {}
        self._nodes: dict[State, Node] = {}

    def run(self) -> LadderPolicy:
        for state in self._ladder.states():
            self._visit(state)
        held_out = self._values[self._ladder.root]
        return LadderPolicy(self._ladder, self._terms, self._layout, self._nodes, held_out)

    def _visit(self, state: State) -> None:
        actions = state_actions(self._ladder, self._terms.reference, state)
        place = actions.index(default_action(self._ladder, self._terms.reference, state))
        rows = self._reaching(state)
        came = [self._came_to(state, action, rows) for action in actions]
        chosen = np.full((len(rows), len(self._prices)), place)
        done, begun = self._ladder.done(state), self._ladder.begun(state)
        node = Node(actions, place, done, None, np.zeros(0), begun=begun)
        every = np.stack([*(self._data.correct[:, t] for t in node.answerable), self._reference], axis=1)
        labels = every[rows]
        node = replace(node, usual=(labels if len(rows) else every).mean(axis=0))
        held_out = np.repeat(node.usual[None], len(rows), axis=0)
        if len(rows) >= MIN_ROWS:
            gains = np.stack([self._gain(rows, right, cost) for right, cost in came], axis=1)
            gains = (gains - gains[:, place : place + 1]).reshape(len(rows), -1)
            x = node.rows(self._data, self._layout, rows)
            targets = np.concatenate([labels, gains], axis=1)
            smooth = self._terms.smoother.fit(x, targets, self._blocks[rows], labels.shape[1])
            node = replace(node, smooth=smooth, support=Support.of(x, self._blocks[rows]))
            chosen = best_action(smooth.held_out[:, labels.shape[1] :], len(actions), place)
            held_out = smooth.held_out[:, : labels.shape[1]]
        self._nodes[state] = node
        self._values[state] = self._follow(state, node, rows, chosen, came, held_out)

    def _reaching(self, state: State) -> Integers:
        """The questions that can be in this state: every thought that it holds open has not ended there, and what is
        whole was whole when it could be bought no further."""
        reached = np.ones(len(self._data), dtype=bool)
        for track in self._ladder.open(state):
            reached &= self._data.unfinished(track, state[track])
        for track in self._ladder.done(state):
            if self._ladder.tracks[track].resumes:
                reached &= ~self._data.unfinished(track, self._ladder.tracks[track].most)
        return np.flatnonzero(reached)

    def _came_to(self, state: State, action: Action, rows: Integers) -> tuple[Came, Came]:
        """(right, cost from here on) of taking an action and following the policy afterwards, (n, K) each."""
        if isinstance(action, Answer):
            right = np.repeat(self._data.correct[rows, action.track][:, None], len(self._prices), axis=1)
            rest = self._rest(state, action)[rows][:, None]
            return right, np.repeat(rest, len(self._prices), axis=1)
        ended, going = self._next(state, action)
        paid = self._paid(state, action)[rows][:, None]
        if going is None:
            return self._values[ended].correct[rows], paid + self._values[ended].cost[rows]
        cut = self._data.unfinished(action.track, action.level)[rows][:, None]
        right = np.where(cut, self._values[going].correct[rows], self._values[ended].correct[rows])
        return right, paid + np.where(cut, self._values[going].cost[rows], self._values[ended].cost[rows])

    def _next(self, state: State, bought: Purchase) -> tuple[State, State | None]:
        """The states after a purchase: with the thought ended, and with it still open (None: it cannot be)."""
        ended = self._ladder.after(state, bought, ended=True)
        going = self._ladder.after(state, bought, ended=False)
        return ended, None if going == ended else going

    def _rest(self, state: State, given: Answer) -> Doubles:
        """What it costs to give an answer: nothing where it is whole, else going on with it."""
        return self._paid(state, Purchase(given.track, self._ladder.tracks[given.track].top))

    def _paid(self, state: State, bought: Purchase) -> Doubles:
        return self._data.paid(state, bought.track, bought.level)

    def _gain(self, rows: Integers, right: Came, cost: Came) -> Doubles:
        """Gain over the best fixed route in currency, losses of correctness weighing more by the caution."""
        difference = right - self._reference[rows][:, None]
        return self._prices * (difference - self._terms.caution * np.abs(difference)) - cost

    def _follow(
        self,
        state: State,
        node: Node,
        rows: Integers,
        chosen: Integers,
        came: Sequence[tuple[Came, Came]],
        held_out: Doubles,
    ) -> Results:
        """What following the policy from this state came to, over all questions (zero where the state cannot be)."""
        shape = (len(self._data), len(self._prices))
        if not len(rows):  # nothing is kept of what never is
            nothing = np.broadcast_to(np.float32(0), shape)
            return Results(nothing, nothing, nothing, nothing)
        right, cost, mine, reference = (np.zeros(shape, dtype=np.float32) for _ in range(4))  # half the memory
        for place, (action, (came_right, came_cost)) in enumerate(zip(node.actions, came, strict=True)):
            at = chosen == place
            if not at.any():
                continue
            row, price = np.nonzero(at)
            right[rows[row], price] = came_right[row, price]
            cost[rows[row], price] = came_cost[row, price]
            if isinstance(action, Answer):
                mine[rows[row], price] = held_out[row, node.answerable.index(action.track)]
                reference[rows[row], price] = held_out[row, -1]
                continue
            ended, going = self._next(state, action)
            cut = self._data.unfinished(action.track, action.level)[rows[row]]
            for target, where in ((ended, ~cut), (going, cut)):
                if target is not None and where.any():
                    to = rows[row[where]], price[where]
                    mine[to], reference[to] = self._values[target].p_correct[to], self._values[target].p_reference[to]
        return Results(right, cost, mine, reference)


def induce(recording: Recording, ladder: Ladder, terms: Terms) -> LadderPolicy:
    """Fit a ladder to recorded questions (all of them are training). The ladder's tracks are the recording's."""
    return _Induction(recording, ladder, terms).run()

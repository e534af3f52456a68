"""What an artifact that serves would do on a table: nothing is fitted, its own estimates and its own plan decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers import Artifact, Embedder
from ....classifiers.ladder_model import LadderModel
from ....classifiers.smoothers import Predict, Smooth
from ....classifiers.support import Standard, with_constant
from ....domain import Objective, Price
from ....errors import DataError
from ...climb import ladder_of
from ...ladder import Fixed, Ladder, fixed_route, state_actions
from ...objectives import Climbing, Plan, Point, Priced, plan
from ...objectives import Fixed as FixedPlan
from ...pricing import PER
from ..induction import LadderPolicy, Node, Results, Terms
from .contest import Entry
from .playing import Played, mixed, play, play_fixed
from .recording import Recording

Doubles: TypeAlias = NDArray[np.float64]


def serving_entry(artifact: Artifact, recording: Recording, objective: Objective, embedder: Embedder) -> Entry:
    """The artifact's policy on every question of the table, at the point that the objective asks of its own curve.

    Raises DataError where the constellation's routes are not those that it was trained for, by name."""
    names = [route.name for route in artifact.routes]
    strange = [name for name in recording.names if name not in names]
    if strange:
        problem = f"the artifact {artifact.id} knows the routes {', '.join(names)}, not {', '.join(strange)}"
        raise DataError(problem, file=recording.constellation.source)
    curve = tuple(Point(p.accuracy, p.cost, p.error_price, p.route, p.rung, p.sure) for p in artifact.policy)
    wanted = plan(objective, curve)
    estimates = _Estimates(artifact, recording, embedder)
    reference = max((p for p in curve if p.route is not None), key=lambda p: (p.accuracy, -p.cost), default=None)
    best = fixed_route(recording.ladder, reference.route if reference and reference.route else recording.names[-1])
    chosen, said = _carried_out(wanted, artifact, recording, estimates, best)
    return Entry(None, chosen, estimates.p[:, 0], said)


class _Estimates:
    """The artifact's estimates on the text: p and expected cost (in its own currency), (n, names) each; beyond (n,):
    which texts it was taught by nothing like."""

    def __init__(self, artifact: Artifact, recording: Recording, embedder: Embedder) -> None:
        names = [route.name for route in artifact.routes]
        columns = [names.index(name) for name in recording.names]
        embedded = embedder.encode(list(recording.prompts))
        told = artifact.estimator.predict(recording.seen.features, embedded)
        self.beyond = told.beyond
        self.p: Doubles = np.asarray(told.p_correct[:, columns], np.float64)
        prices = artifact.prices or [Price(0.1, 0.0, 1.0)] * len(names)
        inputs, outputs = told.input_tokens[:, columns], told.output_tokens[:, columns]
        per = [(prices[c].input / PER, prices[c].output / PER) for c in columns]
        self.cost: Doubles = np.stack(
            [per_in * inputs[:, i] + per_out * outputs[:, i] for i, (per_in, per_out) in enumerate(per)], axis=1
        )


def _carried_out(
    wanted: Plan | None, artifact: Artifact, recording: Recording, estimates: _Estimates, best: Fixed
) -> tuple[Played, str]:
    """The plan played, and what it is called."""
    p_best = estimates.p[:, recording.names.index(best.name)]

    def always(name: str) -> Played:
        return play_fixed(
            recording, fixed_route(recording.ladder, name), estimates.p[:, recording.names.index(name)], p_best
        )

    if wanted is None or isinstance(wanted, FixedPlan):
        name = wanted.route if wanted is not None else recording.names[-1]
        return always(name), f"always {name}"
    if isinstance(wanted, Climbing) and artifact.ladder is not None:
        ladder = ladder_of(artifact.ladder)
        policy = as_policy(artifact.ladder, ladder)
        answered = _compared(recording.along(ladder), texts=artifact.ladder.texts)
        return play(policy, answered).point(wanted.rung), f"ladder at price {wanted.rung}"
    price = wanted.error_price if isinstance(wanted, Priced) else 0.0
    value = price * estimates.p - estimates.cost
    # Of a text like none that it was taught by the artifact says nothing: the dearest stands for the safe route.
    chosen = np.where(estimates.beyond, len(recording.names) - 1, value.argmax(axis=1))
    return mixed([always(name) for name in recording.names], chosen), "on the text"


def _compared(recording: Recording, *, texts: bool) -> Recording:
    """The recording for a ladder that compares texts too: what a table has are short answers, alike or not."""
    if not texts:
        return recording
    n, routes = recording.seen.tokens.shape
    return replace(recording, seen=replace(recording.seen, alike=np.zeros((n, routes, routes))))


def as_policy(model: LadderModel, ladder: Ladder) -> LadderPolicy:
    """A stored ladder as a policy that can be played."""
    reference = fixed_route(ladder, model.reference)
    nodes: dict[tuple[int, ...], Node] = {}
    nothing = np.zeros((0, 0))
    for state, fitted in model.states.items():
        predict = _product(fitted.mean, fitted.scale, fitted.weights)
        smooth = None if predict is None else Smooth(nothing, predict)
        lead = len(fitted.answerable) + 1  # the constant of standardised columns is the mean
        usual = np.zeros(lead) if fitted.weights is None else fitted.weights[0, :lead].astype(np.float64)
        actions = state_actions(ladder, reference, state)
        nodes[state] = Node(actions, fitted.default, fitted.done, smooth, usual, fitted.support, fitted.begun)
    empty = np.zeros((0, len(model.prices)), np.float32)
    results = Results(empty, empty, empty, empty)
    return LadderPolicy(ladder, Terms(model.prices, reference), model.layout, nodes, results)


def _product(mean: Doubles | None, scale: Doubles | None, weights: NDArray[np.float32] | None) -> Predict | None:
    """(1, standardised rows) times the weights; None where nothing was fitted."""
    if mean is None or scale is None or weights is None:
        return None
    standard, w = Standard(mean, scale), weights.astype(np.float64)
    return lambda rows: with_constant(standard(rows)) @ w

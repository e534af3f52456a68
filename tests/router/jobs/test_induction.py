"""Backward induction by hand: on tables so plain that the best thing to do is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from recorded import B100, BUDGETS, FULL, SECOND, SMALL, Row, constellation, row, table, world

from pointsman.classifiers.smoothers import Classes, Ridge
from pointsman.router.jobs.evaluation.plans import fixed_results, fixed_route
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.recording import Recording
from pointsman.router.jobs.induction import MIN_ROWS, LadderPolicy, Terms, best_action, blocks_of, induce
from pointsman.router.ladder import Answer, Ladder, Purchase
from pointsman.store import DerivedRoute, RecordedRoute


def agreeing(n: int = 200) -> list[Row]:
    """The two cheap routes (cost 5 each) agree on every other question and are right there; full (101) always is."""
    rows: list[Row] = []
    for i in range(n):
        easy = i % 2 == 0
        place = {"group": f"g{i % 4}", "prompt": "the same text"}
        said = ("A", "A") if easy else ("B", "C")
        rows += [
            row(f"q{i:03}", "small", float(easy), 4.0, **place, answer=said[0]),
            row(f"q{i:03}", "second", float(easy), 4.0, **place, answer=said[1]),
        ]
        rows.append(row(f"q{i:03}", "full", 1.0, 100.0, **place))
    return rows


def fitted(
    rows: list[Row],
    prices: tuple[float, ...],
    routes: Sequence[RecordedRoute | DerivedRoute] = (SMALL, SECOND, FULL),
    *,
    caution: float = 0.0,
) -> tuple[LadderPolicy, Recording]:
    """A policy of a table of agreement classes, next to no shrinkage."""
    recording = read_recording(table(rows), constellation(routes))
    ladder = Ladder(recording.ladder.tracks)
    terms = Terms(prices, fixed_route(ladder, "full"), caution, Classes(prior=1e-6))
    return induce(recording, ladder, terms), recording


def test_evidence_is_bought_where_it_is_worth_its_price_and_used() -> None:
    """Both cheap answers cost 10, save 101 on every other question: 10 + 101 / 2. At a price of an error of 1 a cheap
    answer (5 and a right answer of two) beats everything; at 1000 agreement decides."""
    policy, _ = fitted(agreeing(), (1.0, 1000.0))
    held = policy.held_out
    assert held.cost[:, 0] == pytest.approx(5.0)
    assert held.correct[:, 0].mean() == 0.5
    assert held.cost[:, 1].mean() == pytest.approx(10 + 101 / 2)
    assert held.cost[::2, 1] == pytest.approx(10.0)
    assert (held.correct[:, 1] == 1).all()
    assert held.p_correct[:, 1] == pytest.approx(1.0, abs=0.01)


def test_the_gains_of_actions_by_hand() -> None:
    """After both cheap answers that agree: answering gains the 101 that full would cost, as often right."""
    policy, recording = fitted(agreeing(), (1000.0,))
    state, rows = (1, 1, 0), np.arange(2)
    predicted = policy.predict(state, recording, rows)
    actions = policy.nodes[state].actions
    gains = dict(zip(actions, predicted[:, 3:].T, strict=True))  # behind small's, second's and the best route's labels
    assert gains[Answer(0)] == pytest.approx([101.0, 101.0 - 1000.0], abs=0.1)
    assert gains[Purchase(2, 1)] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert predicted[:, 0] == pytest.approx([1.0, 0.0], abs=0.01)
    assert predicted[:, 2] == pytest.approx([1.0, 1.0], abs=0.01)
    assert policy.choose(state, predicted)[:, 0].tolist() == [actions.index(Answer(0)), actions.index(Purchase(2, 1))]


def test_a_state_counts_what_later_states_will_do() -> None:
    """At the root, buying a first cheap answer is worth what the second will tell: 101 / 2 saved for 10."""
    policy, recording = fitted(agreeing(), (1000.0,))
    root = policy.predict((0, 0, 0), recording, np.arange(1))[0, 1:]
    gains = dict(zip(policy.nodes[0, 0, 0].actions, root, strict=True))
    assert gains[Purchase(0, 1)] == pytest.approx(101 - (10 + 101 / 2), abs=0.1)
    assert gains[Purchase(2, 1)] == 0


def test_caution_makes_a_loss_weigh_more_than_a_gain() -> None:
    """Small right where full is wrong as often as the other way round: without caution a coin's gain, with it none."""
    rows = [
        r | {"correct": float((i // 12) % 2 == (r["model"] == "m-full")), "answer": None}
        for i, r in enumerate(agreeing())
    ]
    plain, recording = fitted(rows, (400.0,))
    careful, _ = fitted(rows, (400.0,), caution=0.5)
    assert plain.held_out.cost.mean() == pytest.approx(5.0)
    assert careful.held_out.cost.mean() == pytest.approx(101.0)
    assert len(recording) == 200


def test_a_continued_thought_is_charged_once() -> None:
    """Every thought has 250 tokens and is right, small never: b100 and then full cost what full costs, and no more."""
    rows = [r | ({"output_tokens": 250.0} if r["model"] == "m-full" else {"correct": 0.0}) for r in agreeing()]
    policy, recording = fitted(rows, (1e4,), (SMALL, B100, FULL))
    assert policy.held_out.cost[:, 0] == pytest.approx(251.0)
    actions = policy.nodes[0, 1].actions
    assert set(actions) == {Purchase(0, 1), Purchase(1, 2)}
    # From the cut, going on costs the other 150 (not another 251); small's answer costs 5 for nothing, or all.
    gain = policy.predict((0, 1), recording, np.arange(1))[0, 1:]
    assert gain[actions.index(Purchase(0, 1))] == pytest.approx(-5, abs=0.1)
    after = policy.predict((1, 1), recording, np.arange(1))[0, 2:]
    assert after[policy.nodes[1, 1].actions.index(Answer(0))] == pytest.approx(-1e4 + 150, abs=0.1)


def test_a_state_is_fitted_on_the_questions_that_can_be_in_it() -> None:
    """A thought that ended by 100 tokens cannot stand open there; too few that can: the best route goes on."""
    rows = [
        r | ({"output_tokens": 50.0} if r["model"] == "m-full" and i > 30 else {}) for i, r in enumerate(agreeing())
    ]
    policy, _ = fitted(rows, (1e4,), (SMALL, B100, FULL))
    node = policy.nodes[0, 1]
    assert node.actions[node.default] == Purchase(1, 2)
    gains = policy.predict((0, 1), read_recording(table(rows), constellation((SMALL, B100, FULL))), np.arange(3))
    assert (policy.choose((0, 1), gains) == node.default).all()
    assert len(agreeing()) / 3 > MIN_ROWS > 30


@pytest.mark.parametrize("reference", ["full", "b300", "small", "second"])
def test_without_anything_to_learn_the_policy_is_the_best_fixed_route(reference: str) -> None:
    """Fewer questions than a fit needs: in every state what the best fixed route would do, fallback included."""
    recording = read_recording(table(world(MIN_ROWS - 10)), constellation(BUDGETS))
    ladder = Ladder(recording.ladder.tracks, ordered=True)
    fixed = fixed_route(ladder, reference)
    policy = induce(recording, ladder, Terms((50.0, 5e4), fixed))
    right, cost = fixed_results(recording, fixed)
    for k in range(2):
        assert policy.held_out.cost[:, k] == pytest.approx(cost, rel=1e-6)
        assert (policy.held_out.correct[:, k] == right).all()


def test_held_out_results_do_not_know_their_own_labels() -> None:
    """Labels drawn by lot: following held-out predictions is right no more often than any route is."""
    rng = np.random.default_rng(0)
    rows = [r | {"correct": float(rng.random() < 0.5), "output_tokens": 4.0} for r in world(800)]
    recording = read_recording(table(rows), constellation())
    ladder = Ladder(recording.ladder.tracks)
    policy = induce(recording, ladder, Terms((1e5,), fixed_route(ladder, "full"), 0.0, Ridge()))
    assert policy.held_out.correct.mean() == pytest.approx(0.5, abs=0.05)


def test_ties_go_to_what_the_best_route_would_do() -> None:
    gains = np.array([[1.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]])  # two actions at two prices
    assert best_action(gains, 2, 1).tolist() == [[1, 1], [1, 1]]
    assert best_action(gains, 2, 0).tolist() == [[0, 1], [0, 0]]


def test_groups_are_held_out_whole_in_blocks_of_about_one_size() -> None:
    groups = np.repeat([f"g{i}" for i in range(10)], [100, 90, 10, 10, 10, 10, 10, 10, 10, 10])
    blocks = blocks_of(groups, 4)
    assert all(len(set(blocks[groups == g].tolist())) == 1 for g in set(groups.tolist()))
    assert sorted(np.bincount(blocks).tolist()) == [40, 40, 90, 100]
    order = np.random.default_rng(0).permutation(len(groups))
    assert (blocks_of(groups[order], 4) == blocks[order]).all()
    assert set(blocks_of(np.array(["a", "b"])).tolist()) == {0, 1}

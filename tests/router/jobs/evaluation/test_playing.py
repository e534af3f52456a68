"""Playing: purchases in order, paid once, answered by one of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from recorded import B100, B300, BUDGETS, FULL, SMALL, Bill, Row, constellation, row, table, world

from pointsman.router.jobs.evaluation.plans import fixed_route
from pointsman.router.jobs.evaluation.playing import Path, Played, beside, joined, mixed, play, play_fixed
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.recording import Recording
from pointsman.router.jobs.induction import LadderPolicy, Terms, induce
from pointsman.router.ladder import Action, Answer, Ladder, Purchase, State

ROUTES = constellation((SMALL, B100, B300, FULL), probes=("small",))


def rows() -> list[Row]:
    """Four thoughts: of 80, 250, 900 and 100 tokens."""
    made: list[Row] = []
    for i, thought in enumerate((80.0, 250.0, 900.0, 100.0)):
        made += [row(f"q{i}", "small", 1.0, 4.0), row(f"q{i}", "full", float(i != 1), thought)]
    return made


def scripted(recording: Recording, script: Mapping[State, Action]) -> LadderPolicy:
    """A policy that was fitted on nothing and does in each state what the script says (else what full would do)."""
    ladder = Ladder(recording.ladder.tracks)
    policy = induce(recording.rows(np.arange(2)), ladder, Terms((1.0,), fixed_route(ladder, "full")))

    class Scripted(LadderPolicy):
        def choose(self, state: State, predicted: np.ndarray) -> np.ndarray:
            node = self.nodes[state]
            place = node.actions.index(script[state]) if state in script else node.default
            return np.full((len(predicted), 1), place)

    return Scripted(policy.ladder, policy.terms, policy.layout, policy.nodes, policy.held_out)


def played(script: Mapping[State, Action]) -> list[tuple[tuple[str, ...], str, float, float]]:
    """(bought, answered by, right, cost) of each question."""
    recording = read_recording(table(rows()), ROUTES)
    done = play(scripted(recording, script), recording)
    paths = [done.paths[code] for code in done.path[:, 0]]
    bill = Bill(rows(), ROUTES)
    for i, (path, query) in enumerate(zip(paths, recording.ids, strict=True)):
        claimed = [column[i, 0] for column in done.columns[:4]]
        right, inputs, outputs, cost = bill.of(query, path.bought, path.answered_by)
        assert claimed == pytest.approx([right, cost, inputs, outputs])
    return [(p.bought, p.answered_by, done.correct[i, 0], done.cost[i, 0]) for i, p in enumerate(paths)]


def test_a_thought_that_ends_is_answered_one_that_does_not_goes_on_and_is_charged_once() -> None:
    """Up to 100, then to 300, then whole: 1 for input and so many tokens as were thought."""
    found = played({(0, 0): Purchase(1, 1), (0, 1): Purchase(1, 2), (0, 2): Purchase(1, 3)})
    assert found == [
        (("b100",), "b100", 1, 81),
        (("b100", "b300"), "b300", 0, 251),
        (("b100", "b300", "full"), "full", 1, 901),
        (("b100",), "b100", 1, 101),
    ]


def test_a_fallback_is_paid_once_before_or_after_the_cut() -> None:
    cut, first = {(0, 0): Purchase(1, 1), (0, 1): Purchase(0, 1), (1, 1): Answer(0)}, {(0, 0): Purchase(0, 1)}
    after = played(cut)
    assert after[1] == (("b100", "small"), "small", 1, 101 + 5)
    assert after[0] == (("b100",), "b100", 1, 81)
    before = played({**first, (1, 0): Purchase(1, 1), (1, 1): Answer(0), (1, 3): Answer(1)})
    assert before[1] == (("small", "b100"), "small", 1, 5 + 101)
    assert before[0] == (("small", "b100"), "b100", 1, 5 + 81)
    assert played({(0, 0): Purchase(0, 1), (1, 0): Answer(0)})[2] == (("small",), "small", 1, 5)


@pytest.mark.parametrize("name", ["small", "b100", "b300", "full"])
def test_a_fixed_route_costs_what_buying_it_costs(name: str) -> None:
    recording, bill = read_recording(table(rows()), ROUTES), Bill(rows(), ROUTES)
    p = np.linspace(0, 1, 4)
    done = play_fixed(recording, fixed_route(recording.ladder, name), p, 1 - p)
    assert done.paths == (Path((name,), name),)
    for i, query in enumerate(recording.ids):
        right, inputs, outputs, cost = bill.of(query, [name], name)
        assert [column[i, 0] for column in done.columns] == pytest.approx(
            [right, cost, inputs, outputs, p[i], 1 - p[i]]
        )


def test_the_fitted_policy_plays_as_it_was_valued() -> None:
    """On its training questions at every price the costs are those of what it bought (and work is its tokens)."""
    made = world(150)
    routes = constellation(BUDGETS)
    recording = read_recording(table(made), routes)
    ladder = Ladder(recording.ladder.tracks, ordered=True)
    policy = induce(recording, ladder, Terms((10.0, 300.0, 5e3), fixed_route(ladder, "full")))
    done, bill = play(policy, recording), Bill(made, routes)
    assert done.path.shape == (150, 3)
    for i, query in enumerate(recording.ids):
        for k in range(3):
            path = done.paths[done.path[i, k]]
            assert path.answered_by in path.bought
            right, inputs, outputs, cost = bill.of(query, path.bought, path.answered_by)
            assert [column[i, k] for column in done.columns[:4]] == pytest.approx([right, cost, inputs, outputs])
    assert (done.p_correct >= 0).all()
    assert (done.p_correct <= 1).all()


def some(name: str, value: float, n: int = 3) -> Played:
    """One point at which everything is this."""
    return Played((Path((name,), name),), np.zeros((n, 1), np.int64), *(np.full((n, 1), value) for _ in range(6)))


def test_parts_are_put_where_they_belong() -> None:
    whole = joined([some("a", 1.0, 2), some("b", 2.0, 1)], [np.array([2, 0]), np.array([1])], 3)
    assert whole.correct[:, 0].tolist() == [1, 2, 1]
    assert [whole.paths[c].answered_by for c in whole.path[:, 0]] == ["a", "b", "a"]


def test_points_stand_beside_each_other_and_questions_are_chosen_among_parts() -> None:
    both = beside([some("a", 1.0), some("b", 2.0), some("a", 3.0)])
    assert both.cost.tolist() == [[1, 2, 3]] * 3
    assert len(both.paths) == 2
    assert both.point(1).cost[:, 0].tolist() == [2, 2, 2]
    mix = mixed([some("a", 1.0), some("b", 2.0)], np.array([1, 0, 1]))
    assert mix.cost[:, 0].tolist() == [2, 1, 2]
    assert [mix.paths[c].answered_by for c in mix.path[:, 0]] == ["b", "a", "b"]


def test_a_promise_is_moved_within_bounds() -> None:
    assert some("a", 0.9).promising(0.3).p_correct[0, 0] == 1.0
    assert some("a", 0.9).promising(-0.3).p_correct[0, 0] == pytest.approx(0.6)
    assert some("a", 0.9).promising(-0.3).p_reference[0, 0] == 0.9

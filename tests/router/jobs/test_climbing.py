"""From observations to a ladder: what is counted, what is held out together, what may be relied on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pointsman.classifiers.features import lexical_batch
from pointsman.domain import Capabilities, Objective, Observation, Price, Route, Usage
from pointsman.router.climb import ladder_of
from pointsman.router.jobs import climbing
from pointsman.router.jobs.climbing import MAX_ROUTES, MIN_COMPLETE, climb, complete_recording
from pointsman.router.jobs.effects import pooled
from pointsman.router.jobs.evaluation.plans import SAME_ERRORS, SHIFT_CAUTION, SHIFT_ERRORS
from pointsman.router.jobs.evaluation.playing import play
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.evaluation.serving import as_policy
from pointsman.router.ladder import Answer, Ladder
from pointsman.router.pricing import cost

ROUTES = (
    Route("small", "m", "direct", 0, Price(1.0, 0.0, 2.0)),
    Route("full", "m", "think", None, Price(3.0, 0.0, 8.0)),
)
AIM = Aim(ROUTES, Objective(), "full")


def pair(i: int, group: str, *, seed: int = 0) -> list[Observation]:
    """A question that small is right on every other time, sure only then; full on nineteen of twenty."""
    rng = np.random.default_rng([seed, i])
    easy, right = i % 2 == 0, float(rng.random() < 0.95)
    shared = {"text": f"Question {i}?", "group": group, "query_id": f"q{i:03}"}
    said = "7" if easy else "8"
    signs = {"mean_probability": 0.9 + 0.1 * rng.random() if easy else 0.5 * rng.random()}
    return [
        Observation(
            route="small", correct=float(easy), input_tokens=20.0, output_tokens=2.0, answer=said, signs=signs, **shared
        ),
        Observation(route="full", correct=right, input_tokens=20.0, output_tokens=90.0, answer="7", **shared),
    ]


def logged(n: int, group: Callable[[int], str] = lambda i: f"g{i % 6}") -> list[Observation]:
    return [o for i in range(n) for o in pair(i, group(i))]


def test_the_recording_has_what_was_logged() -> None:
    recording = complete_recording(logged(8), AIM)
    assert recording is not None
    assert recording.ids == tuple(f"q{i:03}" for i in range(8))
    assert recording.ladder.names() == ["small", "full"]
    assert recording.correct[:, 0].tolist() == [1, 0] * 4
    assert recording.seen.tokens.tolist() == [[2, 90]] * 8
    assert recording.input_tokens.tolist() == [[20, 20]] * 8
    assert recording.seen.answers.tolist() == [[0, 0], [0, 1]] * 4
    np.testing.assert_array_equal(recording.seen.features, lexical_batch([f"Question {i}?" for i in range(8)]))
    assert recording.cost_to(1, 1) == pytest.approx((20 * 3 + 90 * 8) / 1e6)


def test_signs_are_columns_of_the_answers_that_they_came_with() -> None:
    rows = logged(4)
    rows[2] = replace(rows[2], signs={})
    rows[7] = replace(rows[7], signs={"first_margin": 0.25})
    recording = complete_recording(rows, AIM)
    assert recording is not None
    signs = recording.seen.signs
    assert set(signs) == {"mean_probability", "first_margin"}
    assert np.isnan(signs["mean_probability"]).tolist() == [[False, True], [True, True]] + [[False, True]] * 2
    assert signs["mean_probability"][0, 0] == rows[0].signs["mean_probability"]
    assert np.nansum(signs["first_margin"]) == signs["first_margin"][3, 1] == 0.25


@pytest.mark.parametrize("lacking", ["text", "correct", "output_tokens"])
def test_only_questions_that_every_route_answered_count(lacking: str) -> None:
    """With text, a known outcome and a known length; other routes' answers are not looked at."""
    rows = logged(6)
    rows[2] = replace(rows[2], **{lacking: None})
    del rows[9]
    rows.append(replace(rows[0], route="strange", query_id="q009"))
    recording = complete_recording(rows, AIM)
    assert recording is not None
    assert recording.ids == ("q000", "q002", "q003", "q005")


def test_of_several_answers_of_a_route_the_first_counts_and_what_was_not_known_may_come_later() -> None:
    rows = logged(2)
    late = [replace(rows[0], correct=0.0, output_tokens=5.0, sample=1)]
    recording = complete_recording([replace(rows[2], correct=None), *rows, *late], AIM)
    assert recording is not None
    assert recording.correct[:, 0].tolist() == [1, 0]
    assert recording.seen.tokens[:, 0].tolist() == [2, 2]


def test_without_a_complete_question_there_is_no_recording() -> None:
    assert complete_recording([o for o in logged(5) if o.route == "small"], AIM) is None
    assert complete_recording([], AIM) is None


def test_groups_are_held_out_where_there_are_some() -> None:
    recording = complete_recording(logged(24), AIM)
    assert recording is not None
    assert recording.constellation.hold_out_by == "group"
    assert recording.folds.tolist() == [f"g{i % 6}" for i in range(24)]


@pytest.mark.parametrize("group", [lambda i: f"q{i}", lambda i: "all", lambda i: f"g{i // 2}"])
def test_elsewhere_questions_are_in_five_folds(group: Callable[[int], str]) -> None:
    """Where every question is its own group (or in pairs), or all are in one; the same question is always in one."""
    recording = complete_recording(logged(60, group), AIM)
    assert recording is not None
    assert recording.constellation.hold_out_by == "query"
    assert set(recording.folds) == {f"fold {k}" for k in range(5)}
    again = complete_recording([replace(o, query_id=f"z{o.query_id}") for o in logged(60, group)], AIM)
    assert again is not None
    assert again.folds.tolist() == recording.folds.tolist()


def test_a_ladder_needs_enough_questions_few_routes_and_something_to_learn() -> None:
    enough = logged(MIN_COMPLETE)
    assert climb(enough, AIM) is not None
    assert climb(enough[:-1], AIM) is None
    assert climb([replace(o, correct=1.0) for o in enough], AIM) is None, "nobody was ever wrong"
    assert climb(enough, replace(AIM, calls=True)) is None, "tokens that were not counted have no price"
    many = tuple(replace(ROUTES[1], name=f"r{i}") for i in range(MAX_ROUTES + 1))
    rows = [replace(o, route=route.name) for o in enough if o.route == "full" for route in many]
    assert climb(rows, replace(AIM, routes=many)) is None


@pytest.mark.parametrize("grouped", [True, False])
def test_the_points_are_what_the_ladder_came_to_held_out(grouped: bool) -> None:
    """And of it may be relied on the best route's accuracy with the gain over it: less one and a half standard errors
    and losses weighing more where other groups come, half a standard error more where they do not."""
    found = climb(logged(240, (lambda i: f"g{i % 6}") if grouped else (lambda i: f"q{i}")), AIM)
    assert found is not None
    held, base = found.policy.held_out, found.recording.correct[:, 1]
    assert found.model.reference == "full"
    assert len(found.points) == len(found.model.prices) == 32
    assert found.policy.terms.caution == (SHIFT_CAUTION if grouped else 0.0)
    for k, point in enumerate(found.points):
        assert (point.rung, point.route, point.error_price) == (k, None, None)
        assert point.accuracy == pytest.approx(held.correct[:, k].mean())
        assert point.cost == pytest.approx(held.cost[:, k].mean(), rel=1e-5)
        gain = held.correct[:, k] - base
        mean, error = pooled(gain - (SHIFT_CAUTION if grouped else 0.0) * abs(gain), found.recording.folds)
        sure = base.mean() + mean - (SHIFT_ERRORS if grouped else SAME_ERRORS) * error
        assert point.sure == pytest.approx(min(1.0, max(0.0, sure)))
    assert min(p.cost for p in found.points) < 0.8 * max(p.cost for p in found.points)


@pytest.mark.parametrize(("most", "cap"), [(None, None), (1024, int(1.25 * 40) + 8), (30, 30)])
def test_an_answer_is_cut_where_it_grows_longer_than_all_that_were_learnt_from(
    most: int | None, cap: int | None
) -> None:
    """Of the routes that can be gone on with; never later than evidence may go."""
    rows = [replace(o, output_tokens=40.0) if o.query_id == "q007" and o.route == "small" else o for o in logged(120)]
    able = tuple(replace(r, capabilities=Capabilities(continues=True)) for r in ROUTES)
    found = climb(rows, replace(AIM, routes=able, cap=most))
    assert found is not None
    assert found.model.cap == cap
    assert found.model.resumes == (() if cap is None else ("small",))
    unable = climb(rows, replace(AIM, cap=most))
    assert unable is not None
    assert (unable.model.cap, unable.model.resumes) == (None, ())


def test_a_state_of_whole_answers_is_taught_by_those_that_were_whole_when_bought() -> None:
    """Half of the answers of small are longer than the cap, and always right: the whole ones must not be taken for
    those."""
    able = tuple(replace(r, capabilities=Capabilities(continues=True)) for r in ROUTES)
    rows = [replace(o, output_tokens=90.0) if o.route == "small" and o.correct else o for o in logged(240)]
    found = climb(rows, replace(AIM, routes=able, cap=30))
    assert found is not None
    whole, begun = found.policy.nodes[2, 0], found.policy.nodes[1, 0]
    assert (whole.done, whole.begun, begun.done, begun.begun) == ((0,), (), (), (0,))
    assert whole.usual[0] == 0.0
    assert begun.usual[0] == 1.0


THINKING = (
    Route("short", "m", "think(50)", 50, Price(3.0, 0.0, 8.0)),
    Route("full", "m", "think", None, Price(3.0, 0.0, 8.0), capabilities=Capabilities(continues=True)),
)


def thought(n: int) -> list[Observation]:
    """As `logged`, small's answers after a thought: every other one was cut after 50 tokens and two closing words."""
    found: list[Observation] = []
    for o in logged(n):
        cut = o.answer == "8"
        if o.route == "small":
            o = replace(o, route="short", output_tokens=53.0 if cut else 20.0, thought_tokens=52.0 if cut else 19.0)
        found.append(o)
    return found


def test_a_thought_that_is_gone_on_with_costs_what_it_costs_while_serving() -> None:
    """Its rest is made, what is kept is read as prompt; where the thought had ended all of it is thought anew."""
    found = climb(thought(240), replace(AIM, routes=THINKING))
    assert found is not None
    recording = found.recording
    kept = np.array([50.0 if i % 2 else 0.0 for i in range(240)])
    assert {tracks: tokens.tolist() for tracks, tokens in recording.kept.items()} == {(0, 1): kept.tolist()}
    went_on = cost(THINKING[1].price, Usage(20 + 50, 0, 39, 1))
    anew = cost(THINKING[1].price, Usage(20, 0, 89, 1))
    assert recording.paid((1, 0), 1, 1) == pytest.approx(np.where(kept > 0, went_on, anew))
    assert recording.paid((0, 0), 1, 1) == pytest.approx(anew), "nothing was bought that it could go on with"
    assert recording.paid((0, 1), 0, 1) == pytest.approx(recording.cost_to(0, 1)), "only longer thoughts go on"
    played = play(found.policy, recording)
    both = [played.paths.index(path) for path in played.paths if path.bought == ("short", "full")]
    rows, prices = np.nonzero(np.isin(played.path, both))
    assert len(rows)
    assert played.cost[rows, prices] == pytest.approx((recording.cost_to(0, 1) + recording.paid((1, 0), 1, 1))[rows])
    assert played.output_tokens[rows, prices] == pytest.approx(recording.seen.tokens[rows].sum(axis=1) - kept[rows])
    assert played.input_tokens[rows, prices] == pytest.approx(40 + kept[rows])


def test_going_on_makes_the_next_rung_cheaper_and_the_answer_at_hand_worth_less() -> None:
    """By what is spared, on the questions whose thought was cut and on no others."""
    able, unable = (
        climb(
            thought(240),
            replace(AIM, routes=(THINKING[0], replace(THINKING[1], capabilities=Capabilities(continues=c)))),
        )
        for c in (True, False)
    )
    assert able is not None
    assert unable is not None
    assert unable.recording.kept == {}
    state, rows = (1, 0), np.arange(240)
    node = able.policy.nodes[state]
    first = len(node.answerable) + 1 + node.actions.index(Answer(0)) * len(able.points)  # at the lowest price
    less = unable.policy.predict(state, unable.recording, rows) - able.policy.predict(state, able.recording, rows)
    assert less[1::2, first].mean() == pytest.approx((8 - 3) * 50 / 1e6, rel=0.15), "but for shrinkage"
    assert abs(less[::2, first].mean()) < 0.15 * less[1::2, first].mean()


@pytest.mark.parametrize(
    "changes", [{"model": "other"}, {"mode": "draft"}, {"thinking_budget": 50}, {"thinking_budget": 30}]
)
def test_other_models_modes_and_smaller_budgets_go_on_with_nothing(changes: dict[str, Any]) -> None:
    found = climb(thought(120), replace(AIM, routes=(THINKING[0], replace(THINKING[1], **changes))))
    assert found is not None
    assert found.recording.kept == {}


def test_what_was_kept_goes_along_with_rows_and_tracks() -> None:
    found = climb(thought(120), replace(AIM, routes=THINKING))
    assert found is not None
    some = found.recording.rows(np.array([1, 2, 3]))
    assert some.kept[0, 1].tolist() == [50.0, 0.0, 50.0]
    turned = Ladder(tuple(reversed(found.recording.ladder.tracks)))
    assert some.along(turned).kept[1, 0].tolist() == [50.0, 0.0, 50.0]


def test_from_one_group_alone_no_gain_may_be_relied_on() -> None:
    """Easy questions are right more often by small. That many groups say so is worth something; that one does, not."""
    found = climb(logged(960), AIM)
    assert found is not None
    best = float(found.recording.correct[:, 1].mean())
    alone = replace(found.recording, folds=np.full(len(found.recording), "g0"))
    sure = [p.sure or 0.0 for p in climbing._points(alone, found.policy, shift=True)]
    assert max(p.sure or 0.0 for p in found.points) > best >= max(sure)


def test_what_signs_tell_is_learnt() -> None:
    """Small is sure where it is right: nearly all of the quality for little more than half of the cost."""
    found = climb(logged(240), AIM)
    assert found is not None
    assert found.model.layout == (("mean_probability",), ())
    assert found.model.prices == tuple((8 / 1e6 * np.geomspace(300, 1e6, 32)).tolist())
    dear = float(found.recording.cost_to(1, 1).mean())
    good = [p for p in found.points if p.sure is not None and p.sure >= 0.98 * found.recording.correct[:, 1].mean()]
    assert min(p.cost for p in good) < 0.75 * dear


def test_the_arrays_are_the_policys() -> None:
    """State for state; what is replayed from them is the same."""
    found = climb(logged(120), AIM)
    assert found is not None
    for state, node in found.policy.nodes.items():
        kept = found.model.states[state]
        assert (kept.done, kept.actions, kept.default) == (node.done, len(node.actions), node.default)
        assert (kept.weights is None) == (node.smooth is None)
    stored = as_policy(found.model, ladder_of(found.model))
    mine, theirs = play(stored, found.recording), play(found.policy, found.recording)
    paths = [[played.paths[code] for code in played.path.ravel()] for played in (mine, theirs)]
    assert paths[0] == paths[1]
    assert len(theirs.paths) > 1


def test_the_report_tells_the_rung() -> None:
    found = climb(logged(120), AIM)
    assert found is not None
    point = found.points[3]
    told = {"n": 120, "reference": "full", "rung": None}
    assert found.report(None) == told
    assert found.report(3) == told | {"rung": 3, "accuracy": point.accuracy, "sure": point.sure, "cost": point.cost}
    assert found.model.comparison == climbing.COMPARISON


def test_probes_are_charged_to_the_answers_that_are_evidence_and_to_no_other() -> None:
    """Nothing is asked about an answer that streams; the log's last route was asked about all the same."""
    plain = climb(logged(240), AIM)
    assert plain is not None
    asked = climb([replace(o, probe_cost=2e-4) for o in logged(240)], AIM)
    assert asked is not None
    assert asked.recording.call_price.tolist() == [pytest.approx(2e-4), 0.0]
    assert asked.recording.cost_to(0, 1) == pytest.approx(plain.recording.cost_to(0, 1) + 2e-4)
    assert asked.recording.cost_to(1, 1) == pytest.approx(plain.recording.cost_to(1, 1))
    assert asked.model.prices == plain.model.prices

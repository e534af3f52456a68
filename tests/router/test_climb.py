"""Going up the ladder while serving: what is bought, what is kept, and that replay walks the same way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder_oracle import predict, seen_of
from laddered import capped, climbing, embedder, evidence_of, failed, said, tiny, unfitted
from recorded import FULL, SECOND, SMALL, world

from pointsman.classifiers.ladder_model import LADDER_ARRAYS, LadderModel
from pointsman.domain import Attempt, Capabilities, Finish, Objective, Observation, Route, Usage
from pointsman.router.climb import Climb, Rung, explained, ladder_of, next_rung
from pointsman.router.jobs.climbing import Climbed, climb
from pointsman.router.jobs.evaluation.playing import Played, play
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.swapping import Load

BOTH = ("cheap", "dear")


def test_evidence_is_bought_first() -> None:
    rung = next_rung(climbing(), (), BOTH)
    assert rung == Rung("cheap", None, False, None, pytest.approx(0.9))


@pytest.mark.parametrize(("price", "sure", "kept"), [(1, 0.95, True), (1, 0.85, False), (0, 0.05, True)])
def test_an_answer_is_kept_where_it_is_sure_enough_for_the_price_of_an_error(
    price: int, sure: float, kept: bool
) -> None:
    """Keeping it gains 100 less 1000 (or 1) times its chance of being wrong."""
    rung = next_rung(climbing(price=price), [said("cheap", sure=sure)], BOTH)
    assert rung is not None
    if kept:
        assert rung == Rung("cheap", 0, True, pytest.approx(sure), pytest.approx(0.9))
    else:
        assert rung == Rung("dear", None, True, pytest.approx(0.9), pytest.approx(0.9))


def loads(route: str, cost: float) -> dict[str, Load]:
    return {route: Load(f"model of {route}", 12.0, cost)}


@pytest.mark.parametrize(("cost", "route"), [(40.0, "dear"), (60.0, "cheap")])
def test_a_route_is_not_bought_where_its_load_costs_more_than_it_gains(cost: float, route: str) -> None:
    """Keeping an answer that is 85 % sure loses 50 against the dear route."""
    bought = [said("cheap", sure=0.85)]
    rung = next_rung(climbing(), bought, BOTH, loads("dear", cost))
    assert rung is not None
    assert (rung.route, rung.stays) == (route, loads("dear", cost)["dear"])
    assert rung.gains == pytest.approx({"model of dear": 50.0}, rel=1e-5)


@pytest.mark.parametrize(("cost", "route"), [(40.0, "cheap"), (60.0, "dear")])
def test_evidence_is_not_bought_of_a_model_whose_load_costs_more_than_it_is_worth(cost: float, route: str) -> None:
    rung = next_rung(climbing(), (), BOTH, loads("cheap", cost))
    assert rung is not None
    assert (rung.route, rung.gains) == (route, pytest.approx({"model of cheap": 50.0}))


def test_an_answer_that_is_there_needs_no_load() -> None:
    """Its model may have gone since; one that was cut off and is gone on with needs it."""
    rung = next_rung(climbing(), [said("cheap", sure=0.95)], BOTH, loads("cheap", 1e9))
    assert rung is not None
    assert (rung.route, rung.bought, rung.stays, rung.gains) == ("cheap", 0, None, {})
    begun = said("cheap", sure=0.95, finish=Finish.LENGTH)
    for cost, route in ((40.0, "cheap"), (60.0, "dear")):
        rung = next_rung(climbing(capped()), [begun], BOTH, loads("cheap", cost))
        assert rung is not None
        assert rung.route == route


@pytest.mark.parametrize(("cost", "route"), [(90.0, "dear"), (110.0, "cheap")])
def test_a_load_is_weighed_at_todays_prices(cost: float, route: str) -> None:
    """Twice those of the fit: the dear route gains 100."""
    rung = next_rung(replace(climbing(), factor=2.0), [said("cheap", sure=0.85)], BOTH, loads("dear", cost))
    assert rung is not None
    assert rung.route == route
    assert rung.gains == pytest.approx({"model of dear": 100.0}, rel=1e-5)


def test_probabilities_stay_within_bounds() -> None:
    rung = next_rung(climbing(), [said("cheap", sure=1.7)], BOTH)
    assert rung is not None
    assert (rung.bought, rung.p_correct) == (0, 1.0)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"finish": Finish.LENGTH},
        {"finish": Finish.CONTENT_FILTER},
        {"answer": None},
        {"answer": ""},
        {"answer": " \n"},
    ],
)
def test_an_unfinished_or_empty_answer_is_never_given_however_sure(spoilt: dict[str, object]) -> None:
    """It is evidence all the same: the route is not bought again; and where nothing else can serve, nothing is said."""
    bought = replace(said("cheap", sure=1.0), **spoilt)
    for price in (0, 1):
        assert next_rung(climbing(price=price), [bought], BOTH) == Rung(
            "dear", None, True, pytest.approx(0.9), pytest.approx(0.9)
        )
        assert next_rung(climbing(price=price), [bought], {"cheap"}) is None


def test_an_answer_that_was_cut_off_cannot_be_read() -> None:
    """As text it is compared with nothing: `unread` is what the fit sees of it."""
    model = tiny()
    probed = model.states[1, 0]
    assert probed.weights is not None
    weights = probed.weights.copy()
    weights[6, 0] = -0.5  # unread
    told = replace(model, states={**model.states, (1, 0): replace(probed, weights=weights)})
    read = next_rung(climbing(told), [said("cheap", sure=0.95)], BOTH)
    blank = next_rung(climbing(told), [said("cheap", " ", sure=0.95, finish=Finish.STOP)], ())
    assert read is not None
    assert read.p_correct == pytest.approx(0.95)
    assert blank is None


def test_a_probe_that_failed_is_no_answer_and_the_next_action_is_taken() -> None:
    """The state is still that in which nothing was bought; a second try of the same route is an answer."""
    assert next_rung(climbing(), [failed("cheap")], {"dear"}) == Rung(
        "dear", None, True, pytest.approx(0.9), pytest.approx(0.9)
    )
    again = next_rung(climbing(), [failed("cheap"), said("cheap", sure=0.95)], BOTH)
    assert again is not None
    assert again.bought == 1


def test_where_the_dear_route_failed_the_answer_that_is_there_is_given() -> None:
    rung = next_rung(climbing(), [said("cheap", sure=0.1), failed("dear")], {"cheap"})
    assert rung is not None
    assert (rung.route, rung.bought, rung.p_correct) == ("cheap", 0, pytest.approx(0.1))


@pytest.mark.parametrize(("can", "expected"), [({"dear"}, "dear"), ({"cheap"}, "cheap"), ({"other"}, None)])
def test_a_route_that_cannot_serve_is_never_bought(can: Collection[str], expected: str | None) -> None:
    """The only one that can is the last thing that can be done: its answer may stream."""
    rung = next_rung(climbing(), (), can)
    assert (rung and (rung.route, rung.bought, rung.final)) == (expected and (expected, None, True))


def test_what_is_of_no_route_of_the_ladder_is_not_looked_at() -> None:
    assert next_rung(climbing(), [said("strange")], BOTH) == next_rung(climbing(), (), BOTH)


def test_without_a_fit_what_the_best_route_would_do_and_that_little_is_known() -> None:
    names = ("small", "second", "full")
    for reference in names:
        assert next_rung(climbing(unfitted(names, reference)), (), names) == Rung(reference, None, True, little=True)
        done = next_rung(climbing(unfitted(names, reference)), [said(reference)], names)
        assert done == Rung(reference, 0, True, little=True)
    # The best route cannot serve: the dearest that can, for nothing is known.
    assert next_rung(climbing(unfitted(names, "full")), (), names[:2]) == Rung("second", None, True, little=True)


def test_of_what_no_training_row_was_like_little_is_known() -> None:
    """Fitted as before, but for answers of one or two tokens: one of a thousand is beyond them."""
    short = tiny()
    probed = short.states[1, 0]
    spread = np.diag([0.0, 0, 0, 0, 0, 1.0, 0, 0]).astype(np.float32)  # of the constant, four of the text, the length
    near = replace(probed, spread=spread, farthest=float(np.log1p(2.0)) ** 2)
    at = climbing(replace(short, states={**short.states, (1, 0): near}))
    assert next_rung(at, [said("cheap", sure=0.95)], BOTH) == next_rung(climbing(), [said("cheap", sure=0.95)], BOTH)
    long = said("cheap", sure=0.95, usage=Usage(10, 0, 0, 1000))
    assert next_rung(at, [long], BOTH) == Rung("dear", None, True, little=True)


def test_the_evidence_in_words() -> None:
    at = climbing(unfitted(("small", "second", "full"), "full"))
    assert explained(at, ()) == ""
    assert explained(at, [failed("small")]) == ""
    assert explained(at, [said("small")]) == "small has answered"
    assert explained(at, [said("second", "Four  legs "), said("small", "four legs")]) == "small and second agree"
    assert explained(at, [said("small", "4"), said("second", "5")]) == "small and second differ"
    three = [said("small"), said("second"), said("full")]
    assert explained(at, three) == "small, second and full agree"
    assert explained(at, [*three[:2], said("full", "8")]) == "small, second and full differ"


def test_texts_in_words() -> None:
    """They hardly ever agree to the letter; that they differ would be saying too much."""
    at = replace(climbing(replace(unfitted(("small", "full"), "full"), texts=True)), embedder=embedder())
    long = "The sea is wide and blue and full of fish of every kind"
    told = explained(at, [said("small", long), said("full", f"{long} that there is")])
    assert told.startswith("small and full have answered, alike to ")
    assert explained(at, [said("small", long), said("full", long)]) == "small and full agree"
    assert explained(at, [said("small", "7"), said("full", "8")]) == "small and full differ"


def test_a_cut_answer_in_words() -> None:
    at = climbing(unfitted(("small", "second", "full"), "full"))
    cut = said("second", finish=Finish.LENGTH, usage=Usage(9, 0, 0, 64))
    assert explained(at, [cut]) == "second's answer has not ended by 64 tokens"
    assert explained(at, [said("small"), cut]) == "small has answered, second's answer has not ended by 64 tokens"
    both = [said("small"), cut, said("full", "8")]
    assert explained(at, both) == "small and full differ, second's answer has not ended by 64 tokens"


@pytest.mark.parametrize("spoilt", [{"answer": None}, {"answer": " "}])
def test_answers_that_cannot_be_read_agree_with_nothing(spoilt: dict[str, object]) -> None:
    at = climbing(unfitted(("small", "second"), "second"))
    unread = replace(said("small"), **spoilt)
    assert explained(at, [unread, said("second")]) == "small and second differ"
    assert explained(at, [unread, replace(unread, route="second")]) == "small and second differ"


# The same walk as the replay's.

NAMES = ("small", "second", "full")
LADDER_ROUTES = tuple(
    Route(r.name, r.model, r.mode, None if r is FULL else 0, r.price, capabilities=Capabilities(continues=True))
    for r in (SMALL, SECOND, FULL)
    if r.price
)


def logged(n: int, seed: int = 0, *, texts: bool = False) -> list[Observation]:
    """`recorded.world` as it would be logged, small with a sign that tells a little; texts: in so many words."""
    rng = np.random.default_rng(seed)
    model = {route.model: route.name for route in LADDER_ROUTES}
    made: list[Observation] = []
    for r in world(n, seed):
        name = model[r["model"]]
        sure = {"mean_probability": float(np.clip(0.6 * r["correct"] + 0.4 * rng.random(), 0, 1))}
        signs = sure if name == "small" and rng.random() < 0.9 else {}
        kept = (r["correct"], r["input_tokens"], r["output_tokens"])
        answer = f"{name} thinks that this may well come to {r['answer']} in the end" if texts else r["answer"]
        made.append(Observation(r["query_id"], r["group"], name, *kept, text=r["prompt"], answer=answer, signs=signs))
    return made


CAP = 3
"""Tokens that about half of the answers of small and second have not ended by."""


@lru_cache(maxsize=3)
def learnt(
    cap: int | None = None, *, texts: bool = False
) -> tuple[Climbed, LadderModel, Played, dict[str, dict[str, Attempt]]]:
    """A ladder fitted on 300 questions, as it is stored, its replay, and every route's answer to each question."""
    rows = logged(300, texts=texts)
    found = climb(rows, Aim(LADDER_ROUTES, Objective(), "full", cap=cap), embedder() if texts else None)
    assert found is not None
    arrays = found.model.arrays()
    assert all(name.startswith(LADDER_ARRAYS) for name in arrays)
    stored = LadderModel.from_parts(found.model.about(), arrays)
    by_query: dict[str, dict[str, Observation]] = {}
    for row in rows:
        by_query.setdefault(row.query_id, {})[row.route] = row
    answers = {query: evidence_of(NAMES, by_route) for query, by_route in by_query.items()}
    return found, stored, play(found.policy, found.recording), answers


def walked(at: Climb, answers: dict[str, Attempt]) -> tuple[tuple[str, ...], str, Rung]:
    """What is bought when every answer is fed as soon as it is asked for, and whose is given."""
    evidence: list[Attempt] = []
    while (rung := next_rung(at, evidence, NAMES)) is not None and rung.bought is None:
        evidence.append(cut(answers[rung.route], None if rung.final else at.model.cap))
    assert rung is not None
    return tuple(a.route for a in evidence), rung.route, rung


def cut(answer: Attempt, cap: int | None) -> Attempt:
    """The answer as it is when it is bought: cut after so many tokens."""
    if cap is None or answer.usage.output <= cap:
        return answer
    usage = replace(answer.usage, answer=cap - answer.usage.thought)
    return replace(answer, usage=usage, finish=Finish.LENGTH, answer=(answer.answer or "")[:1])


def streamed(at: Climb, answers: dict[str, Attempt]) -> Iterator[Rung]:
    """Every purchase on the way."""
    evidence: list[Attempt] = []
    while (rung := next_rung(at, evidence, NAMES)) is not None and rung.bought is None:
        yield rung
        evidence.append(cut(answers[rung.route], None if rung.final else at.model.cap))


@given(st.integers(0, 299), st.integers(0, 31), st.sampled_from([None, CAP]), st.booleans())
def test_the_walk_while_serving_is_the_replays(row: int, price: int, cap: int | None, texts: bool) -> None:
    """The same purchases in the same order, the same route's answer, the same promise; also where answers are cut, or
    are texts."""
    found, stored, played, answers = learnt(None if texts else cap, texts=texts)
    assert stored.texts == texts
    at = Climb(stored, price, found.recording.seen.features[row], embedder())
    bought, by, rung = walked(at, answers[found.recording.ids[row]])
    path = played.paths[played.path[row, price]]
    assert (bought, by) == (path.bought, path.answered_by)
    assert rung.p_correct == pytest.approx(played.p_correct[row, price], abs=1e-5)
    assert rung.p_reference == pytest.approx(played.p_reference[row, price], abs=1e-5)


@given(st.integers(0, 299), st.integers(0, 31), st.sampled_from([None, CAP]))
def test_what_streams_is_the_answer(row: int, price: int, cap: int | None) -> None:
    """After a final rung the replay buys nothing and gives no other route's answer: the caller has that one already."""
    found, stored, played, answers = learnt(cap)
    at = Climb(stored, price, found.recording.seen.features[row])
    rungs = list(streamed(at, answers[found.recording.ids[row]]))
    assert not any(rung.final for rung in rungs[:-1])
    path = played.paths[played.path[row, price]]
    assert not rungs[-1].final or path.answered_by == path.bought[-1] == rungs[-1].route


def test_a_best_route_that_is_not_the_dearest_streams_too() -> None:
    """The second is always right, so the best: what follows it in no replay may follow it live."""
    rows = [replace(o, correct=1.0) if o.route == "second" else o for o in logged(300)]
    found = climb(rows, Aim(LADDER_ROUTES, Objective(), "full"))
    assert found is not None
    assert found.model.reference == "second"
    paths = play(found.policy, found.recording).paths
    assert {path.bought for path in paths} <= {("small",), ("second",), ("small", "second"), ("small", "full")}
    assert all(path.answered_by == path.bought[-1] for path in paths if path.bought[-1] != "small")
    for price in range(32):
        rung = next_rung(Climb(found.model, price, found.recording.seen.features[0]), [said("small", "x")], NAMES)
        assert rung is not None
        assert rung.final


def test_the_replay_takes_several_ways() -> None:
    """So that walking the same way says something."""
    _, _, played, _ = learnt()
    assert len({played.paths[code] for code in np.unique(played.path)}) >= 4


@given(st.integers(0, 299), st.sampled_from([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1)]))
def test_a_stored_state_predicts_what_the_policy_does(row: int, state: tuple[int, ...]) -> None:
    found, stored, _, _ = learnt()
    seen, rows = found.recording.seen, np.array([row])
    told = [{name: float(values[row, r]) for name, values in seen.signs.items()} for r in range(3)]
    mine = predict(stored, state, seen_of(seen.features[row], seen.tokens[row], seen.answers[row].tolist(), told))
    theirs = found.policy.predict(state, found.recording, rows)[0]
    assert mine is not None
    assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("cap", [None, CAP])
def test_the_ladder_that_serves_is_the_one_that_was_fitted(cap: int | None) -> None:
    found, stored, _, _ = learnt(cap)
    assert ladder_of(stored) == found.policy.ladder


def test_with_a_cap_some_answers_are_cut_and_given_some_cut_and_left_some_whole() -> None:
    """So that walking the same way says something; what is cut and left has cost the beginning alone."""
    found, stored, played, _ = learnt(CAP)
    ladder, data = ladder_of(stored), found.recording
    assert ladder.tracks[0].resumes
    long = data.unfinished(0, 1)
    assert 0.2 < long.mean() < 0.8
    paths = {(row, k): played.paths[played.path[row, k]] for row in range(300) for k in range(32)}
    ways = {(bool(long[row]), path.bought, path.answered_by) for (row, _), path in paths.items()}
    assert {(True, ("small",), "small"), (False, ("small",), "small"), (True, ("small", "full"), "full")} <= ways
    begun, small, full = data.cost_to(0, 1), data.cost_to(0, 2), data.cost_to(2, 1)
    for (row, k), path in paths.items():
        if path.bought == ("small", "full"):
            assert played.cost[row, k] == pytest.approx(begun[row] + full[row])
        if path.bought == ("small",):
            assert played.cost[row, k] == pytest.approx(small[row])

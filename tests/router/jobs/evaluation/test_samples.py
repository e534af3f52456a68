"""Further samples as steps of a ladder: bought behind the first, charged whole, not looked at before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from recorded import (
    BUDGETS,
    Bill,
    Row,
    constellation,
    decisions,
    moved,
    only,
    permuted,
    purchases,
    resampled,
    run,
    table,
    world,
)

from pointsman.errors import BadRequest
from pointsman.router.jobs.evaluation.evaluate import Evaluation
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.recording import Recording
from pointsman.router.jobs.evaluation.samples import complete, ladder_for, offered

ROUTES = constellation(BUDGETS, probes=(), samples=3)
TRAIN, TEST = resampled(world(), 3), resampled(world(300, seed=1, first="t"), 3)
LADDER = "small,small#1,small#2,b100,full"
LACKING = {r["query_id"] for r in TEST if int(r["query_id"][1:]) % 4 == 0}
HOLED = [r for r in TEST if r["sample"] != 1 or r["query_id"] not in LACKING]


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run(TEST, ROUTES, TRAIN, ladder=LADDER)


@pytest.fixture(scope="module")
def holed() -> list[Row]:
    """What is decided where every fourth question lacks the second sample."""
    return only(decisions(run(HOLED, ROUTES, TRAIN, ladder=LADDER)), "pointsman")


def read(rows: list[Row], **changes: Any) -> Recording:
    return read_recording(table(rows), constellation(BUDGETS, **{"samples": 3, **changes}))


def charged(rows: list[Row], decided: list[Row]) -> None:
    """Every decision costs what its purchases cost, by the rows alone."""
    bill = Bill(rows, ROUTES)
    for r in decided:
        claimed = r["correct"], r["input_tokens"], r["output_tokens"], r["cost"]
        assert claimed == pytest.approx(bill.of(r["query_id"], r["bought"], r["answered_by"])), r


def test_a_further_sample_is_bought_behind_the_one_before_and_charged_in_full(found: Evaluation) -> None:
    made = only(decisions(found), "pointsman")
    charged(TEST, made)
    kinds = Counter(tuple(r["bought"]) for r in made)
    assert {("small#0", "small#1"), ("small#0", "small#1", "small#2")} <= kinds.keys()
    for kind in kinds:
        asked = [b for b in kind if b.startswith("small")]
        assert asked == ["small#0", "small#1", "small#2"][: len(asked)]


def test_any_of_the_samples_may_be_the_answer(found: Evaluation) -> None:
    assert {"small#0", "small#1", "full#0"} <= {r["answered_by"] for r in only(decisions(found), "pointsman")}


def test_agreement_of_samples_tells(found: Evaluation) -> None:
    """More than one answer does, and the more the more there are; the report says how often each was bought."""
    scores = [
        run(TEST, ROUTES, TRAIN, ladder=ladder).report["policies"]["pointsman"]["apgr_probed"]
        for ladder in ("small,full", "small,small#1,full")
    ]
    assert scores[0] + 0.1 < scores[1] < found.report["policies"]["pointsman"]["apgr_probed"]
    chosen = only(decisions(found), "pointsman", chosen=True)
    for name in ("small#1", "small#2"):
        share = np.mean([name in r["bought"] for r in chosen])
        assert found.report["probes"][name]["bought_share"] == pytest.approx(share)


@pytest.mark.parametrize("ladder", ["auto", "small,second,b100,full"])
def test_a_sample_that_is_not_named_is_nothing(ladder: str) -> None:
    """The same decisions as of a table without any."""
    one = constellation(BUDGETS, probes=())
    without = decisions(run(world(300, seed=1, first="t"), one, world(), ladder=ladder))
    assert moved(without, decisions(run(TEST, ROUTES, TRAIN, ladder=ladder))) == set()


def asked_again(rows: list[Row]) -> list[Row]:
    """The rows of a last route that knows everything when it is asked a second time."""
    return [*rows, *[r | {"sample": 1, "correct": 1.0} for r in rows if r["model"] == "m-full"]]


def test_a_last_route_asked_again_is_called_again() -> None:
    routes = constellation(probes=(), samples=2, cost="calls")
    entry = run(asked_again(TEST), routes, asked_again(TRAIN), ladder="small,full,full#1").entries["pointsman"]
    assert entry is not None
    assert entry.curve is not None
    calls = np.array([sum(b.startswith("full") for b in path.bought) for path in entry.curve.paths])
    assert set(calls) == {0, 1, 2}
    assert (entry.curve.cost == calls[entry.curve.path]).all()


def test_a_second_thought_behind_a_cut_first_one_is_dear_too() -> None:
    """The share of questions that the last route is bought for counts each of its samples."""
    found = run(asked_again(TEST), ROUTES, asked_again(TRAIN), ladder="small,b100,full#1")
    curve, made = found.report["policies"]["pointsman"]["curve"], only(decisions(found), "pointsman")
    shares = [
        np.mean([bool({"full#0", "full#1"} & {*r["bought"]}) for r in made if r["point"] == point])
        for point in range(len(curve))
    ]
    assert [at["dear_share"] for at in curve] == pytest.approx(shares)
    assert max(shares[:-1]) > 0.1


# --- no leak


@pytest.mark.parametrize("streamed", [False, True])
def test_labels_of_any_sample_move_no_decision(streamed: bool) -> None:
    spoilt = permuted(TEST, ["correct"], lambda r: True)
    before, after = (
        only(decisions(run(rows, ROUTES, TRAIN, ladder=LADDER, streamed=streamed)), "pointsman")
        for rows in (TEST, spoilt)
    )
    assert moved(before, after) == set()


def test_a_sample_that_was_not_bought_moves_no_decision(found: Evaluation) -> None:
    """At every point for itself: answers, tokens and labels of all that was not bought there are permuted."""
    made = only(decisions(found), "pointsman")
    columns = ["answer", "input_tokens", "output_tokens", "correct"]
    for point in (None, 3, 10, 20):
        at = [r for r in made if r["point"] == point]
        known = purchases(at, ROUTES)
        spoilt = permuted(TEST, columns, lambda r, k=known: (r["query_id"], r["model"], r["sample"]) not in k)
        assert spoilt != TEST
        after = only(decisions(run(spoilt, ROUTES, TRAIN, ladder=LADDER)), "pointsman")
        blind = [  # the score is the chosen point's
            [r | ({} if point is None else {"score": 0.0}) for r in rows if r["point"] == point] for rows in (at, after)
        ]
        assert moved(*blind) == set()


# --- samples that are not there


def test_a_question_that_lacks_a_sample_counts_without_it(holed: list[Row]) -> None:
    charged(HOLED, holed)
    assert len({r["query_id"] for r in holed}) == 300
    there, lacking = (
        {b for r in holed if (r["query_id"] in LACKING) is lacks for b in r["bought"]} for lacks in (False, True)
    )
    assert there >= {"small#0", "small#1", "small#2", "full#0"}
    assert {"small#0", "full#0"} <= lacking <= there - {"small#1", "small#2"}


def test_other_questions_are_decided_as_if_none_lacked_it(found: Evaluation, holed: list[Row]) -> None:
    assert moved(only(decisions(found), "pointsman"), holed) <= LACKING


def test_questions_that_lack_a_sample_teach_nothing() -> None:
    few = [r for r in TRAIN if r["query_id"] < "q0450"]
    lacking = [r for r in TRAIN if r["sample"] == 0 or r["query_id"] < "q0450"]
    made = [decisions(run(TEST, ROUTES, rows, ladder="small,small#1,full")) for rows in (few, lacking)]
    assert moved(*made) == set()
    assert len(complete(offered(read(lacking), "small,small#1,full"))) == 450
    assert len(complete(offered(read(lacking), "auto"))) == 600


def test_a_note_says_how_many_lack_it() -> None:
    assert any("75 questions have no small#1" in note for note in offered(read(HOLED), LADDER).notes)
    assert not any("small#1" in note for note in offered(read(HOLED), "small,full").notes)


# --- names


def test_only_the_named_samples_are_kept() -> None:
    made = read(TEST)
    assert offered(made, "auto").ladder.names() == list(made.ladder.routes())
    assert offered(made, "none").ladder.names() == list(made.ladder.routes())
    assert offered(made, "small#0,small#1,full").ladder.names() == [*made.ladder.routes(), "small#1"]
    assert ladder_for(made, "auto").names() == ["small", "second", "b100", "b300", "full"]
    assert ladder_for(made, " small#0 , small#1,full").names() == ["small", "small#1", "full"]


@pytest.mark.parametrize(
    ("ladder", "says"),
    [
        ("small,small#3,full", "'small#3', but `samples` of made.yaml:made is 3"),
        ("small,small#x,full", "'small#x'"),
        ("small,moon#1,full", "'moon#1'"),
        ("small#1,full", "'small#1' is bought after 'small'"),
        ("small,small#2,full", "'small#2' is bought after 'small#1'"),
        ("small,second,second#1,full", "'second#1', but made.parquet has no such answer"),
    ],
)
def test_a_sample_that_is_not_recorded_names_the_ladder(ladder: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        ladder_for(offered(read(TEST), ladder), ladder)
    assert caught.value.field == "ladder"


def test_no_question_with_all_samples_names_the_ladder() -> None:
    rows = [r for r in TEST if r["sample"] != 1 + int(r["query_id"][1:]) % 2]
    with pytest.raises(BadRequest, match="all of them") as caught:
        complete(offered(read(rows), LADDER))
    assert caught.value.field == "ladder"

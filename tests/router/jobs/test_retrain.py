"""Retraining learns what can be learnt, says what cannot, and never promotes noise."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from pointsman.classifiers import Embedder, load
from pointsman.domain import Objective, ObjectiveKind, Observation, Price, Route, Wish
from pointsman.errors import DataError
from pointsman.router.decide import Decider, Standing, learnt
from pointsman.router.jobs.climbing import climb
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.promotion import compare_results
from pointsman.router.jobs.retrain import Retrained, retrain
from pointsman.router.objectives import Climbing
from pointsman.router.queries import as_query

ROUTES = (
    Route("small", "m", "direct", 0, Price(0.1, 0.0, 1.0)),
    Route("full", "m", "think", None, Price(0.1, 0.0, 1.0)),
)
AIM = Aim(ROUTES, Objective(), "full")


def chain(rng: random.Random, length: int) -> str:
    return str(rng.randrange(10)) + "".join(rng.choice("+-*") + str(rng.randrange(10)) for _ in range(length))


def world(n: int = 240, *, seed: int = 0, shuffled: bool = False, only: str | None = None) -> list[Observation]:
    """Chains: small is right on short ones, full on nearly all, at 1 and 60 tokens. Groups are ten batches."""
    rng = random.Random(seed)
    texts = [(chain(rng, length := rng.choice((1, 1, 6, 7))), length) for _ in range(n)]
    easy = [length < 3 for _, length in texts]
    if shuffled:
        rng.shuffle(easy)
    rows: list[Observation] = []
    for i, (text, _) in enumerate(texts):
        for route, p, tokens in (("small", 0.97 if easy[i] else 0.05, 2), ("full", 0.97, 60)):
            if only in (None, route):
                right = float(rng.random() < p)
                rows.append(Observation(f"q{i}", f"g{i % 10}", route, right, 12.0, float(tokens), text=text))
    return rows


@pytest.fixture(scope="module")
def done(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Retrained:
    """A world that the text tells, learnt once for several tests."""
    return retrain(world(), AIM, embedder, tmp_path_factory.mktemp("artifacts"))


def test_what_the_text_tells_is_learnt_and_shown_on_held_out_groups(done: Retrained) -> None:
    held = done.report["held_out"]
    assert held["policy"]["accuracy"] > held["fixed"]["full"]["accuracy"] - 0.03
    assert held["saved"] > 0.2
    assert held["policy"]["accuracy"] > held["random_mix"]["accuracy"] + 0.1
    assert done.comparison.better
    assert done.report["routes"]["small"]["calibration"]["auroc"] > 0.8
    assert len(held["by_group"]) == 10


def test_the_artifact_decides_as_its_report_says(done: Retrained, embedder: Embedder) -> None:
    """Written, read back and put to serve, it sends short chains down the cheap route, long ones down the dear one."""
    decider = Decider(Standing(ROUTES, "full", Objective()), embedder)
    decider.use(learnt(load(done.path), ROUTES))
    assert decider.decide(as_query("3+4"))[0].route.name == "small"
    assert decider.decide(as_query("3+4-2*7+5-1*8"))[0].route.name == "full"


def test_shuffled_labels_teach_nothing_that_is_promoted(embedder: Embedder, tmp_path: Path) -> None:
    """The control that must fail: the cheap route's success has nothing to do with the text."""
    done = retrain(world(shuffled=True), AIM, embedder, tmp_path)
    assert not done.comparison.better
    held = done.report["held_out"]
    assert held["policy"]["accuracy"] > held["fixed"]["full"]["accuracy"] - 0.05


@pytest.mark.usefixtures("quick_fits")
def test_the_order_of_observations_changes_nothing(embedder: Embedder, tmp_path: Path) -> None:
    rows = world(60)
    again = list(rows)
    random.Random(5).shuffle(again)
    assert retrain(rows, AIM, embedder, tmp_path).artifact.id == retrain(again, AIM, embedder, tmp_path).artifact.id


@pytest.mark.usefixtures("quick_fits")
def test_the_same_training_again_cannot_be_compared_with_itself(
    done: Retrained, embedder: Embedder, tmp_path: Path
) -> None:
    """What serves has learnt from every one of these queries, or does not say from which."""
    again = retrain(world(), AIM, embedder, tmp_path, serving=done.artifact)
    assert again.comparison.serving == "the serving artifact"
    assert (again.comparison.n, again.comparison.better) == (0, False)
    assert "cannot be compared" in again.comparison.sentence
    silent = replace(done.artifact, report={})
    assert retrain(world(), AIM, embedder, tmp_path, serving=silent).comparison.n == 0


@pytest.mark.usefixtures("quick_fits")
def test_only_what_the_serving_artifact_did_not_see_is_compared(
    done: Retrained, embedder: Embedder, tmp_path: Path
) -> None:
    new = [replace(o, query_id=f"n{o.query_id}") for o in world(120, seed=7)]
    known = {o.text for o in world()}
    later = retrain(world() + new, AIM, embedder, tmp_path, serving=done.artifact)
    assert later.comparison.n == len({o.query_id for o in new if o.text not in known})
    assert later.comparison.learnt > 200


def test_a_log_of_one_route_promotes_nothing(embedder: Embedder, tmp_path: Path) -> None:
    """Nothing is known of the cheap route, not even what it costs: the artifact is written and never offers it."""
    done = retrain(world(100, only="full"), AIM, embedder, tmp_path)
    assert not done.comparison.better
    assert done.report["routes"]["small"]["labelled"] == 0
    assert {point.route for point in done.artifact.policy} == {"full", None}
    decider = Decider(Standing(ROUTES, "full", Objective()), embedder)
    decider.use(learnt(load(done.path), ROUTES))
    for objective in (Objective(), Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 0.0)):
        assert decider.decide(as_query("3+4"), Wish(objective=objective))[0].route.name == "full"


@pytest.mark.usefixtures("quick_fits")
def test_where_tokens_are_not_known_calls_are_counted(embedder: Embedder, tmp_path: Path) -> None:
    """A call of the dearest route is what costs; the figures are those of a table with tokens in every other way."""
    rows = [replace(o, output_tokens=None) for o in world(120)]
    done = retrain(rows, replace(AIM, calls=True), embedder, tmp_path)
    held = done.report["held_out"]
    assert (held["fixed"]["small"]["cost"], held["fixed"]["full"]["cost"]) == (0.0, 1.0)
    assert held["policy"]["cost"] == held["policy"]["share"]["full"] < 0.8
    assert held["policy"]["output_tokens"] is None


@pytest.mark.usefixtures("quick_fits")
def test_willingness_to_pay_is_kept_in_the_comparison(embedder: Embedder, tmp_path: Path) -> None:
    aim = Aim(ROUTES, Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 1e-3), "full")
    assert retrain(world(120), aim, embedder, tmp_path).comparison.error_price == 1e-3


def test_too_little_is_said_to_be_too_little(embedder: Embedder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 20 are needed"):
        retrain(world(10), AIM, embedder, tmp_path)


@pytest.mark.usefixtures("quick_fits")
def test_notes_stand_in_the_report(embedder: Embedder, tmp_path: Path) -> None:
    done = retrain(world(60), AIM, embedder, tmp_path, notes=["by convention"])
    assert done.report["notes"] == ["by convention"]


@pytest.mark.usefixtures("quick_fits")
def test_what_could_not_be_read_stands_in_the_report(embedder: Embedder, tmp_path: Path) -> None:
    unread = [replace(o, query_id=f"x{o.query_id}", text=None) for o in world(3)]
    done = retrain(world(60) + unread, AIM, embedder, tmp_path)
    assert done.report["notes"] == [
        "6 answers without a text, or features and an embedding of today's encoder, were left out"
    ]


def hidden(n: int = 240, *, seed: int = 0, told: bool = True) -> list[Observation]:
    """Texts that do not tell which questions are easy; small's own token probabilities do (unless not `told`)."""
    rng = random.Random(seed)
    rows: list[Observation] = []
    for i in range(n):
        text, easy = f"{chain(rng, 6)} {i}", rng.random() < 0.5
        signs = {"mean_probability": (0.9 if easy == (told or rng.random() < 0.5) else 0.3) + 0.1 * rng.random()}
        for route, p, tokens in (("small", 0.98 if easy else 0.05, 2), ("full", 0.97, 60)):
            right = float(rng.random() < p)
            said = "7" if right else str(rng.randrange(10, 99))
            kept = signs if route == "small" else {}
            rows.append(
                Observation(f"q{i}", f"g{i % 10}", route, right, 12.0, tokens, text=text, answer=said, signs=kept)
            )
    return rows


@pytest.fixture(scope="module")
def climbed(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Retrained:
    """A world that only evidence tells."""
    aim = replace(AIM, objective=Objective(value=0.9))
    return retrain(hidden(), aim, embedder, tmp_path_factory.mktemp("artifacts"))


def test_where_only_evidence_tells_a_ladder_is_learnt_and_promoted(climbed: Retrained) -> None:
    """The text has nothing to offer; buying the small answer first saves near half of the tokens."""
    told = climbed.report["ladder"]
    assert (told["n"], told["reference"]) == (240, "full")
    assert told["rung"] is not None
    assert told["sure"] >= 0.9 * climbed.report["held_out"]["fixed"]["full"]["accuracy"]
    assert told["cost"] < 0.8 * climbed.report["held_out"]["fixed"]["full"]["cost"]
    assert climbed.comparison.better
    assert climbed.comparison.serving == "the safe route full"
    assert climbed.comparison.sentence.startswith("Better against the safe route full, on 240 queries")


def test_a_ladder_is_compared_by_what_came_of_it_held_out(climbed: Retrained) -> None:
    """Result for result against the safe route's, at the price of an error of its rung."""
    found = climb(hidden(), AIM)
    assert found is not None
    rung, recording = climbed.report["ladder"]["rung"], found.recording
    held = found.policy.held_out
    mine = held.correct[:, rung].astype(float), held.cost[:, rung].astype(float)
    safe = recording.correct[:, 1], recording.cost_to(1, 1)
    by_hand = compare_results(mine, safe, recording.folds, "the safe route full", found.model.prices[rung], 0)
    for name in ("n", "learnt", "error_price", "gain", "low", "high", "differ", "seen", "accuracy_gain", "cost_change"):
        assert getattr(climbed.comparison, name) == pytest.approx(getattr(by_hand, name), rel=1e-5), name


def test_the_ladder_is_in_the_artifact_and_asked_for(climbed: Retrained, embedder: Embedder) -> None:
    """Written, read back and put to serve: the objective that it was trained for climbs, at that rung; deciding alone
    does not."""
    artifact = load(climbed.path, embedder)
    assert artifact.ladder is not None
    assert artifact.ladder.layout == (("mean_probability",), ())
    rungs = [point for point in artifact.policy if point.rung is not None]
    assert [point.rung for point in rungs] == list(range(len(artifact.ladder.prices)))
    assert all(point.sure is not None for point in rungs)
    decider = Decider(Standing(ROUTES, "full", Objective(value=0.9)), embedder)
    decider.use(learnt(artifact, ROUTES))
    terms = decider.consider(as_query("3+4-2*7+5-1*8")).terms
    assert terms.plan == Climbing(climbed.report["ladder"]["rung"])
    assert terms.climb is not None
    assert not isinstance(decider.consider(as_query("3+4"), buying=False).terms.plan, Climbing)


def test_signs_that_tell_nothing_buy_nothing_that_is_promoted(embedder: Embedder, tmp_path: Path) -> None:
    """The control that must fail."""
    assert not retrain(hidden(160, told=False), AIM, embedder, tmp_path).comparison.better


def test_against_what_serves_only_the_queries_that_it_did_not_see_count(
    climbed: Retrained, embedder: Embedder, tmp_path: Path
) -> None:
    new = [replace(o, query_id=f"n{o.query_id}") for o in hidden(60, seed=7)]
    aim = replace(AIM, objective=Objective(value=0.9))
    later = retrain(hidden()[:200] + new, aim, embedder, tmp_path, serving=climbed.artifact)
    assert later.report["ladder"]["n"] == 160
    assert later.report["ladder"]["rung"] is not None
    assert (later.comparison.serving, later.comparison.n, later.comparison.learnt) == ("the serving artifact", 60, 100)


@pytest.mark.usefixtures("quick_fits")
def test_too_few_complete_questions_have_no_ladder(embedder: Embedder, tmp_path: Path) -> None:
    few = retrain(hidden(60), AIM, embedder, tmp_path)
    assert few.report["ladder"] is None
    assert few.artifact.ladder is None
    assert not any(point.rung is not None for point in few.artifact.policy)

"""The calibration job on the real miniature model: what it writes, learns and says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from calibrating import chain_questions, digits_router
from scripted import ScriptedEngine, says

from pointsman.classifiers import load_embedder
from pointsman.domain import Objective
from pointsman.errors import BackendUnavailable, DataError
from pointsman.router import Router
from pointsman.router.jobs import calibrate
from pointsman.router.jobs.calibrate import Calibrated, Ran, conclude, run
from pointsman.router.jobs.contenders import contenders
from pointsman.router.jobs.evaluation.contest import Rules
from pointsman.router.jobs.evaluation.evaluate import Settings, evaluate, plain
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.journal import Journal
from pointsman.router.jobs.sources import from_store
from pointsman.store import DerivedRoute, read_constellation, read_table

QUESTIONS = chain_questions(12, 1, 2, 3, 5)


@dataclass
class Played:
    """One calibration, run for all tests here."""

    router: Router
    ran: Ran
    made: Calibrated


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    home = tmp_path_factory.mktemp("home")
    with digits_router(home) as router:

        async def work() -> Ran:
            await router.open_engines(endpoints)
            try:
                with Journal(home / "runs.jsonl", resume=False) as journal:
                    return await run(router, QUESTIONS, contenders(router), journal, concurrency=4)
            finally:
                await router._close_engines()

        endpoints = router.endpoints()
        ran = router.portal().call(work)
        yield Played(router, ran, conclude(router, ran, home / "outcomes.jsonl"))


def test_every_question_has_its_runs_and_no_run_failed(played: Played) -> None:
    assert len(played.ran.rows) == 48 * 3 * 2
    assert (played.ran.missing, played.ran.silent, played.made.notes) == (0, {}, ())


def test_the_table_and_the_constellation_are_of_the_shared_form(played: Played) -> None:
    """Everything is read back by what evaluates, and derived budgets stand beside the configured routes."""
    assert played.made.routes is not None
    table, constellation = read_table(played.made.table), read_constellation(str(played.made.routes))
    assert len(table) == len(played.ran.rows)
    assert set(table.columns["mode"]) == {"direct", "think(17)", "think"}
    assert set(table.columns["tokens_are"]) == {"billed"}
    assert constellation.file == played.made.table
    derived = [route for route in constellation.routes if isinstance(route, DerivedRoute)]
    assert {(route.of, route.fallback) for route in derived} == {("full", "small")}
    assert constellation.routes[0].name == "small"
    assert constellation.routes[-1].name == "full"
    assert constellation.samples == 2


def test_the_figures_are_those_that_evaluate_gives_of_the_files(played: Played) -> None:
    figures = played.made.figures
    assert figures is not None
    constellation = read_constellation(str(played.made.routes))
    recording = read_recording(played.made.table, constellation, "list")
    again = plain(evaluate(recording, None, Settings(Rules(Objective())), load_embedder("static")).report)
    assert figures["routes"] == again["routes"]
    assert figures["verdict"] == again["verdict"]
    assert figures["groups"] == ["chain-1", "chain-2", "chain-3", "chain-5"]
    assert figures["routes"]["full"]["accuracy"] > 0.9 > figures["routes"]["small"]["accuracy"]


def test_a_derived_budget_is_the_thought_where_it_had_ended_and_the_direct_answer_elsewhere(played: Played) -> None:
    """Recomputed from the rows alone."""
    figures, rows = played.made.figures, played.ran.rows
    assert figures is not None
    first = {(row["route"], row["query_id"]): row for row in rows if row["sample"] == 0}
    for route in read_constellation(str(played.made.routes)).routes:
        if isinstance(route, DerivedRoute):
            right = []
            for question in QUESTIONS:
                thought, direct = first[route.of, question.id], first[route.fallback, question.id]
                right.append((thought if thought["output_tokens"] <= route.budget else direct)["correct"])
            assert figures["routes"][route.name]["accuracy"] == pytest.approx(sum(right) / len(right), abs=1e-6)


def test_the_best_budget_and_the_front_are_told(played: Played) -> None:
    (best,) = played.made.best
    assert best.model == "digits"
    assert best.accuracy >= 0.9
    assert set(played.made.behind) == set(played.made.figures["routes"])  # type: ignore[index]
    assert None in played.made.behind.values()


def test_the_runs_are_in_the_store_with_outcomes_and_an_artifact_was_learnt(played: Played) -> None:
    """Whole tasks were held out, not single questions."""
    observations = list(played.router.store.observations())
    assert len([o for o in observations if o.correct is not None]) == len(played.ran.rows)
    released = played.made.released
    assert released is not None
    assert released.retrained.report["groups"] == ["chain-1", "chain-2", "chain-3", "chain-5"]
    assert [row.id for row in played.router.store.artifacts()] == [released.retrained.artifact.id]


def test_a_later_retraining_holds_out_the_same_tasks(played: Played) -> None:
    """What a question belongs to is in the store: who retrains knows nothing of the calibration."""
    source = from_store(played.router.store, Aim.of(played.router.decider.standing), played.router.decider.embedder)
    assert {o.group for o in source.observations} == {q.group for q in QUESTIONS}
    asked = {o.text: o.group for o in source.observations}
    assert asked == {q.prompt: q.group for q in QUESTIONS}


def test_it_learns_for_the_router_as_it_is_set_up(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the limit of evidence too, after which the ladder goes on with what is chosen."""
    seen: list[Aim] = []

    def recorded(store: object, aim: Aim, embedder: object) -> None:
        seen.append(aim)
        raise DataError("enough seen")

    monkeypatch.setattr(calibrate, "from_store", recorded)
    made = conclude(played.router, played.ran, tmp_path / "outcomes.jsonl")
    assert made.notes[0] == "Nothing was learnt: enough seen"
    assert seen == [Aim.of(played.router.decider.standing)]
    assert seen[0].cap == played.router.settings.evidence.max_tokens


async def test_too_few_questions_are_notes_and_the_table_is_there(tmp_path: Path) -> None:
    with digits_router(tmp_path) as router, Journal(tmp_path / "runs.jsonl", resume=False) as journal:
        router.engines["digits"] = ScriptedEngine("digits", says("7"))
        ran = await run(router, chain_questions(2, 2), contenders(router), journal)
        made = conclude(router, ran, tmp_path / "deep" / "t.csv")
        assert len(read_table(tmp_path / "deep" / "t.csv")) == 12
        assert [note[:19] for note in made.notes] == ["Nothing was learnt:", "Nothing was evaluat"]
        ran = await run(router, chain_questions(2, 2), contenders(router, ["small"]), journal)
        made = conclude(router, ran, tmp_path / "t.jsonl")
        assert "Only small answered" in made.notes[-1]
        assert made.routes is None


async def test_where_nothing_answers_that_is_an_error_with_every_routes_own(tmp_path: Path) -> None:
    with digits_router(tmp_path) as router, Journal(tmp_path / "runs.jsonl", resume=False) as journal:
        router.engines["digits"] = ScriptedEngine("digits", [BackendUnavailable("is down", backend="digits")])
        with pytest.raises(BackendUnavailable, match=r"no route answered .*small: digits: is down; budgeted: .*full: "):
            await run(router, chain_questions(2, 2), contenders(router), journal)

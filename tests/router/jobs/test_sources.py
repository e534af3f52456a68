"""Where training data comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged import attempt, outcome, record

from pointsman.classifiers import Embedder
from pointsman.domain import Estimate, Objective, Price, Route
from pointsman.errors import DataError
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.sources import from_store, from_tables
from pointsman.store import Store, write_table

PRICE = Price(0.1, 0.0, 1.0)
ROUTES = (Route("small", "qwen", "direct", 0, PRICE), Route("full", "qwen", "think", None, PRICE))
AIM = Aim(ROUTES, Objective(), "full")


def log(store: Store, number: int, route: Route, *, judged: bool = True, **more: Any) -> None:
    """An answer of this route to a question of its own, judged right."""
    made = record(f"d{number}", f"{number}+1")
    tried = attempt(route=route.name, model=route.model, thinking_budget=route.thinking_budget)
    store.put(replace(made, decision=replace(made.decision, route=route, **more), attempts=(tried,)))
    if judged:
        store.put_outcome(outcome(made.decision.id))


def test_what_was_logged_and_judged_teaches(store: Store, embedder: Embedder) -> None:
    log(store, 1, ROUTES[0])
    log(store, 2, ROUTES[1])
    found = from_store(store, AIM, embedder)
    assert [(o.route, o.correct) for o in found.observations] == [("small", 1.0), ("full", 1.0)]
    assert found.notes == ()


def test_a_route_that_stood_for_another_model_budget_or_mode_teaches_nothing(store: Store, embedder: Embedder) -> None:
    """The same name in the same store, but it was another route then."""
    log(store, 1, ROUTES[0])
    log(store, 2, replace(ROUTES[0], model="digits"))
    log(store, 3, replace(ROUTES[1], thinking_budget=512))
    log(store, 4, replace(ROUTES[1], mode="concise"))
    found = from_store(store, AIM, embedder)
    assert len(found.observations) == 1
    assert found.notes[0].startswith("3 logged answers")


def test_what_was_observed_is_told_in_the_notes(store: Store, embedder: Embedder) -> None:
    """The route that answered is one estimate, the one that auto would have taken the other."""
    known = {name: Estimate(name, 0.9, 0.0, 1.0, 1.0, 0.0, cost, 0.0) for name, cost in (("small", 1.0), ("full", 4.0))}
    log(store, 1, ROUTES[1], observed="small", estimates=known)
    log(store, 2, ROUTES[1])
    (note,) = from_store(store, AIM, embedder).notes
    assert note.startswith("of 1 observed decisions auto would have taken another route in 1; by its estimates: 75%")


def test_a_log_without_outcomes_says_what_to_do(store: Store, embedder: Embedder) -> None:
    log(store, 1, ROUTES[0], judged=False)
    with pytest.raises(DataError, match="pointsman feedback"):
        from_store(store, AIM, embedder)


def rows(model: str, mode: str, tokens: int) -> list[dict[str, Any]]:
    same = {"benchmark": "b", "group": "b", "sample": 0, "input_tokens": 10, "tokens_are": "billed"}
    told = {**same, "model": model, "mode": mode, "output_tokens": tokens}
    return [{**told, "query_id": f"q{i}", "prompt": f"question {i}", "correct": i % 2} for i in range(4)]


def test_a_table_without_a_constellation_makes_every_model_and_mode_a_route_at_price_one(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    write_table(table, [*rows("m", "think-full", 90), *rows("m", "direct", 3)])
    found = from_tables([table], None, Objective())
    assert [(r.name, r.price.output) for r in found.aim.routes] == [("m/direct", 1.0), ("m/think-full", 1.0)]
    assert found.aim.safe_route == "m/think-full"
    assert "at price 1" in found.notes[0]


def test_a_constellation_gives_routes_prices_and_derived_budgets(tmp_path: Path) -> None:
    table, file = tmp_path / "t.jsonl", tmp_path / "c.yaml"
    write_table(table, [*rows("m", "think-full", 90), *rows("m", "direct", 3)])
    file.write_text(
        "mine:\n  file: t.jsonl\n  routes:\n"
        "    small: {model: m, mode: direct, price: {input: 1, output: 2}}\n"
        "    b50: {of: full, budget: 50, fallback: small}\n"
        "    full: {model: m, mode: think-full, price: {input: 1, output: 4}}\n"
    )
    found = from_tables([table], f"{file}:mine", Objective())
    told = [(r.name, r.thinking_budget, r.price.output) for r in found.aim.routes]
    assert told == [("small", 0, 2.0), ("b50", 50, 4.0), ("full", None, 4.0)]


def test_a_table_whose_tokens_are_not_all_counted_costs_calls(tmp_path: Path) -> None:
    table, file = tmp_path / "t.jsonl", tmp_path / "c.yaml"
    write_table(table, [*rows("m", "think-full", 90), *rows("m", "direct", 3)])
    file.write_text(
        "mine:\n  cost: calls\n  routes:\n    small: {model: m, mode: direct}\n    full: {model: m, mode: think-full}\n"
    )
    assert not from_tables([table], None, Objective()).aim.calls
    found = from_tables([table], f"{file}:mine", Objective())
    assert found.aim.calls
    assert "cost is counted in calls: 1 for an answer by full, nothing for one by another route" in found.notes


def test_equal_ids_in_two_files_are_one_query_only_where_the_question_is_the_same(tmp_path: Path) -> None:
    """Files number their questions from 0; and the routes of both stand in order of what they cost."""
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    write_table(one, [*rows("m", "think-full", 90), *rows("m", "direct", 3)])
    asked = [row | {"prompt": "question 0" if row["query_id"] == "q0" else f"another {row['query_id']}"}
             for row in [*rows("n", "direct", 40), *rows("m", "direct", 5)]]  # fmt: skip
    write_table(other, asked)
    found = from_tables([one, other], None, Objective())
    assert len({o.query_id for o in found.observations}) == 4 + 3
    assert {o.route for o in found.observations if o.query_id == "q0"} == {"m/direct", "m/think-full", "n/direct"}
    assert [route.name for route in found.aim.routes] == ["m/direct", "n/direct", "m/think-full"]
    assert found.aim.safe_route == "m/think-full"

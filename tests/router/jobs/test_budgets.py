"""Budgets that follow by cutting, and which of them to fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibrating import contender
from hypothesis import given
from hypothesis import strategies as st

from pointsman.router.jobs.budgets import STATES, best_budgets, budgets_of, constellation, dominated
from pointsman.store import DerivedRoute, read_constellation, write_constellation

ENTERED = (contender("direct"), contender("short", budget=64), contender("whole", budget=None))


def rows(*lengths: int, thought: bool = True) -> list[dict[str, Any]]:
    """Whole thoughts of these lengths, and the other routes' short answers."""
    found: list[dict[str, Any]] = []
    for i, length in enumerate(lengths):
        for name, output in (("direct", 2), ("short", 20), ("whole", length)):
            tokens = {"thought_tokens": (output - 1) * thought, "input_tokens": 10, "output_tokens": output}
            found.append({"route": name, "group": f"g{i % 2}", **tokens})
    return found


@given(st.lists(st.integers(1, 40_000), max_size=30))
def test_budgets_are_powers_of_two_that_cut_some_thoughts_and_not_all(thoughts: list[int]) -> None:
    found = budgets_of(thoughts)
    assert len(found) <= 6
    assert list(found) == sorted(set(found))
    for budget in found:
        assert budget >= 16
        assert budget & (budget - 1) == 0
        assert min(thoughts) <= budget < max(thoughts)


def test_the_longest_thought_is_cut_and_what_is_configured_is_not_derived_again(tmp_path: Path) -> None:
    """64 is a route of its own; the derived ones stand before the thought that they cut, and read back as written."""
    made = constellation(tmp_path / "outcomes.jsonl", ENTERED, rows(20, 100, 300), samples=2)
    assert [route.name for route in made.routes] == ["direct", "short", "m(32)", "m(128)", "m(256)", "whole"]
    cut = made.routes[2]
    assert isinstance(cut, DerivedRoute)
    assert (cut.of, cut.budget, cut.fallback) == ("whole", 32, "direct")
    assert (made.hold_out_by, made.samples, made.probes) == ("group", 2, ("direct",))
    write_constellation(tmp_path / "outcomes.yaml", made)
    assert read_constellation(str(tmp_path / "outcomes.yaml")) == made


def test_nothing_is_cut_where_nothing_was_thought(tmp_path: Path) -> None:
    made = constellation(tmp_path / "t.jsonl", ENTERED, rows(20, 100, 300, thought=False), samples=1)
    assert [route.name for route in made.routes] == ["direct", "short", "whole"]


def test_nothing_is_cut_without_something_to_fall_back_on(tmp_path: Path) -> None:
    kept = [row for row in rows(20, 100, 300) if row["route"] != "direct"]
    made = constellation(tmp_path / "t.jsonl", ENTERED[1:], kept, samples=1)
    assert [route.name for route in made.routes] == ["short", "whole"]


def test_several_models_have_fewer_budgets_each(tmp_path: Path) -> None:
    """The ladder over all routes must stay small."""
    entered, told, states = [], [], 1
    for model in "abcd":
        entered += [contender(f"{model}0", model=model), contender(f"{model}1", model=model, budget=None)]
        for length in (17, 5000):
            tokens = {"group": "g", "thought_tokens": 9, "input_tokens": 10}
            told += [{"route": f"{model}{i}", "output_tokens": (2, length)[i], **tokens} for i in (0, 1)]
    made = constellation(tmp_path / "t.jsonl", entered, told, samples=1)
    for c in entered:
        states *= 2 + sum(isinstance(route, DerivedRoute) and route.of == c.name for route in made.routes)
    assert states <= 16 * 6**4
    assert sum(isinstance(route, DerivedRoute) for route in made.routes) == 4
    assert STATES == 400


def figures(**routes: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {name: {"accuracy": a, "cost": c, "output_tokens": c} for name, (a, c) in routes.items()}


def test_the_best_budget_is_the_cheapest_that_is_not_worse_beyond_noise(tmp_path: Path) -> None:
    """Half a standard error of 0.80 on 400 questions is one point."""
    made = constellation(tmp_path / "t.jsonl", ENTERED, rows(20, 100, 300), samples=1)
    told = figures(direct=(0.5, 2), short=(0.78, 40), whole=(0.8, 200))
    told |= {"m(32)": told["direct"], "m(128)": {"accuracy": 0.792, "cost": 90, "output_tokens": 90}}
    told |= {"m(256)": {"accuracy": 0.799, "cost": 150, "output_tokens": 150}}
    (best,) = best_budgets(told, made, ENTERED, 400)
    assert (best.model, best.route, best.budget, best.top, best.top_accuracy) == ("m", "m(128)", 128, "whole", 0.8)
    (few,) = best_budgets(told, made, ENTERED, 50)
    assert (few.route, few.budget) == ("short", 64)


def test_a_model_that_does_not_think_has_no_budget(tmp_path: Path) -> None:
    entered = (contender("a"), contender("b", model="n"))
    told = [{"route": r, "group": "g", "thought_tokens": 0, "input_tokens": 1, "output_tokens": 1} for r in "ab"]
    made = constellation(tmp_path / "t.jsonl", entered, told, samples=1)
    assert best_budgets(figures(a=(0.5, 1), b=(0.6, 2)), made, entered, 100) == ()


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_what_is_not_dominated_is_a_front_and_what_is_has_its_better_there(given_: dict[str, tuple[int, int]]) -> None:
    told = figures(**{name: (float(a), float(c)) for name, (a, c) in given_.items()})
    behind = dominated(told)
    front = {name for name, over in behind.items() if over is None}
    assert front
    for name, over in behind.items():
        if over is not None:
            assert over in front
            assert told[over]["accuracy"] >= told[name]["accuracy"]
            assert told[over]["cost"] <= told[name]["cost"]

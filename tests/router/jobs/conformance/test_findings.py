"""What a route's name is worth, from what was seen. Nothing is kept by luck, and no lie passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeing import cut, failed, seen

from pointsman.backends import SLACK
from pointsman.domain import Enforcement, Finish, Price, Route, Usage
from pointsman.router.jobs.conformance import findings
from pointsman.router.jobs.conformance.findings import Finding, Ruling

KEPT, BROKEN, NOT_SHOWN, NOT_POSSIBLE = Ruling.KEPT, Ruling.BROKEN, Ruling.NOT_SHOWN, Ruling.NOT_POSSIBLE
TOKENS = st.integers(0, 2_000)


# -- off ------------------------------------------------------------------------------------------------------------


def test_off_is_off_where_nothing_was_thought_that_is_thought_otherwise() -> None:
    found = findings.off([seen(0, 2)] * 3, [seen(90, 2)] * 3, thinks=True)
    assert (found.ruling, found.promise) == (KEPT, True)
    assert found.sentence == "No thought in 3 answers of 2 tokens; with thinking on, a thought of 90 tokens."


@given(
    st.lists(TOKENS, min_size=1, max_size=6), st.lists(TOKENS, max_size=6), st.booleans(), st.sampled_from([True, None])
)
def test_any_thought_at_all_breaks_off_shown_or_only_billed(
    spent: list[int], free: list[int], shown: bool, thinks: bool | None
) -> None:
    """A few tokens that are billed beyond the text may be its end; more were thought."""
    without = [seen(tokens, 4, shown=shown) for tokens in spent]
    found = findings.off(without, [seen(tokens) for tokens in free], thinks=thinks)
    if any(tokens > (0 if shown else 5) for tokens in spent):
        assert found.ruling is BROKEN
    else:
        assert found.ruling is not BROKEN


@given(st.lists(TOKENS, max_size=5))
def test_off_is_never_kept_on_a_model_that_was_not_seen_to_think(visible: list[int]) -> None:
    """Unless its server says that it does not."""
    without, thinking = [seen(0, n) for n in [1, *visible]], [seen(0, n) for n in [1, *visible]]
    assert findings.off(without, thinking, thinks=None).ruling is NOT_SHOWN
    assert findings.off(without, [], thinks=True).ruling is NOT_SHOWN
    assert findings.off(without, thinking, thinks=False).ruling is KEPT


def test_reasoning_that_moved_into_the_answer_shows_by_its_length() -> None:
    """A hybrid model that works everything out in the open has no thought, and is not off."""
    found = findings.off([seen(0, 200)] * 3, [seen(240, 8)] * 3, thinks=True)
    assert found.ruling is BROKEN
    assert found.sentence == (
        "Off moves the thought into the answer: answers of 200 tokens without thinking, of 8 after a thought of 240."
    )
    assert findings.off([seen(0, 200)] * 3, [seen(240, 180)] * 3, thinks=True).ruling is KEPT  # it is just talkative
    assert findings.off([seen(0, 30)] * 3, [seen(40, 1)] * 3, thinks=True).ruling is KEPT


def test_marks_in_the_answer_break_off() -> None:
    assert findings.off([seen(text="<think>\n\n</think>7")], [seen(90)], thinks=True).ruling is BROKEN


def test_a_thought_that_is_billed_and_not_shown_is_told_as_such() -> None:
    found = findings.off([seen(300, 1, shown=False)], [seen(300)], thinks=True)
    assert found.sentence == "Off is not off: 1 of 1 answers came with thought (300 tokens, billed but not shown)."


def test_an_empty_thought_is_none() -> None:
    """Many templates spell off as a thought of two line ends."""
    empty = replace(seen(0, 2), thought="\n\n", thought_tokens=1, usage=Usage(9, 0, 3, 2))
    assert findings.off([empty], [seen(90)], thinks=True).ruling is KEPT
    longer = replace(seen(0, 2), usage=Usage(9, 0, 30, 2))
    assert findings.off([longer], [seen(90)], thinks=True).ruling is BROKEN


def test_without_a_tokenizer_only_more_tokens_than_bytes_are_certain() -> None:
    unknown = {"thought_tokens": None, "text_tokens": None, "text": "seven"}
    assert findings.off([seen(0, 5, **unknown)], [seen(90)], thinks=True).ruling is KEPT
    assert findings.off([seen(0, 50, **unknown)], [seen(90)], thinks=True).ruling is BROKEN


# -- budgets --------------------------------------------------------------------------------------------------------

CUTS = st.lists(st.tuples(st.integers(1, 512), TOKENS, st.none() | TOKENS), min_size=1, max_size=8)


@given(CUTS)
def test_a_budget_is_kept_only_where_a_longer_thought_was_cut_at_it_and_broken_only_where_one_overran(
    drawn: list[tuple[int, int, int | None]],
) -> None:
    found = findings.budget([cut(*one) for one in drawn], thinks=True)
    over = any(thought > budget + SLACK for budget, thought, _ in drawn)
    put_to_the_test = any(
        free is not None and free > budget + SLACK and thought >= budget - max(2, budget // 8)
        for budget, thought, free in drawn
    )
    assert found.ruling is (BROKEN if over else KEPT if put_to_the_test else NOT_SHOWN)
    assert found.figures["overrun"] == max(0, *(thought - budget for budget, thought, _ in drawn))


@given(st.integers(1, 512), TOKENS)
def test_a_server_that_ignores_budgets_never_passes(budget: int, thought: int) -> None:
    """It thinks as long with a budget as without."""
    assert findings.budget([cut(budget, thought, thought)], thinks=True).ruling is not KEPT


def test_the_sentences_say_what_was_seen() -> None:
    sentence = findings.budget([cut(16, 17, 300), cut(64, 64, 300), cut(256, 200, 200)], thinks=True).sentence
    assert sentence == (
        "16 and 64 tokens kept, at most 1 over with the closing words; not shown for 256, the model thought less."
    )
    assert findings.budget([cut(64, 1_000, 1_000)], thinks=True).sentence == (
        "A budget of 64 was overrun by 936 tokens (1000)."
    )
    assert findings.budget([cut(64, 50, 50)], thinks=True).sentence == (
        "Not shown for 64: the model thought 50 tokens at most."
    )
    assert "stayed under it by themselves" in findings.budget([cut(64, 10, 500)], thinks=True).sentence
    assert "no thought without it was seen" in findings.budget([findings.Cut(64, seen(10), None)], thinks=True).sentence


def test_what_the_server_ignored_and_we_cut_is_kept_and_told() -> None:
    warned = cut(64, 66, 500, enforced=Enforcement.TWO_PASS, warnings=("vLLM ignored the thinking budget: …",))
    found = findings.budget([warned], thinks=True)
    assert (found.ruling, found.figures["ignored"], found.figures["enforced"]) == (KEPT, True, "two-pass")
    assert found.sentence.startswith("The server ignores its own budget")


def test_what_failed_or_does_not_think_proves_nothing() -> None:
    dead = findings.Cut(64, failed("is down"), None)
    assert findings.budget([dead], thinks=True).ruling is NOT_POSSIBLE
    assert "is down" in findings.budget([dead], thinks=True).sentence
    assert findings.budget([cut(64, 64, 500)], thinks=False).ruling is NOT_POSSIBLE
    assert findings.off([failed()], [], thinks=True).ruling is NOT_POSSIBLE
    assert findings.never_empty([failed()]).ruling is NOT_POSSIBLE


# -- answers --------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["7", "", " \n", "\u200b7"]), min_size=1, max_size=6))
def test_one_empty_answer_breaks_the_promise(texts: list[str]) -> None:
    found = findings.never_empty([seen(3, 1, text=text) for text in texts])
    assert found.ruling is (BROKEN if any(not text.strip() for text in texts) else KEPT)


def test_a_tool_call_is_an_answer_and_a_call_that_failed_is_none() -> None:
    called = seen(text="", tools=({"function": {"name": "f", "arguments": "{}"}},), finish=Finish.STOP)
    assert findings.never_empty([called, failed()]).ruling is KEPT


# -- routes ---------------------------------------------------------------------------------------------------------


def route(budget: int | None) -> Route:
    return Route("r", "m", "direct" if budget == 0 else "think", budget, Price(0.1, 0, 1))


OFF_KEPT = {"off": Finding("off", KEPT, "", True)}


def ruled(budget: int | None, own: list[Any], cuts: list[Any] | None = None, model: Any = None) -> tuple[Ruling, str]:
    found, how = findings.of_route(route(budget), own, cuts or [], model or OFF_KEPT)
    return found.ruling, how.value


def test_a_route_is_as_good_as_what_it_answered() -> None:
    assert ruled(0, [seen(0)]) == (KEPT, "native")
    assert ruled(0, [seen(0), seen(3)]) == (BROKEN, "none")
    assert ruled(None, [seen(90)]) == (KEPT, "native")
    assert ruled(64, [seen(65)], [cut(64, 65, 300)]) == (KEPT, "native")
    assert ruled(64, [seen(300)], [cut(64, 300, 300)]) == (BROKEN, "none")
    assert ruled(64, [seen(30, enforced=Enforcement.PROMPT)], [cut(64, 30, 30)]) == (NOT_SHOWN, "prompt")
    assert ruled(64, [seen(3, text="")], [cut(64, 3, 300)]) == (BROKEN, "native")
    assert ruled(64, [failed()]) == (NOT_POSSIBLE, "none")


def test_a_direct_route_lies_where_its_model_moves_the_thought_into_the_answer() -> None:
    model = {"off": Finding("off", BROKEN, "Off moves the thought into the answer.", True)}
    assert ruled(0, [seen(0, 200)], model=model) == (BROKEN, "none")


@given(st.lists(st.sampled_from(list(Enforcement)), min_size=1))
def test_a_chain_is_as_strong_as_its_weakest_link(ways: list[Enforcement]) -> None:
    order = ["native", "two-pass", "prompt", "none"]
    told = findings.enforced_of([seen(enforced=way) for way in ways])
    assert order.index(told.value) == max(order.index(way.value) for way in ways)


@given(
    st.builds(Finding, st.text(), st.sampled_from(Ruling), st.text(), st.booleans(), st.just({"overrun": 3, "x": [1]}))
)
def test_a_finding_comes_back_from_json(finding: Finding) -> None:
    assert Finding.of(finding.body()) == finding


@pytest.mark.parametrize("body", [{}, {"about": "off", "sentence": "", "ruling": "fine"}])
def test_what_is_no_finding_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises((LookupError, ValueError)):
        Finding.of(body)

"""What is sent for every shipped mode, word for word: messages, prefill, switch, budget, sampling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.catalogue import MODES, prepare
from pointsman.domain import Call, Json, Price, Query, Route, Sampling

ASKED = {"role": "user", "content": "What is 3+4?"}
OWN = {"role": "system", "content": "Speak French."}

CONCISE = (
    "Be brief: reason in at most {} words. Go only as far as the answer needs, in short plain steps; do not repeat the "
    "question, do not check a step twice, and stop as soon as the result stands."
)
BUDGET = (
    "Reason step by step, and plan for about {} tokens in all, thought and answer together: that is what a question "
    "like this one takes. Answer within them."
)
SOLVE = "Work the question through step by step in your reply, then give the final answer on its own last line."
DRAFT = (
    "Before you answer, write a draft of your working: one line a step, at most five words or one formula on each. "
    'Then write the answer on its own last line, after "Answer:".'
)
EXAMPLES = [
    {
        "role": "user",
        "content": "A shelf holds 14 jars. Nine are sold and then 4 new ones are put up. How many jars are on the "
        "shelf?",
    },
    {"role": "assistant", "content": "14 - 9 = 5\n5 + 4 = 9\nAnswer: 9"},
    {"role": "user", "content": "A train leaves at 10:40 and travels for 95 minutes. When does it arrive?"},
    {"role": "assistant", "content": "95 min = 1 h 35\n10:40 + 1 h = 11:40\n11:40 + 35 min = 12:15\nAnswer: 12:15"},
    {"role": "user", "content": "Ada is taller than Ben. Cleo is shorter than Ben. Who is the shortest?"},
    {"role": "assistant", "content": "Ada > Ben\nBen > Cleo\nAnswer: Cleo"},
]
SENT: list[tuple[str, str, list[Json], bool]] = [
    ("direct", "", [], False),
    ("think", "", [], True),
    ("think(64)", "", [], True),
    ("least", "", [], True),
    ("concise", CONCISE.format(60), [], True),
    ("concise(60)", CONCISE.format(60), [], True),
    ("concise(25)", CONCISE.format(25), [], True),
    ("token-budget", BUDGET.format(300), [], True),
    ("token-budget(80)", BUDGET.format(80), [], True),
    ("draft", DRAFT, EXAMPLES, False),
    ("solve", SOLVE, [], False),
]


def sent(mode: str, *messages: Json, budget: int | None = 64, expected: float | None = None) -> Call:
    route = Route("r", "m", mode, budget, Price(input=0.1, cached_input=0.0, output=1.0))
    return prepare(Query(messages), route, expected=expected)


def test_every_shipped_mode_is_here() -> None:
    assert {mode.partition("(")[0] for mode, *_ in SENT} == set(MODES)


@pytest.mark.parametrize(("mode", "system", "shown", "thinks"), SENT, ids=[mode for mode, *_ in SENT])
def test_this_is_what_is_sent(mode: str, system: str, shown: list[Json], thinks: bool) -> None:
    told = [{"role": "system", "content": system}] if system else []
    budget, least = 64 if thinks else 0, mode == "least"
    assert sent(mode, ASKED) == Call(messages=(*told, *shown, ASKED), thinking_budget=budget, least=least)
    both = {"role": "system", "content": f"Speak French.\n\n{system}" if system else "Speak French."}
    assert sent(mode, OWN, ASKED).messages == (both, *shown, ASKED)


@pytest.mark.parametrize("mode", MODES)
def test_no_shipped_mode_draws_tokens_its_own_way_or_begins_the_answer(mode: str) -> None:
    call = sent(mode, ASKED)
    assert (call.sampling, call.answer_prefix, call.thought_prefix) == (Sampling(), "", "")


def test_solve_is_not_direct() -> None:
    """Both have the thinking off; the one works in the open, the other answers at once."""
    solve, direct = sent("solve", ASKED), sent("direct", ASKED)
    assert solve.thinking_budget == direct.thinking_budget == 0
    assert direct.messages == (ASKED,)
    assert "step by step" in solve.messages[0]["content"]


def test_the_examples_of_draft_do_as_they_are_told_and_are_right() -> None:
    """At most five words or one formula a line, and the answer last."""
    for example in MODES["draft"].examples:
        *steps, last = example.assistant.splitlines()
        assert steps
        assert all(sum(word.isalpha() for word in line.split()) <= 5 for line in steps)
        assert last.startswith("Answer: ")
    jars, train, _ = (example.assistant for example in MODES["draft"].examples)
    assert int(jars.rpartition(" ")[2]) == 14 - 9 + 4
    hour, minute = divmod(10 * 60 + 40 + 95, 60)
    assert train.endswith(f"Answer: {hour}:{minute:02}")


@pytest.mark.parametrize(
    ("expected", "named"),
    [
        (None, 300),
        (float("nan"), 300),
        (float("inf"), 300),
        (0.0, 10),
        (3.4, 10),
        (12.4, 12),
        (99.6, 100),
        (337.2, 340),
        (2_449.0, 2_400),
        (123_456_789.0, 100_000),
    ],
)
def test_the_tokens_named_are_the_expected_ones_in_two_figures(expected: float | None, named: int) -> None:
    call = sent("token-budget", ASKED, expected=expected)
    assert call.messages[0]["content"] == BUDGET.format(named)
    assert call.thinking_budget == 64  # the name in the prompt is a wish; the route's budget binds


def test_a_number_that_was_asked_for_goes_before_the_expected_one() -> None:
    assert sent("token-budget(80)", ASKED, expected=337.2).messages[0]["content"] == BUDGET.format(80)
    assert sent("concise", ASKED, expected=337.2).messages[0]["content"] == CONCISE.format(60)


@given(st.floats())
def test_whatever_is_expected_a_plain_number_within_bounds_is_named(expected: float) -> None:
    text = sent("token-budget", ASKED, expected=expected).messages[0]["content"]
    (number,) = [int(word) for word in text.split() if word.isdigit()]
    assert 10 <= number <= 100_000
    assert len(str(number).rstrip("0")) <= 2


@pytest.mark.parametrize(("mode", "budget"), [("think", 64), ("think(64)", 64), ("think(64)", None)])
def test_think_with_a_number_is_think_with_that_budget(mode: str, budget: int | None) -> None:
    assert sent(mode, ASKED, budget=budget) == sent("think", ASKED, budget=64)

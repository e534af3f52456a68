"""Every kind of evidence, on a real llama.cpp server: probabilities, questions about the answer, a second answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from embedded import ask, embedded_router

from pointsman.domain import Purpose, Query, Wish
from pointsman.router import Router
from pointsman.router.live import Answered
from pointsman.router.signs import NAMES


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    ask_all = ["p_right", "stated_confidence", "again"]
    with embedded_router(tmp_path_factory.mktemp("home"), ask=ask_all, max_tokens=100) as made:
        yield made


def asked(router: Router, text: str, route: str) -> Answered:
    # SmolLM2 goes on and on; its first sentence is its answer here.
    stop = (".", "\n") if route == "chat" else ()
    query = Query(messages=({"role": "user", "content": text},), stop=stop)
    return ask(router, query, Wish(route=route), signs=True)[1]


def test_digits_shows_by_its_probabilities_what_it_knows(router: Router) -> None:
    """A chain of one operator it knows, one of six it guesses."""
    knows, guesses = (asked(router, chain, "small").attempts[-1].signs for chain in ("3+4", "3+4*2-7+5*6-1"))
    assert set(NAMES) <= set(knows)
    assert knows["first_probability"] > 0.9 > guesses["first_probability"]
    assert knows["first_entropy"] < guesses["first_entropy"]
    assert knows["again"] == 1.0


def test_a_model_of_language_answers_what_it_is_asked_about_its_answer(router: Router) -> None:
    """SmolLM2 understands yes and no, and its probes are charged and stand before the answer."""
    answered = asked(router, "Name the capital of France in one word.", "chat")
    *probes, answer = answered.attempts
    assert [a.purpose for a in probes] == [Purpose.PROBE] * 3
    assert answer.purpose is Purpose.ANSWER
    assert 0.0 < answer.signs["p_right"] < 1.0
    assert all(a.error is None and a.cost > 0 for a in probes)
    right, stated, again = probes
    assert right.usage.output == 1
    assert stated.usage.output <= 6
    assert again.usage.prompt == answer.usage.prompt
    assert right.usage.prompt > answer.usage.prompt


def test_a_question_about_an_answer_reads_its_prompt_from_the_engines_memory(router: Router) -> None:
    """The prompt and the answer stand first in it, so all but its end was read before."""
    long = "France is a country. Its capital is Paris. " * 40 + "Name the capital of France in one word."
    right = asked(router, long, "chat").attempts[0]
    assert right.purpose is Purpose.PROBE
    assert right.usage.cached > 0.8 * right.usage.prompt


def test_nothing_thought_is_thought_again(router: Router) -> None:
    """A thinking route is asked about its answer, and not for another."""
    answered = asked(router, "3+4", "full")
    assert [a.purpose for a in answered.attempts] == [Purpose.PROBE, Purpose.PROBE, Purpose.ANSWER]
    assert "again" not in answered.attempts[-1].signs

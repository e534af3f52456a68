"""What is asked about an answer, and how the reply is read."""

from __future__ import annotations

from math import log
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import TokenLogprob
from pointsman.classifiers import load_embedder
from pointsman.domain import Call, Purpose, Sampling
from pointsman.router.config import ProbeName
from pointsman.router.probes import PROBES, TEMPERATURE, Probe, applies, call_for, shown

RIGHT, STATED, AGAIN = PROBES["p_right"], PROBES["stated_confidence"], PROBES["again"]
ASKED = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "3+4"})


@pytest.mark.parametrize("probe", [RIGHT, STATED], ids=["p_right", "stated_confidence"])
def test_its_prompt_begins_with_the_answers_own_and_ends_with_the_question(probe: Probe) -> None:
    """An engine that keeps prompts reads only the answer and the question."""
    call = call_for(Call(messages=ASKED, max_tokens=900, deadline_ms=50.0, thinking_budget=None), "7", probe)
    assert call.messages[:2] == ASKED
    assert call.messages[2:] == (
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": probe.question},
    )
    assert (call.purpose, call.thinking_budget) == (Purpose.PROBE, 0)
    assert call.max_tokens == probe.max_tokens
    assert call.deadline_ms == 50.0
    assert call.sampling.temperature == 0.0


@pytest.mark.parametrize(("given", "drawn"), [(None, TEMPERATURE), (0.0, TEMPERATURE), (1.2, 1.2)])
def test_the_same_query_is_put_again_and_drawn_by_chance(given: float | None, drawn: float) -> None:
    """A greedy or seeded second answer would be the first one, and would say nothing."""
    first = Call(messages=ASKED, thinking_budget=0, max_tokens=9, sampling=Sampling(temperature=given, seed=1))
    call = call_for(first, "7", AGAIN)
    assert (call.messages, call.max_tokens, call.purpose) == (ASKED, 9, Purpose.PROBE)
    assert (call.sampling.temperature, call.sampling.seed) == (drawn, None)


def test_nothing_is_thought_twice() -> None:
    """A second thought would cost as much as the first; a question about its answer costs a few tokens."""
    thought = Call(messages=ASKED, thinking_budget=None)
    assert not applies(AGAIN, thought)
    assert applies(RIGHT, thought)
    assert applies(AGAIN, Call(messages=ASKED, thinking_budget=0))


def test_a_second_answer_shows_how_alike_the_two_are() -> None:
    """Short ones say the same or not; texts are compared by what they are about."""
    encoder = load_embedder()
    assert shown(AGAIN, " Paris ", (), "paris", encoder) == 1.0
    assert shown(AGAIN, "Rome", (), "paris", encoder) == 0.0
    assert shown(AGAIN, " ", (), "paris", encoder) is None
    text = "The tide rises and falls because the moon pulls on the water of the sea."
    near = "Because the moon pulls on the sea's water, the tide goes up and down every day."
    far = "Add two eggs and a cup of flour, stir well, and bake it for half an hour."
    like, unlike = shown(AGAIN, near, (), text, encoder), shown(AGAIN, far, (), text, encoder)
    assert like is not None
    assert unlike is not None
    assert 0.0 <= unlike < like < 1.0


def test_the_beginning_that_a_mode_gave_stands_before_the_answer() -> None:
    """What was sent as the answer's prefix is part of the answer that is asked about."""
    call = call_for(Call(messages=ASKED, answer_prefix="Answer: "), "7", RIGHT)
    assert call.messages[2]["content"] == "Answer: 7"


def test_tools_stay_in_the_prompt_but_cannot_be_called() -> None:
    """They are part of the prefix; the reply is to be a word."""
    tool = {"type": "function", "function": {"name": "f"}}
    call = call_for(Call(messages=ASKED, tools=(tool,)), "7", RIGHT)
    assert (call.tools, call.tool_choice) == ((tool,), "none")
    assert call_for(Call(messages=ASKED), "7", RIGHT).tool_choice is None


def test_a_configuration_can_name_every_probe_and_no_other() -> None:
    """The names stand there too, so that nothing heavy is loaded to read a configuration."""
    assert get_args(ProbeName) == tuple(PROBES)


def first(**chances: float) -> list[TokenLogprob]:
    top = tuple((token.replace("_", " "), log(p)) for token, p in chances.items())
    return [TokenLogprob(top[0][0], top[0][1], top)]


def test_yes_is_its_share_of_the_words_asked_for() -> None:
    """Spellings add up, other words do not count."""
    assert shown(RIGHT, "Yes", first(Yes=0.5, _yes=0.1, No=0.2, Maybe=0.2)) == pytest.approx(0.75)


def test_a_reply_about_something_else_shows_nothing() -> None:
    """A model that does not understand the question puts next to nothing on the words."""
    assert shown(RIGHT, "7", first(seven=0.95, Yes=0.02, No=0.01)) is None
    assert shown(RIGHT, "", []) is None


def test_without_alternatives_the_token_drawn_counts() -> None:
    """An engine that gives no alternatives still gives its own token's probability."""
    assert shown(RIGHT, "No", [TokenLogprob("No", log(0.9))]) == 0.0


@pytest.mark.parametrize(
    ("reply", "confidence"),
    [("85", 0.85), ("85%", 0.85), ("About 70.5.", 0.705), ("100", 1.0), ("0", 0.0), ("250", None), ("sure", None)],
)
def test_a_stated_confidence_is_a_number_up_to_a_hundred(reply: str, confidence: float | None) -> None:
    """Anything else is not guessed at."""
    assert shown(STATED, reply, []) == (None if confidence is None else pytest.approx(confidence))


@given(
    st.text(max_size=30),
    st.lists(st.tuples(st.sampled_from(["Yes", " no", "x", "TRUE"]), st.floats(-30, 0.01)), max_size=5),
)
def test_what_is_shown_is_a_share_or_nothing(text: str, top: list[tuple[str, float]]) -> None:
    """Whatever the reply."""
    tokens = [TokenLogprob(top[0][0], top[0][1], tuple(top))] if top else []
    for probe in PROBES.values():
        value = shown(probe, text, tokens, "an answer")
        assert value is None or 0.0 <= value <= 1.0

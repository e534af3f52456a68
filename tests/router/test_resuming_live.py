"""A cut answer that goes on, on a real llama.cpp server: the same text as without the cut, little of it read twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from embedded import ask, embedded_router
from laddered import learnt_ladder

from pointsman.backends import Text, Thought
from pointsman.classifiers.ladder_model import LadderModel, StateModel
from pointsman.domain import Finish, Query, Sampling, Wish
from pointsman.router import Router
from pointsman.router.decide import Learnt
from pointsman.router.live import LiveEvent
from pointsman.router.objectives import Point

CAP = 12
POEM = Query(
    messages=({"role": "user", "content": "Write two sentences about the sea."},),
    max_tokens=60,
    sampling=Sampling(temperature=0.0),
)


def always(first: str, last: str) -> LadderModel:
    """Buy the first route's answer, up to the cap, and give it, whole or begun."""
    root = np.vstack([[0.9, 1.0, 0.0], np.zeros((4, 3))])  # the constant, then four columns of the text
    given = np.vstack([[0.8, 0.9, 1.0, 0.0], np.zeros((4, 4))])
    whole = np.vstack([given, np.zeros((2, 4))])  # the length, and whether it could be read
    fitted = {
        (2, 1): StateModel((0, 1), 1, 0),
        (1, 1): StateModel((1,), 1, 0, begun=(0,)),
        (2, 0): _fitted((0,), whole),
        (1, 0): replace(_fitted((), given), begun=(0,)),
        (0, 1): StateModel((1,), 1, 0),
        (0, 0): _fitted((), root),
    }
    return LadderModel((first, last), last, (1.0,), "free_text", ((), ()), fitted, cap=CAP, resumes=(first,))


def _fitted(done: tuple[int, ...], weights: np.ndarray) -> StateModel:
    size = len(weights) - 1
    return StateModel(done, 2, 1, np.zeros(size), np.ones(size), weights.astype(np.float32))


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with embedded_router(tmp_path_factory.mktemp("home"), max_tokens=CAP) as made:
        yield made


def climb(router: Router, first: str) -> None:
    """Serve by the ladder that gives the first route's answer."""
    last = "full" if first == "chat" else "chat"
    made = learnt_ladder((Point(0.9, 100.0, route=last), Point(0.9, 1.0, rung=0, sure=0.9)), always(first, last))
    router.decider.use(Learnt(made.artifact, {first: 0, last: 1}, made.curve))


def said(events: list[LiveEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def test_a_greedy_answer_is_the_same_as_without_the_cut(router: Router) -> None:
    plain, direct = ask(router, POEM, Wish(route="chat"))
    assert direct.usage.answer > 2 * CAP
    climb(router, "chat")
    events, answered = ask(router, POEM)
    assert answered.decision.reason.startswith(f"chat's answer has not ended by {CAP} tokens")
    assert said(events) == said(plain) == answered.attempts[-1].answer
    assert (answered.finish, len(answered.attempts)) == (direct.finish, 1)
    assert abs(answered.usage.answer - direct.usage.answer) <= 1
    # What was read again is less than the prompt and the beginning: the server had kept them.
    assert answered.usage.prompt < direct.usage.prompt + CAP


def test_a_thought_that_was_cut_goes_on_thinking(router: Router) -> None:
    chain = Query(messages=({"role": "user", "content": "3+4*2-7+5*6-1"},))
    plain, direct = ask(router, chain, Wish(route="full"))
    assert direct.usage.thought > CAP
    climb(router, "full")
    events, answered = ask(router, chain)
    thoughts = ["".join(e.text for e in es if isinstance(e, Thought)) for es in (events, plain)]
    assert thoughts[0] == thoughts[1]
    assert said(events) == said(plain)
    assert answered.finish is Finish.STOP
    assert abs(answered.usage.output - direct.usage.output) <= 1

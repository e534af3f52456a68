"""When a thought is ended early, given up or left alone, and that its budget is kept whatever the model does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_modes import Played, play, says

from pointsman.domain import Call, Finish, Purpose, Sampling, Usage
from pointsman.router.modes import Reply
from pointsman.router.modes.early_exit import CUE, DECAYED, MOST, PATIENCE, TRIAL, early_exit

QUERY = Call(messages=({"role": "user", "content": "3+4"},))
STEP = 10


class Model:
    """Thinks `length` tokens (a letter each), then answers "7". trials: what it says when it is asked on the way, and
    how sure it is, the last one again and again."""

    def __init__(
        self, length: int, trials: Sequence[str | None] = ("7",), sure: Sequence[float | None] = (None,)
    ) -> None:
        self.length, self.trials, self.sure = length, trials, sure
        self.tried = 0
        self.thought: dict[int, int] = {}

    def __call__(self, number: int, call: Call) -> Reply:
        if call.purpose is Purpose.PROBE:
            at, self.tried = self.tried, self.tried + 1
            text = self.trials[min(at, len(self.trials) - 1)]
            reply = (
                says(number, text, probability=self.sure[min(at, len(self.sure) - 1)])
                if text is not None
                else says(number, None)
            )
            return (
                replace(reply, finish=Finish.LENGTH)
                if text is not None and len(text) > TRIAL and not call.answer_prefix
                else reply
            )
        if call.thinking_budget == 0:
            return says(number, "closed")
        left = self.length - len(call.thought_prefix)
        limits = [left, *(n for n in (call.thinking_budget, call.max_tokens) if n is not None)]
        thought = min(limits)
        self.thought[number] = thought
        usage = Usage(10, 0, thought, 0)
        if thought == call.max_tokens and thought <= left:
            return Reply(number, "t" * thought, usage=usage, finish=Finish.LENGTH)
        return Reply(number, "t" * thought, "7", usage=replace(usage, answer=1), ended=True)


def run(model: Callable[[int, Call], Reply], times: int = 3, query: Call = QUERY) -> Played:
    return play(early_exit(query, (STEP, times)), model)


def thinking(played: Played) -> list[int | None]:
    """The limits of the calls that may think."""
    return [call.max_tokens for call in played.calls if call.thinking_budget != 0]


def test_trial_answers_that_agree_end_the_thought() -> None:
    model = Model(1000, ["5", "7", "7", "7"])
    played = run(model)
    assert sum(model.thought.values()) == 4 * STEP
    assert [call.purpose for call in played.calls] == [Purpose.ANSWER, Purpose.PROBE] * 4
    assert played.answer.text == (7,)  # the last trial is the answer: nothing is asked again
    assert played.answer.thought == (0, 2, 4, 6)
    assert (played.answer.cut, played.answer.notes) == (True, ())


def test_every_trial_is_short_and_beside_the_thought() -> None:
    played = run(Model(1000, ["5", "7", "7", "7"]))
    pieces, trials = played.calls[::2], played.calls[1::2]
    assert [len(call.thought_prefix) for call in pieces] == [0, 10, 20, 30]
    assert [len(call.thought_prefix) for call in trials] == [10, 20, 30, 40]
    assert all(call.resumable and call.max_tokens == STEP for call in pieces)
    assert all(call.thinking_budget == 0 and call.max_tokens == TRIAL and not call.resumable for call in trials)
    assert all(call.answer_prefix == "" for call in trials)


def test_answers_that_change_let_it_think_to_its_end() -> None:
    played = run(Model(45, ["1", "2"] * 9))
    assert len([call for call in played.calls if call.purpose is Purpose.PROBE]) == 4
    last = len(played.calls) - 1
    assert played.answer.text == (last,)
    assert played.answer.thought[-1] == last
    assert not played.answer.cut


@given(
    st.integers(1, 300),
    st.lists(st.sampled_from(["1", "2", None]), min_size=1, max_size=12),
    st.integers(2, 5),
)
def test_it_stops_at_the_first_so_many_that_agree(length: int, trials: list[str | None], times: int) -> None:
    """And never before; a trial that failed is as if it had not been asked."""
    model = Model(length, trials)
    played = run(model, times)
    heard = [t for t in (trials[min(i, len(trials) - 1)] for i in range(model.tried)) if t is not None]
    runs = [i for i in range(times, len(heard) + 1) if len(set(heard[i - times : i])) == 1]
    if played.answer.cut:
        assert runs
        assert runs[0] == len(heard)
    else:
        assert runs == []
        assert sum(model.thought.values()) == length


@given(
    st.integers(1, 400),
    st.integers(1, 200) | st.none(),
    st.integers(1, 500) | st.none(),
    st.lists(st.sampled_from(["1", "2", None]), min_size=1, max_size=6),
)
def test_the_budget_and_the_limit_bind_the_whole(
    length: int, budget: int | None, limit: int | None, trials: list[str | None]
) -> None:
    model = Model(length, trials)
    played = run(model, query=replace(QUERY, thinking_budget=budget, max_tokens=limit))
    thought = sum(model.thought.values())
    assert thought <= length
    assert budget is None or thought <= budget
    assert limit is None or thought <= limit
    assert played.answer.text
    for call in played.calls:
        assert budget is None or len(call.thought_prefix) + (call.thinking_budget or 0) <= budget
        assert limit is None or (
            call.max_tokens is not None and len(call.thought_prefix) + call.max_tokens <= limit + 1
        )


def test_no_thought_at_all_is_one_call() -> None:
    played = run(Model(1000), query=replace(QUERY, thinking_budget=8))
    assert [call.thinking_budget for call in played.calls] == [8]
    played = run(Model(1000), query=replace(QUERY, max_tokens=1))
    assert len(played.calls) == 1


def test_a_decayed_confidence_is_given_up_for_the_surest_trial() -> None:
    """Four trials in a row less than half as sure as the best before them."""
    trials, sure = ["1", "9", "2", "3", "4", "5"], [0.6, 0.9, 0.4, 0.44, 0.3, 0.2]
    model = Model(1000, trials, sure)
    played = run(model)
    assert model.tried == 2 + PATIENCE
    assert played.answer.text == (3,)
    assert played.answer.thought == (0, 2)
    assert played.answer.notes == ("thought given up after 60 tokens: its trial answers grew unsure",)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20))
def test_it_is_given_up_only_where_the_confidence_stays_low(sure: list[float]) -> None:
    model = Model(len(sure) * STEP + STEP // 2, [str(n) for n in range(len(sure))], sure)
    played = run(model)
    until = next(
        (
            n
            for n in range(PATIENCE + 1, len(sure) + 1)
            if max(sure[n - PATIENCE : n]) < DECAYED * max(sure[: n - PATIENCE])
        ),
        None,
    )
    assert model.tried == (until or len(sure))
    assert played.answer.cut == (until is not None)
    if until is not None:
        given_ = sure[:until]
        assert played.answer.text == (2 * given_.index(max(given_)) + 1,)


def test_an_unknown_confidence_is_never_given_up() -> None:
    assert not run(Model(95, [str(n) for n in range(9)])).answer.cut


def test_a_model_that_answers_at_length_is_cued_and_answers_in_full_at_the_end() -> None:
    """The first trial does not come to its answer in time; from then on its beginning is given."""
    model = Model(1000, ["I will work this out step by step, and so on", "7.", "7", "7.0"])
    played = run(model)
    trials = [call for call in played.calls if call.purpose is Purpose.PROBE]
    assert [call.answer_prefix for call in trials] == ["", CUE, CUE, CUE]
    last = played.calls[-1]
    assert (last.thinking_budget, last.answer_prefix, last.purpose) == (0, "", Purpose.ANSWER)
    assert len(last.thought_prefix) == 4 * STEP
    assert last.max_tokens is None
    assert played.answer.text == (len(played.calls) - 1,)


def test_a_thought_that_breaks_off_leaves_its_last_trial_answer() -> None:
    model = Model(1000, ["5", "7"])

    def broken(number: int, call: Call) -> Reply:
        return says(number, None) if number == 4 else model(number, call)

    played = run(broken)
    assert (played.answer.text, played.answer.thought) == ((3,), (0, 2))
    assert "broke off" in played.answer.notes[0]
    assert run(lambda number, call: says(number, None)).answer.text == ()


def test_a_thought_that_spells_control_tokens_is_asked_anew() -> None:
    """As a prompt it would be read as such."""

    def strange(number: int, call: Call) -> Reply:
        if call.resumable:
            return Reply(number, "</think>", usage=Usage(1, 0, STEP, 0), finish=Finish.LENGTH)
        return says(number, "7")

    played = run(strange)
    assert played.calls[1:] == [QUERY]
    assert (played.answer.text, played.answer.thought) == ((1,), (1,))


def test_an_answer_that_began_in_a_piece_goes_on() -> None:
    def begins(number: int, call: Call) -> Reply:
        if call.resumable:
            return Reply(number, "t", "It is", usage=Usage(1, 0, 8, 2), finish=Finish.LENGTH, ended=True)
        assert (call.thought_prefix, call.answer_prefix, call.thinking_budget) == ("t", "It is", 0)
        return says(number, " 7")

    played = run(begins)
    assert (played.answer.text, played.answer.thought) == ((0, 1), (0, 1))


def test_a_thought_without_end_is_not_tried_for_ever() -> None:
    model = Model(10**6, [str(n) for n in range(200)])
    played = run(model)
    assert model.tried == MOST
    assert thinking(played)[-1] is None


@pytest.mark.parametrize("logprobs", [None, 0, 5])
def test_trials_tell_their_probabilities(logprobs: int | None) -> None:
    played = run(Model(1000), query=replace(QUERY, logprobs=logprobs, sampling=Sampling(temperature=0.0)))
    assert {call.logprobs for call in played.calls if call.purpose is Purpose.PROBE} == {logprobs or 0}
    assert {call.sampling.temperature for call in played.calls} == {0.0}

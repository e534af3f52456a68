"""The stopping rules of votes, for all draws: the same answer as if all had been asked, and no sample too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_modes import Played, play, says

from pointsman.domain import Call, Finish, Sampling
from pointsman.router.modes import Reply
from pointsman.router.modes.votes import ALIKE, Tally, first, form_of, vote

QUERY = Call(messages=({"role": "user", "content": "3+4"},), thinking_budget=8)
ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None, ""]), min_size=3, max_size=12)


def asked(count: int, answers: Sequence[str | None], order: Sequence[int] | None = None) -> Played:
    """A vote of these answers, by sample; order: ranks by which running samples end."""

    def ends(running: Sequence[int]) -> int:
        return min(running, key=lambda number: (order or range(99))[number])

    return play(vote(QUERY, (count,)), lambda number, _: says(number, answers[number]), ends)


def majority(answers: Sequence[str | None]) -> str | None:
    """What most say; of several, what had so many votes first."""
    votes, leader = Counter[str](), None
    for answer in answers:
        if answer:
            votes[answer] += 1
            if leader is None or votes[answer] > votes[leader]:
                leader = answer
    return leader


@given(ANSWERS, st.randoms(use_true_random=False))
def test_a_vote_is_decided_as_if_all_had_been_asked(answers: list[str | None], chance: object) -> None:
    ranks = list(range(len(answers)))
    chance.shuffle(ranks)  # type: ignore[attr-defined]
    played = asked(len(answers), answers, ranks)
    unheard = [n for n in range(len(answers)) if n not in played.heard]
    winner = majority([answers[n] for n in played.heard])
    assert winner == majority([answers[n] for n in (*played.heard, *unheard)])
    if winner is None:
        assert played.answer.text == ()
        assert len(played.heard) == len(answers)
    else:
        assert answers[played.answer.text[0]] == winner
        assert played.answer.text == played.answer.thought
        assert played.answer.text[0] in played.heard


@given(ANSWERS)
def test_no_vote_is_asked_for_that_cannot_be_needed(answers: list[str | None]) -> None:
    """At every moment the calls that run are at most as many as would decide it if all agreed with the leader; and
    before the last reply, the leader could still have been overtaken."""
    played = asked(len(answers), answers)
    for heard in range(len(played.heard)):
        so_far, left = [answers[n] for n in played.heard[:heard]], len(answers) - heard
        votes = Counter(a for a in so_far if a).most_common(2)
        lead = (votes[0][1] if votes else 0) - (votes[1][1] if len(votes) > 1 else 0)
        assert lead < left or not votes
    least = next(d for d in range(1, 99) if d >= len(answers) - d)
    assert played.most <= least
    assert len(played.calls) == len(played.heard)  # none was cancelled: none ran for nothing


@pytest.mark.parametrize(
    ("answers", "heard"),
    [("111", 2), ("121", 3), ("123", 3), ("11111", 3), ("11211", 4), ("12121", 5), ("1112222", 7), ("2211111", 6)],
)
def test_how_many_it_takes(answers: str, heard: int) -> None:
    assert len(asked(len(answers), answers).heard) == heard


def test_answers_agree_by_what_they_mean() -> None:
    played = asked(3, ["The answer is 1,000.", "\\boxed{1000}", "7"])
    assert (played.answer.text, len(played.heard)) == ((0,), 2)
    assert played.answer.notes == ()


def test_lone_answers_are_told() -> None:
    assert asked(3, "123").answer.notes == ("no two of 3 samples agreed: the first was given",)


def test_an_error_of_one_loses_no_other() -> None:
    played = asked(3, [None, "7", "7"])
    assert played.answer.text == (1,)
    assert asked(3, [None, None, "7"]).answer.text == (2,)
    assert asked(3, [None, None, None]).answer.text == ()


def test_an_unfinished_answer_has_no_vote_and_is_better_than_none() -> None:
    cut = [says(0, "8", finish=Finish.LENGTH), says(1, "8", finish=Finish.LENGTH), says(2, "7")]
    assert play(vote(QUERY, (3,)), lambda n, _: cut[n]).answer.text == (2,)
    assert play(vote(QUERY, (3,)), lambda n, _: cut[n % 2]).answer.text == (0,)


def test_tools_agree_where_names_and_arguments_do() -> None:
    def called(number: int, arguments: str) -> Reply:
        return says(number, "", tools=(("f", arguments),), finish=Finish.TOOL_CALLS)

    replies = [called(0, '{"a": 2, "b": 1}'), called(1, '{"a": 1}'), called(2, '{"b":1,"a":2}')]
    assert play(vote(QUERY, (3,)), lambda n, _: replies[n]).answer.text == (0,)
    assert form_of(called(0, "{")) == form_of(called(1, "{"))
    assert form_of(called(0, "{")) != form_of(says(1, "{"))


def test_samples_are_drawn_by_chance_and_each_by_its_own() -> None:
    calls = asked(3, "121").calls
    assert {call.sampling.temperature for call in calls} == {0.8}
    seeded = play(vote(Call(sampling=Sampling(seed=5, temperature=0.3)), (3,)), lambda n, _: says(n, "121"[n])).calls
    assert [(c.sampling.seed, c.sampling.temperature) for c in seeded] == [(5, 0.3), (6, 0.3), (7, 0.3)]
    assert {call.thinking_budget for call in calls} == {8}


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.0), Sampling(top_k=1)])
@pytest.mark.parametrize("mode", [vote, first])
def test_where_chance_has_no_say_one_is_enough(mode: object, sampling: Sampling) -> None:
    numbers = (5,) if mode is vote else (3, 5)
    played = play(mode(Call(sampling=sampling), numbers), lambda n, _: says(n, "7"))  # type: ignore[operator]
    assert (len(played.calls), played.answer.text, played.answer.notes) == (1, (0,), (ALIKE,))


@given(ANSWERS.filter(lambda a: len(a) > 2), st.data())
def test_the_first_that_finish_decide(answers: list[str | None], data: st.DataObject) -> None:
    """All start at once; what failed or said nothing has not finished. It is the majority of the first m, and nobody is
    waited for who could not change it."""
    n = len(answers)
    m = data.draw(st.integers(1, n))
    ranks = data.draw(st.permutations(range(n)))
    played = play(
        first(QUERY, (m, n)),
        lambda number, _: says(number, answers[number]),
        lambda running: min(running, key=ranks.index),
    )
    assert len(played.calls) == n
    finished = [number for number in ranks if answers[number]][:m]
    winner = majority([answers[number] for number in finished])
    if winner is None:
        assert played.answer.text == ()
    else:
        assert answers[played.answer.text[0]] == winner
    heard = [number for number in played.heard if answers[number]]
    assert heard == finished[: len(heard)]


def test_first_of_three_stops_where_two_agree() -> None:
    played = play(first(QUERY, (3, 5)), lambda n, _: says(n, "12234"[n]), lambda running: max(running))
    assert played.heard == [4, 3, 2]
    played = play(first(QUERY, (3, 5)), lambda n, _: says(n, "11234"[n]))
    assert (played.heard, played.answer.text) == ([0, 1], (0,))


def test_a_tally_needs_nothing_once_it_is_decided() -> None:
    tally = Tally(5)
    assert tally.needed == 3
    for number in range(3):
        tally.add(says(number, "7"))
    assert (tally.needed, tally.winner) == (0, 0)

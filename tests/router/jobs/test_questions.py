"""The generator of questions: what it draws is right, distinct, balanced and repeatable."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.router.jobs import questions

LENGTHS = st.lists(st.integers(1, 10), min_size=1, max_size=5, unique=True)
SEEDS = st.integers(0, 2**32)
patient = settings(deadline=None, max_examples=50)  # a busy machine must not fail a property


def test_a_chain_is_evaluated_from_left_to_right_modulo_ten() -> None:
    assert questions.evaluate_chain("3+4*2-7") == 7
    assert questions.evaluate_chain("2-3") == 9
    assert questions.evaluate_chain("9*9") == 1
    assert questions.evaluate_chain("1+2*3") == 9  # no precedence


@patient
@given(st.integers(1, 12), SEEDS)
def test_the_value_of_a_chain_agrees_with_python_step_by_step(length: int, seed: int) -> None:
    chain = questions.random_chain(length, random.Random(seed))
    value = int(chain[0])
    for i in range(1, len(chain), 2):
        value = eval(f"({value}){chain[i : i + 2]}") % 10
    assert questions.evaluate_chain(chain) == value


@pytest.mark.parametrize("text", ["", "3", "3+", "+3", "3+4=", "12+3", "3/4", "3 + 4", "3+4\n", "٣+4"])
def test_other_text_is_no_chain(text: str) -> None:
    with pytest.raises(ValueError, match="Not a chain"):
        questions.evaluate_chain(text)


@patient
@given(st.integers(0, 40), LENGTHS, SEEDS)
def test_chains_are_distinct_balanced_right_and_the_same_for_the_same_seed(
    n: int, lengths: list[int], seed: int
) -> None:
    drawn = questions.chains(n, lengths, seed)
    assert drawn == questions.chains(n, lengths, seed)
    assert len({q.prompt for q in drawn}) == n
    counts = Counter(len(q.prompt) // 2 for q in drawn)
    assert set(counts) <= set(lengths)
    assert n < len(lengths) or max(counts.values()) - min(counts.values()) <= 1
    for q in drawn:
        assert q.answer == str(questions.evaluate_chain(q.prompt))
        assert q.family == "chain"
        assert q.difficulty == questions.difficulty_of(len(q.prompt) // 2)


@patient
@given(st.integers(2, 6), SEEDS, st.booleans())
def test_held_out_chains_and_the_others_are_kept_apart(length: int, seed: int, held_out: bool) -> None:
    assert all(
        questions.is_held_out(q.prompt) == held_out for q in questions.chains(30, (length,), seed, held_out=held_out)
    )


def test_all_300_chains_of_length_one_can_be_drawn_and_none_is_held_out() -> None:
    drawn = questions.chains(300, (1,), seed=0)
    assert {q.prompt for q in drawn} == {f"{a}{o}{b}" for a in range(10) for o in "+-*" for b in range(10)}
    assert not any(questions.is_held_out(q.prompt) for q in drawn)


def test_about_an_eighth_of_the_longer_chains_is_held_out() -> None:
    drawn = questions.chains(4_000, (2, 3, 8), seed=1)
    assert 0.10 < sum(questions.is_held_out(q.prompt) for q in drawn) / len(drawn) < 0.15


@pytest.mark.parametrize(
    ("n", "lengths", "held_out"),
    [(301, (1,), None), (1, (1,), True), (20_000, (3,), None), (1, (0,), None), (1, (13,), None)],
)
def test_more_chains_than_there_are_is_an_error(n: int, lengths: tuple[int, ...], held_out: bool | None) -> None:
    with pytest.raises(ValueError, match=r"chains of length|A chain has"):
        questions.chains(n, lengths, seed=0, held_out=held_out)


@pytest.mark.parametrize("lengths", [(), (2, 2)])
def test_lengths_must_be_given_once_each(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="different lengths"):
        questions.chains(4, lengths, seed=0)


@patient
@given(st.integers(0, 900), SEEDS)
def test_difficulties_come_in_equal_shares(n: int, seed: int) -> None:
    drawn = questions.by_difficulty(n, seed)
    assert len({q.prompt for q in drawn}) == n
    counts = Counter(q.difficulty for q in drawn)
    assert sum(counts.values()) == n
    assert max(counts.values(), default=0) - min((counts[name] for name in questions.DIFFICULTIES), default=0) <= 1
    assert drawn == questions.by_difficulty(n, seed)


def test_every_length_of_a_difficulty_bears_its_name() -> None:
    for name, lengths in questions.DIFFICULTIES.items():
        assert {questions.difficulty_of(length) for length in lengths} == {name}


def test_only_the_exact_answer_is_right_blanks_apart() -> None:
    question = questions.chains(1, (3,), seed=5)[0]
    assert questions.check(question, f" {question.answer}\n")
    assert not questions.check(question, "")
    assert not questions.check(question, question.answer * 2)
    assert not questions.check(question, f"The answer is {question.answer}")


@patient
@given(st.integers(0, 80), SEEDS)
def test_annulled_chains_are_distinct_right_half_easy_and_the_same_for_the_same_seed(n: int, seed: int) -> None:
    drawn = questions.annulled(n, seed)
    assert drawn == questions.annulled(n, seed)
    assert len({q.prompt for q in drawn}) == n
    for place, q in enumerate(drawn):
        assert q.answer == str(questions.evaluate_chain(q.prompt))
        assert q.family == "annulled"
        assert q.difficulty == ("hard" if place % 2 else "easy")
        assert q.prompt.endswith("*0") if q.difficulty == "easy" else q.prompt[1:3] == "*0"
        assert q.answer == "0" or q.difficulty == "hard"
        assert q.prompt.count("*") == q.prompt.count("0") == 1, "nothing but its place tells what the nought does"


@patient
@given(st.integers(1, 40), SEEDS)
def test_annulled_chains_of_both_kinds_have_the_same_characters_in_another_order(n: int, seed: int) -> None:
    """Without its `*0` a chain of either kind is of one form, as many of each length: only the place tells them."""
    lengths = {"easy": Counter[int](), "hard": Counter[int]()}
    for q in questions.annulled(4 * n, seed):
        base = q.prompt.removesuffix("*0") if q.difficulty == "easy" else q.prompt.replace("*0", "", 1)
        assert re.fullmatch(r"[1-9](?:[+-][1-9]){5,6}", base)
        lengths[q.difficulty][len(base) // 2] += 1
    assert lengths["easy"] == lengths["hard"] == {5: n, 6: n}


def test_other_seeds_give_other_annulled_chains() -> None:
    assert {q.prompt for q in questions.annulled(40, 0)} != {q.prompt for q in questions.annulled(40, 1)}

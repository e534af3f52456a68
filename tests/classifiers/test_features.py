from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.features import (
    EARLIER_CHARACTERS,
    FEATURES,
    HEAD,
    TAIL,
    characters,
    lexical,
    lexical_batch,
    text_of,
    window,
)
from pointsman.domain import Query

ANY_TEXT = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=300)
"""Lone surrogates too: JSON may hold them."""


def value(text: str, name: str) -> float:
    return float(lexical(text)[FEATURES.index(name)])


@given(ANY_TEXT)
def test_features_of_any_text_are_finite_bounded_and_the_same_again(text: str) -> None:
    found = lexical(text)
    assert found.shape == (len(FEATURES),)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 30).all()
    assert (found == lexical(text)).all()


def test_names_are_distinct_and_empty_text_has_only_zeros() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
    assert not lexical("").any()


@given(st.lists(st.sampled_from("0123456789"), min_size=2, max_size=40), st.data())
def test_a_bare_chain_tells_its_number_of_operators(digits: list[str], data: st.DataObject) -> None:
    """The shipped artifact routes bare chains by length: each must be seen as one, with the exact count."""
    marks = data.draw(
        st.lists(st.sampled_from(["+", "-", "*", " + ", " - "]), min_size=len(digits), max_size=len(digits))
    )
    operators = len(digits) - 1
    chain = digits[0] + "".join(mark + digit for mark, digit in zip(marks, digits[1:], strict=False))
    for text in (chain, f" {chain} ", f"{chain}=", f"{chain} = ?"):
        assert value(text, "chain_only") == 1
        assert value(text, "chain_length") == min(operators, 32) / 8
        for start in (2, 4, 6):
            assert value(text, f"chain_over_{start}") == min(max(operators - start, 0), 32) / 8
        assert value(text, "log_longest_chain") == pytest.approx(np.log1p(operators))


@pytest.mark.parametrize("text", ["7", "", "3+", "What is 3+4?", "3+4 apples", "2024-01-02 is a date", "+", "3 4"])
def test_other_texts_are_no_bare_chains(text: str) -> None:
    assert value(text, "chain_only") == 0
    assert value(text, "chain_length") == 0


@pytest.mark.parametrize(
    ("text", "chain"),
    [("What is 3+4*2?", 2), ("Add 3 + 4, then 1+2+3+4.", 3), ("no numbers", 0), ("3×4÷2", 2), ("17 * 23", 1)],  # noqa: RUF001 - the signs themselves are tested
)
def test_the_longest_chain_inside_a_text_is_counted(text: str, chain: int) -> None:
    assert value(text, "log_longest_chain") == pytest.approx(np.log1p(chain))


@pytest.mark.parametrize(
    ("name", "with_it", "without"),
    [
        ("log_options", "Which?\nA. one\nB. two\n(C) three\n", "Which? A one B two"),
        ("log_code_marks", "def f(x): return {x: 1};", "a function that returns its argument"),
        ("log_code_words", "def f(x): return x", "a man of his word"),
        ("log_formula_marks", "\\frac{x}{y}^2", "a fraction"),
        ("log_negations", "Which is NOT true, except one?", "Which is true?"),
        ("log_questions", "Really? Why?", "Really."),
        ("short_answer", "Answer with only one word.", "Answer."),
        ("structured_answer", "Reply in JSON.", "Reply."),
        ("not_ascii", "Größe, 日本", "size"),
        ("log_why_words", "Explain step by step why", "Name it"),
        ("log_writing_words", "Write a poem", "2 + 2"),
        ("log_longest_number", "12345", "1 2 3 4 5"),
        ("capitals", "NASA AND ESA", "nasa and esa"),
    ],
)
def test_a_feature_sees_what_it_is_named_after(name: str, with_it: str, without: str) -> None:
    assert value(with_it, name) > value(without, name)


@pytest.mark.parametrize("piece", ["x", "1", "1+", "((((1", " ", "1 ", "\t\n", "A. \n", "$\\", "é", "1" * 50 + " + "])
def test_a_long_text_costs_bounded_work(piece: str) -> None:
    """100 kB and ten times as much take the same time: only head and tail are read, and no search backtracks."""
    text = piece * (100_000 // len(piece))
    cost = []
    for _ in range(5):
        start = time.process_time()
        lexical(text * 10)
        cost.append(time.process_time() - start)
    assert min(cost) < 0.05
    assert len(window(text)) == HEAD + 1 + TAIL


def test_features_take_a_fraction_of_a_millisecond_at_fifty_tokens() -> None:
    text = (
        "A patient of 45 years comes with chest pain that is worse on breathing in. Which diagnosis is most likely? "
        * 2
    )
    best = np.inf
    for _ in range(20):
        start = time.process_time()
        for _ in range(20):
            lexical(text)
        best = min(best, (time.process_time() - start) / 20)
    assert best < 0.0004  # 0.05 ms on a quiet core; other work on the machine's cores may slow it several times


@given(ANY_TEXT)
def test_the_length_can_be_read_back(text: str) -> None:
    assert characters(lexical_batch([text]))[0] == pytest.approx(len(text), rel=1e-3, abs=1e-6)


def test_a_batch_is_its_rows() -> None:
    texts = ["3+4", "Why?", ""]
    assert (lexical_batch(texts) == np.stack([lexical(text) for text in texts])).all()
    assert lexical_batch([]).shape == (0, len(FEATURES))


def query(*turns: tuple[str, object]) -> Query:
    return Query(messages=tuple({"role": role, "content": content} for role, content in turns))


LONG = "Tell me at some length how a steam engine is built."


def test_the_last_user_message_is_read() -> None:
    assert text_of(query(("system", "Be kind."), ("user", "first"), ("assistant", "yes"), ("user", LONG))) == LONG


def test_a_short_last_message_is_read_with_the_turns_before_it() -> None:
    seen = text_of(query(("system", "Be kind."), ("user", LONG), ("assistant", "x" * 2000), ("user", "And why?")))
    assert seen.endswith("xx\nAnd why?")
    assert len(seen) == EARLIER_CHARACTERS + len("\nAnd why?")
    assert "kind" not in text_of(query(("system", "Be kind."), ("user", "And why?")))


def test_a_short_chain_stands_for_itself_in_a_conversation() -> None:
    assert text_of(query(("user", LONG), ("assistant", "So."), ("user", "3+4*2"))) == "3+4*2"


def test_text_parts_are_read_and_other_content_is_not() -> None:
    parts = [{"type": "text", "text": LONG}, {"type": "image_url", "image_url": {"url": "data:"}}, "odd", {"text": 3}]
    assert text_of(query(("user", parts))) == LONG
    assert text_of(query(("user", None))) == ""
    assert text_of(query(("system", "Only this."))) == "Only this."
    assert text_of(Query(messages=())) == ""

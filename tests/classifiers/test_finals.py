"""Where a reply says what its answer is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.finals import LONG_WORDS, LONGEST, final_answer, is_short, marked

WHY = "We add what was given to what was found, step by step, and look at it again."
WORDS = st.text("abcdefgh0123456789", min_size=2, max_size=12)


@given(
    WORDS,
    st.sampled_from(
        ["\\boxed{{{}}}", "So $x = \\boxed{{ {} }}$.", "<answer>{}</answer>", "<answer>\n{}\n</answer>", "Answer: {}",
         "ANSWER: {}", "The answer is {}.", "the final answer is: {}", "**Answer:** {}", "**Answer**: {}",
         "The correct answer is {}. It is what remains.", "Final Answer:\n{}", "__Answer:__ {}", "answer :  {}"]
    ),
    st.sampled_from(["{}", WHY + "\n\n{}", WHY + " {}", "Answer: 5?\n" + WHY + "\n{}", "{}\n\n" + WHY]),
)  # fmt: skip
def test_the_final_answer_is_what_is_marked(said: str, mark: str, frame: str) -> None:
    found = final_answer(frame.format(mark.format(said)))
    assert found is not None
    assert found.strip(".") == said


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\\boxed{1} and then \\boxed{2}", "2"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\boxed{3}}", "3"),
        ("The answer is 4, so \\boxed{5}. The answer is 6.", "5"),
        ("The answer is 4.\n\\boxed{5", "4"),
        ("The answer is 4.\n\\boxed{}", "4"),
        ("The answer is 4.\nThe answer is 5.", "5"),
        ("The answer is 4.\nThis answer is right because all of the steps above were done twice.", "4"),
        (WHY + "\n#### 1,234", "1,234"),
        (WHY + "\n#### Summary\n" + WHY, None),
        ("The answer is B. " + WHY, "B"),
        ("The answer is St. Petersburg. " + WHY, "St. Petersburg"),
        ("Answer: J. K. Rowling", "J. K. Rowling"),
        ("The answer is 3.5. " + WHY, "3.5"),
        ("Answer:\n1. bread\n2. butter\n" + WHY, None),
        ("The answer is 1. bread, 2. butter. " + WHY, None),
        ("Answer:\nbread\nbutter\n" + WHY, None),
        ("Answer:\n- bread\n\n" + WHY, None),
        ("The answer is as follows:\n\n" + WHY, None),
        ("Here is my answer:\n\n" + WHY, None),
        ("Nobody answered: " + WHY, None),
        ("The answers: " + WHY, None),
        ("Here is my answer: " + WHY, None),
        (WHY, None),
        (" New York\n", "New York"),
        ("", None),
        (" \n", None),
    ],
)
def test_the_last_mark_counts_and_a_text_is_no_answer(text: str, found: str | None) -> None:
    said = final_answer(text)
    assert (said and said.rstrip(".")) == found


def test_what_is_marked_is_kept_to_the_end_of_its_line_however_long() -> None:
    """For whoever grades: the wanted answer may itself be a sentence."""
    assert marked(f"Answer: {WHY} {WHY}\nBye.") == f"{WHY} {WHY}"
    assert marked("Yes.") is None


def test_a_short_answer_has_few_words_and_characters() -> None:
    assert is_short("a  " * (LONG_WORDS - 1))
    assert not is_short("a " * LONG_WORDS)
    assert is_short("a" * LONGEST)
    assert not is_short("a" * (LONGEST + 1))
    assert not is_short(" ")


@pytest.mark.parametrize(
    "piece",
    ["answer", "answer:", "answer: ", "answer is ", "answer is u.s. ", "u.s. ", "answer:\n", "\\boxed{", "{}", "\\{",
     "####", "#### 1\n", "<answer>", "</answer>", "*", "_", " ", "\n", ". ", "\u0130 Answer: "],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["{}", "\\boxed{{{}}}", "Answer: {}", "{} answer: 12"])
def test_no_text_takes_long(piece: str, frame: str) -> None:
    """300,000 characters: what is not linear would take many seconds."""
    text = frame.format(piece * (300_000 // len(piece)))
    start = time.process_time()
    final_answer(text)
    marked(text)
    assert time.process_time() - start < 1.0

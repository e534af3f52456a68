"""What is asked: short, of rising difficulty, and of digits what it knows."""

from __future__ import annotations

import pytest

from pointsman.router.jobs.conformance.questions import ALONE, MOST, budgets, questions
from pointsman.router.jobs.questions import operations


@pytest.mark.parametrize("n", range(1, MOST + 1))
def test_so_many_different_questions_the_hardest_among_them(n: int) -> None:
    asked = questions(n)
    assert len(set(asked)) == n
    assert all(question.startswith(ALONE) for question in asked)
    assert asked[-1] == questions(MOST)[-1]
    assert questions(n) == asked


@pytest.mark.parametrize("n", range(1, MOST + 1))
def test_digits_gets_chains_that_grow(n: int) -> None:
    asked = questions(n, digits=True)
    assert len(set(asked)) == n
    lengths = [len(operations(chain)[1]) for chain in asked]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 8


@pytest.mark.parametrize("n", [0, MOST + 1, -1])
def test_other_numbers_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="n must be 1 to 8"):
        questions(n)


def test_digits_has_smaller_budgets() -> None:
    assert max(budgets(digits=True)) < 84 - 32  # its longest thoughts here, less an engine's closing words
    assert list(budgets()) == sorted(budgets())

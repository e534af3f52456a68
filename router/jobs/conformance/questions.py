"""What is asked: short questions of rising difficulty whose answer is a number or a word.

They are told to be answered with that alone, so that reasoning in the open shows by its length. The embedded model
digits knows chains of operations only, and gets those."""

from __future__ import annotations

from ..questions import chains

ALONE = "Reply with the final answer alone, nothing else.\n\n"
"""Comes first: what all questions begin with is read once by engines that keep prompts."""

MOST = 8
"""The most questions that there are."""

_OWN = (
    "A kettle holds 7 cups. Five cups are poured out, and then 4 are poured in. How many cups are in it?",
    "Noor's train leaves at 16:47, takes 98 minutes and is 25 minutes late. At what time does she arrive?",
    "How many whole numbers from 1 to 90 can be divided by 4 or by 6, but not by both?",
    "Write the whole numbers from 1 to 40 as English words. How many of these words contain the letter v?",
    "In how many ways can 70 cents be paid with coins of 5, 10, 20 and 50 cents?",
    "What is the smallest whole number above 200 that leaves 2 when divided by 3, 3 when divided by 7 and 4 when "
    "divided by 11?",
    "Four friends of different ages sit round a square table. Ana is older than Ben, and Ben sits opposite the "
    "youngest. Dov sits next to Ben and is older than Cleo. Who is the youngest?",
    "How many four-digit numbers have four different digits, no 0, and a sum of digits that is 15?",
)
_LENGTHS = (3, 5, 6, 7, 8, 8, 8, 8)
"""Operators of the chains: digits' thought grows with them, to some eighty tokens."""

BUDGETS = (16, 64, 256)
DIGITS_BUDGETS = (4, 16, 32)
"""Thinking budgets that are tried, in tokens: such that an unbounded thought is longer. digits' are short."""


def questions(n: int, *, digits: bool = False) -> tuple[str, ...]:
    """`n` prompts (1 to MOST), the hardest last; the same for the same arguments."""
    if not 1 <= n <= MOST:
        raise ValueError(f"n must be 1 to {MOST}, not {n}")
    places = [round((i + 1) * MOST / n) - 1 for i in range(n)]
    if digits:
        return tuple(chains(1, (_LENGTHS[place],), seed=place)[0].prompt for place in places)
    return tuple(ALONE + _OWN[place] for place in places)


def budgets(*, digits: bool = False) -> tuple[int, ...]:
    """The thinking budgets to try, ascending."""
    return DIGITS_BUDGETS if digits else BUDGETS

"""Questions with known answers: chains of single-digit operations modulo 10, the task of the model digits.

A chain such as `3+4*2-7` is evaluated strictly from left to right, every intermediate result taken modulo 10.
Its length is the number of its operators, and the length is what makes it hard: digits answers a chain of 1 at
once, needs a short thought up to 3, and its full thought beyond (backends/models/digits/report.json).
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

FAMILY = "chain"
OPERATORS = "+-*"
MAX_LENGTH = 12  # 10 * 30 ** 12 chains still fit a 64-bit index

# Lengths by difficulty, from what the trained model does: right without a thought, right within 17 thought
# tokens, right only with the full thought. Chains of 4 are hard too, but nearest to the border, so left out.
DIFFICULTIES: Mapping[str, tuple[int, ...]] = MappingProxyType({"easy": (1,), "middle": (2, 3), "hard": (5, 6, 7, 8)})

_CHAIN = re.compile(rf"[0-9](?:[{re.escape(OPERATORS)}][0-9])+")
_STEPS: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
)
_PER_STEP = len(OPERATORS) * 10
_LISTED = 2  # chains up to this length are few enough (9,000) to be listed


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with the one text that answers it; `family` names its kind, `difficulty` how much thought it takes."""

    prompt: str
    answer: str
    family: str
    difficulty: str


def step(left: int, operator: str, right: int) -> int:
    """One operation on two digits, modulo 10."""
    return _STEPS[operator](left, right) % 10


def operations(chain: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """The first digit of a chain and its (operator, digit) pairs. Raises ValueError on any other text."""
    if not _CHAIN.fullmatch(chain):
        raise ValueError(f"Not a chain of single digits joined by {' '.join(OPERATORS)}: {chain!r}.")
    return int(chain[0]), tuple((chain[i], int(chain[i + 1])) for i in range(1, len(chain), 2))


def evaluate_chain(text: str) -> int:
    """The chain's value in 0..9, strictly from left to right. Raises ValueError on any other text."""
    value, pairs = operations(text)
    for operator, digit in pairs:
        value = step(value, operator, digit)
    return value


def difficulty_of(length: int) -> str:
    """The name of the difficulty of a chain with that many operators."""
    return next((name for name, lengths in DIFFICULTIES.items() if length <= max(lengths)), "hard")


def is_held_out(chain: str) -> bool:
    """Whether digits never saw this chain in training: an eighth of all chains of two operators and more.

    None of the 300 chains of one operator is held out, there are too few. The choice is a checksum, so that it
    is the same everywhere and for ever."""
    return len(chain) > 3 and zlib.crc32(chain.encode()) % 8 == 0


def random_chain(length: int, rng: random.Random) -> str:
    """One chain with `length` operators, each chain equally likely."""
    return _chain(rng.randrange(_space(length)), length)


def chains(n: int, lengths: Sequence[int], seed: int, *, held_out: bool | None = None) -> tuple[Question, ...]:
    """`n` questions with distinct prompts in random order, as evenly over the lengths as n allows.

    held_out: True for chains that digits never saw, False for the others, None for both. The same arguments
    give the same questions. Raises ValueError where there are not so many chains of a length."""
    if not lengths or len(set(lengths)) != len(lengths):
        raise ValueError(f"Give one or more different lengths, not {tuple(lengths)}.")
    rng = random.Random(seed)  # noqa: S311 - repeatable questions, not secrets
    share, rest = divmod(n, len(lengths))
    drawn: list[str] = []
    for i, length in enumerate(lengths):
        drawn += _distinct(share + (i < rest), length, rng, held_out)
    rng.shuffle(drawn)
    return tuple(_question(chain) for chain in drawn)


def by_difficulty(n: int, seed: int, names: Sequence[str] = tuple(DIFFICULTIES)) -> tuple[Question, ...]:
    """`n` questions in equal shares of the named difficulties, each spread over its lengths, in random order.

    There are only 300 easy chains, so n is at most 900 with all three."""
    rng = random.Random(seed)  # noqa: S311 - repeatable questions, not secrets
    share, rest = divmod(n, len(names))
    drawn: list[Question] = []
    for i, name in enumerate(names):
        drawn += chains(share + (i < rest), DIFFICULTIES[name], rng.randrange(2**32))
    rng.shuffle(drawn)
    return tuple(drawn)


def annulled(n: int, seed: int) -> tuple[Question, ...]:
    """`n` different chains of 6 and 7 operators, one of which is `*0`: in every other one at the end, so that the
    answer is 0 whatever stands before, else at the beginning, so that all the rest must be worked out.

    Both kinds have the same characters in another order, so nothing that counts them can tell how hard a chain is; the
    model itself is sure of the easy ones. The same arguments give the same questions."""
    rng = random.Random(seed)  # noqa: S311 - repeatable questions, not secrets
    drawn: dict[str, Question] = {}
    while len(drawn) < n:
        easy, steps = len(drawn) % 2 == 0, 5 + len(drawn) // 2 % 2
        rest = "".join(f"{rng.choice('+-')}{rng.randrange(1, 10)}" for _ in range(steps))
        first = str(rng.randrange(1, 10))
        chain = f"{first}{rest}*0" if easy else f"{first}*0{rest}"
        drawn.setdefault(chain, Question(chain, str(evaluate_chain(chain)), "annulled", "easy" if easy else "hard"))
    return tuple(drawn.values())


def check(question: Question, answer_text: str) -> bool:
    """Whether a model's answer is right: exactly the answer, blanks around it apart."""
    return answer_text.strip() == question.answer


def _question(chain: str) -> Question:
    return Question(chain, str(evaluate_chain(chain)), FAMILY, difficulty_of(len(chain) // 2))


def _space(length: int) -> int:
    """How many chains of that length there are."""
    if not 1 <= length <= MAX_LENGTH:
        raise ValueError(f"A chain has 1 to {MAX_LENGTH} operators, not {length}.")
    return 10 * _PER_STEP**length


def _chain(index: int, length: int) -> str:
    """The chain with this number, 0 <= index < _space(length)."""
    index, first = divmod(index, 10)
    parts = [str(first)]
    for _ in range(length):
        index, pair = divmod(index, _PER_STEP)
        operator, digit = divmod(pair, 10)
        parts.append(f"{OPERATORS[operator]}{digit}")
    return "".join(parts)


def _distinct(n: int, length: int, rng: random.Random, held_out: bool | None) -> list[str]:
    """`n` different chains of one length."""
    space = _space(length)

    def wanted(chain: str) -> bool:
        return held_out is None or is_held_out(chain) == held_out

    # Listing a short length's chains is sure to end; drawing until n differ is quicker while n is few of many.
    if length == 1 or (length <= _LISTED and n > space // 16):
        every = [chain for chain in (_chain(i, length) for i in range(space)) if wanted(chain)]
        if n > len(every):
            raise ValueError(f"Only {len(every)} chains of length {length} fit, not {n}.")
        return rng.sample(every, n)
    if n > space // 16:
        raise ValueError(f"At most {space // 16} chains of length {length} at once, not {n}.")
    drawn: dict[str, None] = {}
    while len(drawn) < n:
        chain = random_chain(length, rng)
        if wanted(chain):
            drawn[chain] = None
    return list(drawn)

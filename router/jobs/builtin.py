"""Questions that come with the job: ten families of reasoning-gym at three difficulties each, and chains for digits.

Every family's answer is a number or a word, so that it is checked exactly. A family is a group, a chain's length too:
what an evaluation holds out is a task that was not learnt from."""

from __future__ import annotations

import importlib
import importlib.util
import random
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...errors import MissingExtra
from .checks import Kind
from .questions import chains
from .verifiable import Verifiable, named

BENCHMARK = "builtin"
LENGTHS = (1, 2, 3, 5, 6, 7, 8)
"""Operators of a chain, each length a group; chains of 4 are on digits' border (questions.py)."""
ALONE = "Reply with the final answer alone.\n\n"
"""Comes first: what all questions begin with is read once by engines that keep prompts."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of reasoning-gym: how its answers are checked, its settings from easy to hard."""

    kind: Kind
    levels: tuple[Mapping[str, Any], ...]


def _between(name: str, *spans: tuple[int, int]) -> tuple[Mapping[str, Any], ...]:
    return tuple({f"min_{name}": low, f"max_{name}": high} for low, high in spans)


def _together(*parts: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {name: value for level in levels for name, value in level.items()} for levels in zip(*parts, strict=True)
    )


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "chain_sum": Family(
            "number", _together(_between("terms", (2, 2), (3, 4), (5, 7)), _between("digits", (1, 1), (2, 3), (3, 4)))
        ),
        "products": Family("number", _between("digits", (1, 1), (2, 2), (3, 4))),
        "simple_equations": Family(
            "number",
            _together(_between("terms", (2, 2), (2, 3), (4, 5)), _between("value", (1, 9), (1, 50), (10, 100))),
        ),
        "number_sequence": Family("number", ({"max_complexity": 1}, {"max_complexity": 2}, {"max_complexity": 3})),
        "gcd": Family("number", _between("value", (2, 20), (10, 200), (100, 2000))),
        "leg_counting": Family(
            "number",
            _together(_between("animals", (1, 2), (3, 4), (6, 9)), _between("instances", (1, 3), (1, 9), (5, 15))),
        ),
        "letter_counting": Family("number", _between("words", (3, 4), (6, 9), (12, 18))),
        "spell_backward": Family("exact", _between("word_len", (3, 4), (5, 6), (8, 10))),
        "calendar_arithmetic": Family(
            "exact",
            tuple({"tasks": ["weekday_offset"], "offset_upper_bound": days} for days in (7, 40, 300)),
        ),
        "family_relationships": Family("exact", _between("family_size", (3, 3), (4, 5), (7, 8))),
    }
)


def builtin(n: int, seed: int = 0, *, digits: bool = False) -> tuple[Verifiable, ...]:
    """`n` questions, as evenly over the groups as n allows, in random order; the same for the same arguments.

    digits: chains too, for the model of that name. Raises MissingExtra without reasoning-gym."""
    if importlib.util.find_spec("reasoning_gym") is None:
        raise MissingExtra("questions to calibrate on", "calibrate")
    groups = [*((name, None) for name in FAMILIES), *((f"chain-{k}", k) for k in LENGTHS if digits)]
    share, rest = divmod(n, len(groups))
    drawn: list[Verifiable] = []
    for i, (name, length) in enumerate(groups):
        size = share + (i < rest)
        drawn += _family(name, size, seed) if length is None else _chains(name, length, size, seed)
    random.Random(seed).shuffle(drawn)  # noqa: S311 - repeatable questions, not secrets
    return tuple(drawn)


def _family(name: str, n: int, seed: int) -> Iterator[Verifiable]:
    """`n` different questions of a family, its levels in turn."""
    with warnings.catch_warnings():
        # One of its own needs has a comparison that Python warns of when it is first compiled.
        warnings.simplefilter("ignore", SyntaxWarning)
        gym: Any = importlib.import_module("reasoning_gym")
    family = FAMILIES[name]
    # More than are needed: easy levels repeat themselves.
    levels = [
        iter(gym.create_dataset(name, size=4 * n + 8, seed=seed + i, **level)) for i, level in enumerate(family.levels)
    ]
    seen: set[str] = set()
    turn = 0
    while len(seen) < n and levels:
        at = turn % len(levels)
        turn += 1
        entry = next((e for e in levels[at] if e["question"] not in seen), None)
        if entry is None:
            levels.pop(at)
            continue
        seen.add(entry["question"])
        prompt, answer = ALONE + entry["question"].strip(), str(entry["answer"])
        yield Verifiable(f"{name}-{named(prompt, answer)}", BENCHMARK, name, prompt, family.kind, answer)


def _chains(group: str, length: int, n: int, seed: int) -> Iterator[Verifiable]:
    for chain in chains(n, (length,), seed):
        yield Verifiable(f"{group}-{chain.prompt}", BENCHMARK, group, chain.prompt, "number", chain.answer)

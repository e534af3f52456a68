"""How a looping mode and what runs it talk to each other.

The mode yields what is to be asked now: a Call, or several that run side by side; what runs already goes on, and an
empty tuple asks for nothing new. It is sent the next Reply that ends, whichever that is. It returns the Answer; what
still runs then is cancelled. Such a mode does no I/O and keeps no clock, so it can be tested by hand and replayed."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

from ...domain import Call, Finish, Usage

_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call. number: which call of the mode's it was, from 0, in the order of asking.

    thought, text: without what they went on from; tools: of the tools it called, each name and the arguments' JSON;
    ended: whether the thought came to its end by itself; probability: geometric mean of the answer's token
    probabilities, in [0, 1], None where they are not known; error: the sentence of what failed, None where nothing
    did."""

    number: int
    thought: str = ""
    text: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    usage: Usage = _NOTHING
    finish: Finish = Finish.STOP
    ended: bool = False
    probability: float | None = None
    error: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it came to its end, as an answer should."""
        return self.error is None and self.finish in (Finish.STOP, Finish.TOOL_CALLS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets: the thoughts of these calls, then the texts of those, by number, one after the other.

    No text at all: nothing came that could be given. cut: whether a thought was ended by us; notes: what the caller
    should know of how it came about."""

    text: tuple[int, ...]
    thought: tuple[int, ...] = ()
    cut: bool = False
    notes: tuple[str, ...] = ()


Steps: TypeAlias = Generator[Call | tuple[Call, ...], Reply, Answer]

"""Plays a looping mode by hand: what it asks is written down, and replies are given in the order that a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pointsman.domain import Call, Finish, Usage
from pointsman.router.modes import Answer, Reply, Steps


@dataclass
class Played:
    """calls: what was asked, in order; heard: the numbers of the replies that were given; most: how many ran at
    once."""

    answer: Answer
    calls: list[Call] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    most: int = 0


def play(steps: Steps, reply: Callable[[int, Call], Reply], order: Callable[[Sequence[int]], int] = min) -> Played:
    """Run the mode to its end. order: which of the running calls ends next."""
    played = Played(Answer(()))
    running: list[int] = []
    try:
        asked = next(steps)
        while True:
            for call in asked if isinstance(asked, tuple) else (asked,):
                running.append(len(played.calls))
                played.calls.append(call)
            assert running, "it waits for a call that it never asked for"
            played.most = max(played.most, len(running))
            number = order(running)
            running.remove(number)
            played.heard.append(number)
            asked = steps.send(reply(number, played.calls[number]))
    except StopIteration as done:
        played.answer = done.value
    return played


def says(number: int, text: str | None, **changes: object) -> Reply:
    """A whole reply with this text; None: the call failed."""
    if text is None:
        return Reply(number, error="refused", finish=Finish.ERROR)
    fields: dict[str, object] = {"text": text, "usage": Usage(10, 0, 0, len(text)), **changes}
    return Reply(number, **fields)  # type: ignore[arg-type]

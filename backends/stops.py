"""Stop sequences kept on our side.

Engines look for them in everything that is generated, the thought included, and would end a call in the middle of its
thought, with no answer. So where a call thinks, they are not sent, and the answer is watched here.

A call that will be gone on with may be cut in the middle of one. What could still become one is then left out of its
answer: the next call goes on before it, makes it anew and sees it whole. So that it goes on between two tokens, whole
pieces are held back, not letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from ..domain import Finish
from .engine import Event, Text


class StopWatch:
    """Passes an answer's pieces on up to the first stop sequence; those that could still become one are held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held: list[Text] = []
        self.stopped = False

    def feed(self, piece: Text) -> Text | None:
        """What is certain now, as one piece; None where nothing is, or nothing more after a stop sequence."""
        if self.stopped:
            return None
        self._held.append(piece)
        text = "".join(one.text for one in self._held)
        ends = list(accumulate(len(one.text) for one in self._held))
        # the sequence that is complete first, as if the text came letter by letter
        found = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            certain = min(found)[1]
            begun = sum(end - len(one.text) < certain for one, end in zip(self._held, ends, strict=True))
            last = self._pass_on(begun)
            return None if last is None else replace(last, text=last.text[:certain])
        certain = len(text) - max((_overlap(text, stop) for stop in self._stops), default=0)
        return self._pass_on(sum(end <= certain for end in ends))

    def flush(self) -> Text | None:
        """What was held back, as the answer is over."""
        return None if self.stopped else self._pass_on(len(self._held))

    def _pass_on(self, count: int) -> Text | None:
        ready, self._held = self._held[:count], self._held[count:]
        return _joined(*ready)


class Bounds:
    """A call's bounds on its answer that are kept on our side: stop sequences, and the most tokens of answer.

    Feed it every event; `finish` says, once it is set, why the call is over."""

    def __init__(self, stops: Sequence[str], most: int | None) -> None:
        self._watch = StopWatch(stops)
        self._most = most
        self._answer = 0
        self.finish: Finish | None = None

    def keep(self, event: Event) -> Event | None:
        """What is within the bounds and certain now; None where nothing is."""
        if not isinstance(event, Text) or self.finish is not None:
            return event if self.finish is None else None
        self._answer += event.tokens
        ready = self._watch.feed(event)
        if self._watch.stopped:
            self.finish = Finish.STOP
        elif self._most is not None and self._answer >= self._most:
            self.finish = Finish.LENGTH
            ready = _joined(ready, self._watch.flush())
        return ready

    def flush(self) -> Event | None:
        """What was held back, as the answer is over; not to be asked for where it will be gone on with."""
        return self._watch.flush()


def _joined(*pieces: Text | None) -> Text | None:
    """The pieces as one; None where there are none."""
    some = [piece for piece in pieces if piece is not None]
    if not some:
        return None
    logprobs = tuple(token for piece in some for token in piece.logprobs)
    return Text("".join(piece.text for piece in some), sum(piece.tokens for piece in some), logprobs)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)

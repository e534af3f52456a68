"""Stop sequences kept on our side.

Engines look for them in everything that is generated, the thought included, and would end a call in the middle of its
thought, with no answer. So where a call thinks, they are not sent, and the answer is watched here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..domain import Finish
from .engine import Event, Text


class StopWatch:
    """Passes an answer's text on up to the first stop sequence; what could still become one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._rest = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is certain now; after a stop sequence, nothing more."""
        if self.stopped:
            return ""
        self._rest += text
        # the sequence that is complete first, as if the text came letter by letter
        found = [(place + len(stop), place) for stop in self._stops if (place := self._rest.find(stop)) >= 0]
        if found:
            self.stopped = True
            ready, self._rest = self._rest[: min(found)[1]], ""
            return ready
        keep = max((_overlap(self._rest, stop) for stop in self._stops), default=0)
        ready, self._rest = self._rest[: len(self._rest) - keep], self._rest[len(self._rest) - keep :]
        return ready

    def flush(self) -> str:
        """What was held back, as the stream is over."""
        rest, self._rest = self._rest, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)


class Bounds:
    """A call's bounds on its answer that are kept on our side: stop sequences, and the most tokens of answer.

    Feed it every event; `finish` says, once it is set, why the call is over."""

    def __init__(self, stops: Sequence[str], most: int | None) -> None:
        self._watch = StopWatch(stops) if stops else None
        self._most = most
        self._answer = 0
        self.finish: Finish | None = None

    def keep(self, event: Event) -> Event | None:
        """The event as far as it is within the bounds; None where nothing of it is."""
        if not isinstance(event, Text) or self.finish is not None:
            return event if self.finish is None else None
        self._answer += event.tokens
        text = event.text
        if self._watch is not None:
            text = self._watch.feed(text)
            if self._watch.stopped:
                self.finish = Finish.STOP
        if self.finish is None and self._most is not None and self._answer >= self._most:
            self.finish = Finish.LENGTH
            text += self._watch.flush() if self._watch is not None else ""
        return replace(event, text=text) if text or event.tokens else None

    def flush(self) -> Event | None:
        """What was held back, as the reply is over."""
        rest = self._watch.flush() if self._watch is not None and self.finish is None else ""
        return Text(rest) if rest else None

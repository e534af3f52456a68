"""Thought written inline: `<think>…</think>answer`, split into thought and answer as it streams.

Servers that do not parse reasoning, and raw completions everywhere, return the markers in the text. They may come in
any pieces, so what could still become a marker is held back until it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Markers:
    """How a model's thought begins and ends in its text."""

    start: str = "<think>"
    end: str = "</think>"


USUAL = Markers()
"""The markers that most families have."""


class Part(Enum):
    """What a piece of text belongs to."""

    THOUGHT = "thought"
    ANSWER = "answer"


class Begin(Enum):
    """Where in the reply a stream of text begins."""

    UNKNOWN = "unknown"  # a thought may begin, or the answer
    THOUGHT = "thought"  # the prompt left the thought open
    EITHER = "either"  # it did, but the server may keep thoughts apart, and then the text is the answer
    CLOSED = "closed"  # the thought was closed in the prompt, for the model
    ANSWER = "answer"  # in the middle of the answer


Piece: TypeAlias = tuple[Part, str]


def opening(prompt: str, markers: Markers) -> str:
    """What to add to a rendered prompt so that its thought is open: nothing where the template opened it."""
    return "" if prompt.rstrip().endswith(markers.start.rstrip()) else markers.start.rstrip() + "\n"


def closing(prompt: str, markers: Markers) -> str:
    """What ends the thought of a rendered prompt, in the template's own manner: bare where it opened the thought with
    a bare marker, on a line of its own otherwise."""
    bare = prompt.endswith(markers.start)
    return markers.end if bare else f"\n{markers.end}\n\n"


class MarkerSplitter:
    """Splits a stream of text at the markers.

    A start marker counts only before the answer's first letter. End markers repeated right after the thought are
    dropped; further on an answer may speak of the marker itself, so there it stays, but for one case: where the
    thought was cut for the model (`cut`, and always after `CLOSED`), it may write its own end later, and the first is
    dropped unless quoted. The empty lines round the markers belong to neither side."""

    def __init__(self, markers: Markers = USUAL, begin: Begin = Begin.UNKNOWN, *, cut: bool = False) -> None:
        self._markers = markers
        self._state = begin
        self._forced = cut or begin is Begin.CLOSED
        self._begun = False
        self._last = ""
        self._rest = ""
        self.stray_ends = 0
        """End markers met in an answer whose thought, if there was one, had its end already."""

    @property
    def ended(self) -> bool:
        """Whether the text so far is past its thought."""
        return self._state in (Begin.CLOSED, Begin.ANSWER)

    def feed(self, text: str) -> list[Piece]:
        """The pieces that are certain now, in order; none of them is empty."""
        self._rest += text
        pieces: list[Piece] = []
        steps = {
            Begin.UNKNOWN: self._unknown,
            Begin.THOUGHT: self._thought,
            Begin.EITHER: self._either,
            Begin.CLOSED: self._closed,
            Begin.ANSWER: self._answer,
        }
        while steps[self._state](pieces):
            pass
        return pieces

    def flush(self, *, cut: bool = False) -> list[Piece]:
        """What was held back, as the stream is over. cut: by a limit, so that a marker may have been to come."""
        rest, self._rest = self._rest, ""
        if self._state is Begin.EITHER:
            kept = rest.strip()
            return [(Part.THOUGHT if cut else Part.ANSWER, kept)] if kept else []
        if self._state is Begin.THOUGHT:
            rest = rest if self._begun else rest.lstrip()  # unfinished: what comes last is still the thought's
            return [(Part.THOUGHT, rest)] if rest else []
        if self._state is Begin.CLOSED:
            rest = _without_blank_lines(rest).rstrip()
        elif self._forced and rest == self._markers.end and self._last[-1:] not in _QUOTES:
            rest = ""
        return [(Part.ANSWER, rest)] if rest else []

    # Each step makes one move and says whether there may be another; False waits for more text.

    def _unknown(self, pieces: list[Piece]) -> bool:
        text = self._rest.lstrip()
        start, end = self._markers.start, self._markers.end
        if text.startswith(start):
            self._state, self._rest = Begin.THOUGHT, text[len(start) :]
            return True
        if text.startswith(end):  # the template opened the thought, and it was empty
            self._state = Begin.CLOSED
            return True
        if start.startswith(text) or end.startswith(text):
            return False
        self._state = Begin.ANSWER
        return True

    def _either(self, pieces: list[Piece]) -> bool:
        """All waits for the marker: until then nobody knows what the text is."""
        if self._rest.lstrip().startswith(self._markers.start):
            self._state = Begin.THOUGHT
            return True
        thought, found, after = self._rest.partition(self._markers.end)
        if found:
            self._emit(pieces, Part.THOUGHT, thought.strip())
            self._state, self._rest = Begin.CLOSED, after
        return bool(found)

    def _thought(self, pieces: list[Piece]) -> bool:
        if not self._begun:
            self._rest = self._rest.lstrip()
            if self._rest.startswith(self._markers.start):  # the model opens what its template had opened
                self._rest = self._rest[len(self._markers.start) :]
                return True
            if self._markers.start.startswith(self._rest):
                return False
        thought, found, after = self._rest.partition(self._markers.end)
        if found:
            self._emit(pieces, Part.THOUGHT, thought.rstrip())
            self._state, self._rest = Begin.CLOSED, after
            return True
        ready = self._rest[: len(self._rest) - _held(self._rest, self._markers.end)].rstrip()
        self._rest = self._rest[len(ready) :]
        self._emit(pieces, Part.THOUGHT, ready)
        return False

    def _closed(self, pieces: list[Piece]) -> bool:
        text = self._rest.lstrip()
        end = self._markers.end
        if text.startswith(end):
            self._rest = text[len(end) :]
            return True
        if end.startswith(text):
            return False
        self._state, self._rest = Begin.ANSWER, _without_blank_lines(self._rest)
        return True

    def _answer(self, pieces: list[Piece]) -> bool:
        end = self._markers.end
        if not self._forced:
            self.stray_ends += (self._last + self._rest).count(end)
            self._emit(pieces, Part.ANSWER, self._rest)
            self._rest = ""
            return False
        before, found, after = self._rest.partition(end)
        if found and after:
            self._forced = False
            quoted = (self._last + before)[-1:] in _QUOTES or after[0] in _QUOTES
            self._emit(pieces, Part.ANSWER, before + (end if quoted else ""))
            self._rest = after
            return True
        ready = before if found else self._rest[: len(self._rest) - _held(self._rest, end)]
        self._rest = self._rest[len(ready) :]
        self._emit(pieces, Part.ANSWER, ready)
        return False

    def _emit(self, pieces: list[Piece], part: Part, text: str) -> None:
        if text:
            self._begun = True
            self._last = (self._last + text)[1 - len(self._markers.end) :]
            pieces.append((part, text))


_QUOTES = ("`", '"', "'")


def _held(text: str, marker: str) -> int:
    """Length of the longest end of `text` that begins `marker` without being it."""
    for size in range(min(len(text), len(marker) - 1), 0, -1):
        if text.endswith(marker[:size]):
            return size
    return 0


def _without_blank_lines(text: str) -> str:
    """Without the empty lines at the beginning; the first line keeps its own spaces."""
    space = text[: len(text) - len(text.lstrip())]
    return text[space.rfind("\n") + 1 :]

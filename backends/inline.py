"""Whether a server passes thoughts on in the text with nothing but their end marked: `sum</think>7`.

So it does where the template opens the thought and nobody parses the reply. An answer that speaks of the marker looks
the same, so one reply proves nothing: the rendered prompt tells, where the server shows it, else several in a row.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ..domain import Call
from ..errors import BackendError
from .facts import Facts
from .markers import Begin
from .prompts import Prompts

SURE = 3
"""Replies in a row, each with one end marker and no beginning, after which the next is read as a thought."""


class Inline:
    """What one model's replies have shown so far."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts, self._look = prompts, prompts.renders
        self._seen = 0
        self._rendered: bool | None = None

    @property
    def proven(self) -> bool:
        """Whether the prompt itself shows that the template opens the thought."""
        return self._rendered is True

    async def begin(self, call: Call, facts: Facts) -> Begin:
        """Where the reply to a call that thinks begins. Looks at the prompt once, when a reply gave cause."""
        if self._seen and self._look:
            self._look = False
            with suppress(BackendError):  # then the replies must tell
                self._rendered = (await self._prompts.opened(replace(facts, thinks=True), call)).begin is Begin.THOUGHT
        is_open = self._seen >= SURE if self._rendered is None else self._rendered
        return Begin.THOUGHT if is_open else Begin.UNKNOWN

    def parses(self) -> None:
        """A thought came in a field of its own."""
        self._rendered = False

    def saw(self, ends: int) -> None:
        """A reply came to its end, with so many end markers of a thought that it had not begun."""
        self._seen = self._seen + 1 if ends == 1 else 0

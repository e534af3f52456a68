"""Whether a server passes thoughts on in the text with nothing but their end marked: `sum</think>7`.

So it does where the template opens the thought and nobody parses the reply. The rendered prompt tells whether it opens
one, where the server shows it, else the family's table; whether the server parses is known of some engines (`parses` of
a dialect), else it is seen in the first reply, whose text is held back until then. Where nothing tells, an answer that
speaks of the marker looks the same, so one reply proves nothing, but several in a row do.
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
"""Replies in a row that show the same, where one alone proves nothing."""


class Inline:
    """What one model's replies have shown so far. parses: it is known that the server keeps thoughts apart."""

    def __init__(self, prompts: Prompts, *, parses: bool = False) -> None:
        self._prompts = prompts
        self._looked = parses
        self._opens: bool | None = None  # the template opens the thought
        self._inline = False if parses else None  # thoughts come in the text
        self._seen = self._unmarked = 0
        self._gave_up = False

    @property
    def proven(self) -> bool:
        """Whether it is known, and not only likely, that a reply begins in a thought."""
        return self._opens is True and self._inline is True

    async def begin(self, call: Call, facts: Facts) -> Begin:
        """Where the reply to a call that thinks begins. Looks at the prompt once."""
        if not self._looked:
            self._looked = True
            await self._look(call, facts)
        if self._inline is not None:
            return Begin.THOUGHT if self._inline else Begin.UNKNOWN
        if self._opens:
            return Begin.EITHER
        return Begin.THOUGHT if self._opens is None and self._seen >= SURE else Begin.UNKNOWN

    async def _look(self, call: Call, facts: Facts) -> None:
        if facts.family is not None and facts.family.opens in ("template", "model"):
            self._opens = facts.family.opens == "template"
        if self._prompts.renders:
            with suppress(BackendError):  # then the replies must tell
                opened = await self._prompts.opened(replace(facts, thinks=True), call)
                self._opens = opened.begin is Begin.THOUGHT

    def parses(self) -> None:
        """A thought came in a field of its own."""
        self._inline = False

    def tried(self, *, marked: bool) -> None:
        """A reply that might have begun in a thought came to its end, with a thought and its marker or without."""
        self._unmarked = 0 if marked else self._unmarked + 1
        if marked or self._unmarked >= SURE:  # a model without thoughts, or a server that hides them: hold back no more
            self._inline, self._gave_up = marked, not marked

    def saw(self, ends: int) -> None:
        """A reply came to its end, with so many end markers of a thought that it had not begun."""
        self._seen = self._seen + 1 if ends == 1 else 0
        if self._gave_up and self._seen >= SURE:
            self._inline, self._gave_up = None, False

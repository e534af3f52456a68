"""Tokens of a thought counted by the model's own tokenizer, for servers that tell one count of thought and answer.

Shared out by the pieces in which they came, both are off where a piece holds several tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..domain import Usage
from .markers import Markers


def recounted(usage: Usage, thought: str, count: Callable[[str], int], markers: Markers) -> Usage:
    """The usage of a reply with this thought and an answer, its output shared out anew: the thought has the tokens of
    its text and of the marker that ended it, the answer the rest, at least one."""
    if not thought or not usage.answer:  # then there is nothing to share
        return usage
    told = count(f"{thought}\n{markers.end}\n\n")
    held = min(told, usage.output - 1)
    return replace(usage, thought=held, answer=usage.output - held)

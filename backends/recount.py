"""Tokens of a thought counted by the model's own tokenizer, for servers that tell one count of thought and answer.

Shared out by the pieces in which they came, both are off where a piece holds several tokens.
"""

from __future__ import annotations

from dataclasses import replace

from ..domain import Usage


def shared_out(usage: Usage, tokens: int) -> Usage:
    """The usage of a reply whose thought, the marker that ended it included, has so many tokens: its output shared out
    anew, at least one to the answer. Where there is no answer there is nothing to share."""
    if not usage.answer:
        return usage
    held = min(tokens, usage.output - 1)
    return replace(usage, thought=held, answer=usage.output - held)

"""What a provider wants to see again of a thought that led to tool calls, kept from the reply until the tools' results
come: Anthropic its signed blocks of thought, DeepSeek the thought's text. Clients of OpenAI's API send neither back.

Kept in this process's memory only, for the latest calls: after a restart, or in another worker, it is not there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from ..domain import Json

KEPT = 1024
"""Replies with tool calls that are remembered."""


class Loops:
    """Thoughts by the ids of the tool calls that they led to."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._thoughts = kept, OrderedDict[str, Json]()

    def listen(self) -> Heard:
        """What takes in the chunks of one reply."""
        return Heard(self)

    def remember(self, ids: Sequence[str], thought: Json) -> None:
        """Keep what belongs to these calls."""
        for one in ids:
            self._thoughts[one] = thought
        while len(self._thoughts) > self._kept:
            self._thoughts.popitem(last=False)

    def restored(self, messages: Sequence[Json]) -> tuple[Json, ...]:
        """The messages with the thoughts of their tool calls, where the caller did not send them back."""
        return tuple(self._whole(message) for message in messages)

    def _whole(self, message: Json) -> Json:
        calls = cast("list[Json]", message.get("tool_calls") or [])
        if message.get("role") != "assistant" or not calls or message.get("thinking_blocks"):
            return message
        thought = self._thoughts.get(str(calls[0].get("id")))
        return message if thought is None else {**thought, **{k: v for k, v in message.items() if v is not None}}


class Heard:
    """One reply's thought, and its tool calls' ids, as they come."""

    def __init__(self, loops: Loops) -> None:
        self._loops, self._ids = loops, list[str]()
        self._text, self._blocks = list[str](), list[Json]()

    def hear(self, chunk: Json) -> None:
        """Take in one chunk (OpenAI's shape with LiteLLM's fields)."""
        for choice in cast("list[Json]", chunk.get("choices") or []):
            delta: Json = choice.get("delta") or {}
            self._text.append(delta.get("reasoning_content") or "")
            for piece in cast("list[Json]", delta.get("thinking_blocks") or []):
                self._block(piece)
            self._ids += [
                str(call["id"]) for call in cast("list[Json]", delta.get("tool_calls") or []) if call.get("id")
            ]

    def keep(self) -> None:
        """The reply is whole: keep its thought, if it called tools."""
        thought: Json = {}
        if text := "".join(self._text):
            thought["reasoning_content"] = text
        if self._blocks and all(block.get("signature") or block.get("data") for block in self._blocks):
            thought["thinking_blocks"] = self._blocks
        if self._ids and thought:
            self._loops.remember(self._ids, thought)

    def _block(self, piece: Json) -> None:
        """Join a piece to its block: its text comes first, its signature last; a redacted block comes whole."""
        last = self._blocks[-1] if self._blocks else None
        open_ = last is not None and last["type"] == "thinking" and not last.get("signature")
        if piece.get("type") != "thinking":
            self._blocks.append({k: v for k, v in piece.items() if k != "index"})
            return
        if last is None or not open_:
            last = {"type": "thinking", "thinking": ""}
            self._blocks.append(last)
        last["thinking"] += piece.get("thinking") or ""
        if piece.get("signature"):
            last["signature"] = piece["signature"]

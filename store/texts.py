"""Text as the store needs it: what a query says, its normal form and hash, and what any database can hold."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any, cast

from ..domain import Json, Query

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with NUL and lone surrogates replaced by U+FFFD: PostgreSQL takes no NUL, UTF-8 has no surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)


def normal_form(text: str) -> str:
    """What makes two questions the same one: NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def last_user_text(query: Query) -> str:
    """What the last user message says; empty where there is none."""
    for message in reversed(query.messages):
        if message.get("role") == "user":
            return said(message)
    return ""


def said(message: Json) -> str:
    """A message's text: its content, or its text parts joined by line breaks."""
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast(Json, part) for part in cast(list[Any], content) if isinstance(part, dict)]
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def text_hash(text: str) -> str:
    """SHA-256 (hex) over the text's normal form. Not secret: a short text can be found by trying."""
    return _hash([normal_form(text)])


def query_hash(query: Query) -> str:
    """SHA-256 (hex) over the normal form of the whole conversation: equal for the same question asked again.

    One message of plain text hashes as `text_hash` of it, so that a logged query and a table's row can be matched."""
    return _hash([normal_form(_shown(message)) for message in query.messages])


def _hash(turns: list[str]) -> str:
    return hashlib.sha256("\x1e".join(turns).encode("utf-8", "surrogatepass")).hexdigest()


def _shown(message: Json) -> str:
    """The text, and what is shown beside it (images, tool calls) as JSON."""
    content: Any = message.get("content")
    beside: list[Any] = []
    if isinstance(content, list):
        parts = cast(list[Any], content)
        beside = [part for part in parts if not (isinstance(part, dict) and "text" in part)]
    if message.get("tool_calls"):
        beside.append(message["tool_calls"])
    text = said(message)
    return f"{text}\n{json.dumps(beside, sort_keys=True, default=str)}" if beside else text

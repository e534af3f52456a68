"""An incremental reader of newline-delimited JSON, which is how Ollama streams: one object a line."""

from __future__ import annotations

from .sse import LIMIT, EventTooLargeError, ServerEvent


class Lines:
    """Feed it the bytes as they come, in any pieces; it gives back the lines that they complete, as events.

    Empty lines are left out. What is incomplete when the stream ends is dropped: a whole object has its line end."""

    accept = "application/x-ndjson"

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The lines that this piece completes, in order. Raises EventTooLargeError."""
        self._rest += piece
        if b"\n" not in piece:
            lines: list[bytes] = []
        else:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > self._limit or any(len(line) > self._limit for line in lines):
            raise EventTooLargeError(f"a line of the stream is over {self._limit} bytes")
        return [ServerEvent(line.decode("utf-8", "replace")) for line in lines if line.strip()]

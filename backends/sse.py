"""An incremental decoder of the WHATWG event stream, over bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting an event stream". Differences: an
event without data is not dispatched (as there), `retry` is read and dropped, and an event over the size limit is an
error, because the other side of the connection is not trusted with our memory.
"""

from __future__ import annotations

from dataclasses import dataclass

LIMIT = 16 * 1024 * 1024
"""Bytes that one event may have: a whole thought in one piece fits, an endless line does not."""

_BOM = b"\xef\xbb\xbf"


class EventTooLargeError(ValueError):
    """An event grew over the limit (bytes)."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One dispatched event: its data (lines joined by a newline), its type and the last id seen."""

    data: str
    event: str = "message"
    id: str = ""


class Decoder:
    """Feed it the bytes as they come, in any pieces; it gives back the events that they complete.

    Lines end with LF, CR or CRLF, also where the pair is split over two pieces; UTF-8 is decoded by the line, so a
    character split over pieces is whole again, and an invalid byte becomes U+FFFD. What is incomplete when the stream
    ends is dropped, as the standard demands."""

    accept = "text/event-stream"

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._after_cr = False
        self._started = False
        self._data: list[str] = []
        self._size = 0
        self._event = ""
        self._id = ""

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The events that this piece completes, in order. Raises EventTooLargeError."""
        if self._after_cr and piece:
            self._after_cr = False
            if piece.startswith(b"\n"):
                piece = piece[1:]
        self._rest += piece
        if not self._started:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return []
            self._started = True
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        if b"\n" not in piece and b"\r" not in piece and b"\n" not in self._rest and b"\r" not in self._rest:
            self._check(len(self._rest))
            return []
        # bytes.splitlines knows exactly the standard's three line ends
        lines = bytes(self._rest).splitlines(keepends=True)
        self._rest.clear()
        if lines and not lines[-1].endswith((b"\n", b"\r")):
            self._rest += lines.pop()
        elif lines and lines[-1].endswith(b"\r"):
            self._after_cr = True
        events = [event for line in lines if (event := self._line(line.rstrip(b"\r\n"))) is not None]
        self._check(len(self._rest))
        return events

    def _check(self, pending: int) -> None:
        if self._size + pending > self._limit:
            raise EventTooLargeError(f"an event of the stream is over {self._limit} bytes")

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        if line.startswith(b":"):
            return None
        self._check(len(line))
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if field == b"data":
            self._data.append(text)
            self._size += len(line)
        elif field == b"event":
            self._event = text
        elif field == b"id" and "\0" not in text:
            self._id = text
        return None

    def _dispatch(self) -> ServerEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._size = [], "", 0
        if not data:
            return None
        return ServerEvent("\n".join(data), event or "message", self._id)

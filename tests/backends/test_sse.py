"""The event stream decoder against the standard's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.sse import Decoder, EventTooLargeError, ServerEvent

LINES = st.lists(
    st.one_of(
        st.just(""),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=8).map(
            lambda text: f"data:{text}"
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=8).map(
            lambda text: f"data: {text}"
        ),
        st.sampled_from(["event: x", "id: 7", ": ping", "data", "retry: 5", "nonsense", "event:"]),
    ),
    max_size=12,
)


def whole(content: bytes) -> list[ServerEvent]:
    return Decoder().feed(content)


@given(LINES, st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=1), st.lists(st.integers(1, 5)))
def test_any_split_and_any_line_end_give_the_same_events(lines: list[str], ends: list[bytes], sizes: list[int]) -> None:
    """Pieces of any size, in the middle of a character or between CR and LF, change nothing."""
    plain = "".join(f"{line}\n" for line in [*lines, ""]).encode()
    mixed = b"".join(line.encode() + ends[place % len(ends)] for place, line in enumerate([*lines, ""]))
    if b"\r" in ends and b"\n" in ends:  # an empty line after a lone CR would read as one CRLF
        mixed = b"".join(line.encode() + b"\r\n" for line in [*lines, ""])
    decoder, found, rest = Decoder(), list[ServerEvent](), mixed
    for size in sizes:
        found += decoder.feed(rest[:size])
        rest = rest[size:]
    found += decoder.feed(rest)
    assert found == whole(plain)


def test_data_lines_are_joined_and_fields_read_as_the_standard_says() -> None:
    """One leading space is dropped, lines join with a newline, type and id are taken, comments are not."""
    content = b": hello\nevent: add\ndata: one\ndata:  two\nid: 9\ndata\n\ndata:x\n\n"
    assert whole(content) == [ServerEvent("one\n two\n", "add", "9"), ServerEvent("x", "message", "9")]


def test_an_event_without_data_is_not_dispatched_and_loses_its_type() -> None:
    """The standard drops it, and the next event is a message again."""
    assert whole(b"event: ping\n\ndata: a\n\n") == [ServerEvent("a")]


def test_a_byte_order_mark_is_skipped_once_even_when_it_is_split() -> None:
    """Only at the very beginning."""
    decoder = Decoder()
    assert decoder.feed(b"\xef\xbb") == []
    assert decoder.feed(b"\xbfdata: a\n\n") == [ServerEvent("a")]
    assert decoder.feed("data: \ufeffb\n\n".encode()) == [ServerEvent("\ufeffb")]


def test_an_unfinished_event_is_not_given_out() -> None:
    """A stream that is cut before the empty line loses its last event."""
    assert whole(b"data: a\n\ndata: b\n") == [ServerEvent("a")]


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    """A broken character breaks neither the event nor the stream."""
    assert whole(b"data: a\xffb\n\n") == [ServerEvent("a\ufffdb")]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 200, b"data: xxxxxxxxxxxxxxxxxxx\n"])
def test_an_event_over_the_limit_is_an_error(piece: bytes) -> None:
    """Whether as one endless line or as endless lines, what is kept is bounded."""
    decoder = Decoder(limit=100)

    def feed() -> None:
        for _ in range(20):
            decoder.feed(piece)

    with pytest.raises(EventTooLargeError):
        feed()

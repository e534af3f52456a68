"""Stop sequences and bounds kept on our side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import Text, Thought
from pointsman.backends.stops import Bounds, StopWatch
from pointsman.domain import Finish

LETTERS = st.text("ab\n", max_size=20)


def passed(pieces: list[str], stops: list[str]) -> str:
    watch = StopWatch(stops)
    return "".join([*[watch.feed(piece) for piece in pieces], watch.flush()])


def first_complete(text: str, stops: list[str]) -> str:
    """The text up to the stop sequence that is complete first, found letter by letter."""
    for end in range(len(text) + 1):
        begins = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if begins:
            return text[: min(begins)]
    return text


@given(LETTERS, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.lists(st.integers(1, 4)))
def test_text_ends_before_the_first_stop_sequence_however_it_is_cut(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    """Also where the sequence is split over pieces, and where sequences overlap."""
    pieces, rest = list[str](), text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert passed([*pieces, rest], stops) == first_complete(text, stops)


def test_a_stop_sequence_in_a_thought_does_not_end_the_call() -> None:
    """Stop sequences are for the answer."""
    bounds = Bounds(("\n",), None)
    assert bounds.keep(Thought("a\nb", 3)) == Thought("a\nb", 3)
    assert bounds.finish is None
    assert bounds.keep(Text("c\nd", 2)) == Text("c", 2)
    assert bounds.finish is Finish.STOP


def test_an_answer_is_cut_at_its_most_tokens() -> None:
    """The bound counts tokens of answer, not of thought, and what was held back is given out."""
    bounds = Bounds(("zz",), 2)
    assert bounds.keep(Thought("long", 9)) is not None
    assert bounds.keep(Text("a", 1)) == Text("a", 1)
    assert bounds.keep(Text("z", 1)) == Text("z", 1)
    assert bounds.finish is Finish.LENGTH

"""Stop sequences and bounds kept on our side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import Text, Thought, TokenLogprob
from pointsman.backends.stops import Bounds, StopWatch
from pointsman.domain import Finish

LETTERS = st.text("ab\n", max_size=20)


def passed(pieces: list[str], stops: list[str], *, flush: bool = True) -> str:
    watch = StopWatch(stops)
    out = [watch.feed(Text(piece, 1)) for piece in pieces] + ([watch.flush()] if flush else [])
    return "".join(piece.text for piece in out if piece is not None)


def in_pieces(text: str, sizes: list[int]) -> list[str]:
    pieces = list[str]()
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [*pieces, text]


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
    assert passed(in_pieces(text, sizes), stops) == first_complete(text, stops)


@given(
    LETTERS,
    st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 4)),
    st.integers(0, 20),
    st.lists(st.integers(1, 4)),
)
def test_an_answer_that_is_cut_and_gone_on_with_ends_where_one_in_one_piece_does(
    text: str, stops: list[str], sizes: list[int], cut: int, more: list[int]
) -> None:
    """What was held back at the cut is made anew, in other pieces perhaps; a sequence over the cut is seen."""
    pieces = in_pieces(text[:cut], sizes)
    head = passed(pieces, stops, flush=False)
    if head == first_complete(text, stops):
        return  # met before the cut, or nothing follows
    assert head in ["".join(pieces[:count]) for count in range(len(pieces) + 1)], "else a token is cut in two"
    assert head + passed(in_pieces(text[len(head) :], more), stops) == first_complete(text, stops)


def test_tokens_and_their_probabilities_come_with_their_text() -> None:
    """Also with text that was held back; those of the sequence itself do not come at all."""
    named = [TokenLogprob(text, -0.5) for text in ("ab", "c", "d", "ef", "g")]
    pieces = [Text(one.token, 1, (one,)) for one in named]
    watch = StopWatch(["bx", "fg"])
    assert watch.feed(pieces[0]) is None
    assert watch.feed(pieces[1]) == Text("abc", 2, tuple(named[:2]))
    assert watch.feed(pieces[2]) == pieces[2]
    assert watch.feed(pieces[3]) is None
    assert watch.feed(pieces[4]) == Text("e", 1, (named[3],))
    assert watch.stopped
    assert watch.feed(pieces[0]) is None
    assert watch.flush() is None
    assert StopWatch(["g"]).feed(pieces[4]) is None


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
    assert bounds.flush() is None

"""Thoughts written inline, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.markers import Begin, Markers, MarkerSplitter, Part, closing, opening

WORDS = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "think>", "a", "b c", "\n", " ", "`", "<thin", "é", "\n\n"]),
    max_size=12,
).map("".join)


def split(pieces: list[str], begin: Begin = Begin.UNKNOWN, *, cut: bool = False) -> tuple[str, str]:
    splitter = MarkerSplitter(Markers(), begin, cut=cut)
    found = [part for piece in pieces for part in splitter.feed(piece)] + splitter.flush()
    assert all(text for _, text in found), "an empty piece"
    thought = "".join(text for part, text in found if part is Part.THOUGHT)
    return thought, "".join(text for part, text in found if part is Part.ANSWER)


@given(WORDS, st.sampled_from(list(Begin)), st.booleans(), st.lists(st.integers(1, 6)))
def test_how_the_text_is_cut_into_pieces_changes_nothing(text: str, begin: Begin, cut: bool, sizes: list[int]) -> None:
    """A marker split over chunks is the same marker."""
    pieces, rest = list[str](), text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert split([*pieces, rest], begin, cut=cut) == split([text], begin, cut=cut) == split(list(text), begin, cut=cut)


@given(WORDS)
def test_an_answer_never_begins_with_an_end_marker_after_a_thought(text: str) -> None:
    """However often a model repeats `</think>`, none of it leaks."""
    _, answer = split([f"<think>hm</think>{text}"])
    assert not answer.lstrip().startswith("</think>")


@given(st.text(st.characters(exclude_characters="<"), max_size=30))
def test_text_without_markers_is_an_answer_letter_by_letter(text: str) -> None:
    """Nothing is lost or trimmed where nobody thinks, indentation included."""
    assert split(list(text)) == ("", text)


@pytest.mark.parametrize(
    ("text", "begin", "thought", "answer"),
    [
        ("<think>\nsum\n</think>\n\n7", Begin.UNKNOWN, "sum", "7"),
        ("sum</think>7", Begin.THOUGHT, "sum", "7"),
        ("<think>sum</think>7", Begin.THOUGHT, "sum", "7"),
        ("sum, never closed ", Begin.THOUGHT, "sum, never closed ", ""),
        ("</think>\n\n7", Begin.UNKNOWN, "", "7"),
        ("<think>a</think></think>\n</think>7", Begin.UNKNOWN, "a", "7"),
        ("<think>a</think>\n\n    code", Begin.UNKNOWN, "a", "    code"),
        ("use <think> and </think>", Begin.UNKNOWN, "", "use <think> and </think>"),
        ("7</think>", Begin.CLOSED, "", "7"),
        ("so on</think>7", Begin.CLOSED, "", "so on7"),
        ("split on `</think>`", Begin.CLOSED, "", "split on `</think>`"),
        (" 7", Begin.ANSWER, "", " 7"),
    ],
)
def test_examples(text: str, begin: Begin, thought: str, answer: str) -> None:
    """Each row is a way in which servers really pass a thought on."""
    assert split([text], begin) == split(list(text), begin) == (thought, answer)


def test_an_end_marker_without_a_thought_is_noticed() -> None:
    """That is how a template that opens the thought shows itself behind a server that parses nothing."""
    splitter = MarkerSplitter()
    for letter in "sum</think>7":
        splitter.feed(letter)
    assert splitter.stray_ends == 1


def test_a_prompt_is_opened_and_closed_in_its_templates_manner() -> None:
    """A bare marker is closed bare, one on a line of its own on a line of its own."""
    markers = Markers()
    assert (opening("<a><think>", markers), closing("<a><think>", markers)) == ("", "</think>")
    assert (opening("<a><think>\n", markers), closing("<a><think>\n", markers)) == ("", "\n</think>\n\n")
    assert (opening("<a>", markers), closing("<a>", markers)) == ("<think>\n", "\n</think>\n\n")

"""Normal forms and hashes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Query
from pointsman.store.texts import last_user_text, normal_form, query_hash, said, storable, text_hash


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_a_normal_form_and_a_hash(text: str) -> None:
    form = normal_form(text)
    assert form == " ".join(form.split())
    assert len(text_hash(text)) == 64
    assert text_hash(f" {text}\n") == text_hash(text)


def test_case_white_space_and_width_do_not_tell_questions_apart() -> None:
    assert text_hash(" What  IS\n\uff11\uff17 x 23? ") == text_hash("what is 17 x 23?")
    assert text_hash("what is 17 x 24?") != text_hash("what is 17 x 23?")


def test_one_plain_message_hashes_like_its_text_and_every_turn_counts() -> None:
    """A logged query can be matched with a table's prompt; the same last words in another conversation are another."""
    one = Query(messages=({"role": "user", "content": "Go on"},))
    two = Query(messages=({"role": "assistant", "content": "First part."}, {"role": "user", "content": "Go on"}))
    assert query_hash(one) == text_hash("go on")
    assert query_hash(two) != query_hash(one)


def test_pictures_and_tool_calls_count_in_the_hash() -> None:
    def asked(url: str) -> Query:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return Query(messages=({"role": "user", "content": parts},))

    def called(name: str) -> Query:
        calls = [{"id": "1", "function": {"name": name, "arguments": "{}"}}]
        return Query(messages=({"role": "assistant", "content": None, "tool_calls": calls},))

    assert query_hash(asked("data:a")) != query_hash(asked("data:b"))
    assert query_hash(called("a")) != query_hash(called("b"))


def test_a_messages_text_is_its_text_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, "odd", {"type": "text", "text": "b"}]
    assert said({"role": "user", "content": parts}) == "a\nb"
    assert said({"role": "user"}) == said({"role": "user", "content": None}) == said({"content": {"odd": 1}}) == ""


def test_the_last_user_message_is_what_is_learnt_from() -> None:
    turns = ({"role": "user", "content": "one"}, {"role": "user", "content": "two"}, {"role": "tool", "content": "3"})
    assert last_user_text(Query(messages=turns)) == "two"
    assert last_user_text(Query(messages=())) == ""


def test_storable_text_keeps_all_but_nul_and_lone_surrogates() -> None:
    assert storable("a\x00\ud800\U0001f600\n") == "a\ufffd\ufffd\U0001f600\n"

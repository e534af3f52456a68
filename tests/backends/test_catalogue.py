"""The catalogue of modes: its rows, the checks on an owner's rows, and how a query becomes a call."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.catalogue import MODES, load_modes, mode, prepare, read_modes
from pointsman.domain import Price, Query, Route, Sampling
from pointsman.errors import BadRequest, ConfigError

PRICE = Price(input=0.1, cached_input=0.0, output=1.0)
HELLO = ({"role": "user", "content": "What is 3+4?"},)


def route(mode: str, budget: int | None = 64) -> Route:
    return Route("r", "m", mode, budget, PRICE)


def test_the_shipped_modes_are_there_and_each_names_its_source():
    assert list(MODES) == ["direct", "think", "least", "concise", "token-budget", "draft", "solve"]
    assert all("arXiv:" in row.source and row.about.endswith(".") for row in MODES.values())


@pytest.mark.parametrize("name", ["direct", "think", "least"])
def test_direct_and_think_add_nothing_to_the_messages(name):
    """A plain or narrow model gets exactly what the caller wrote, as the same objects."""
    call = prepare(Query(HELLO), route(name))
    assert call.messages == HELLO
    assert call.messages[0] is HELLO[0]
    assert call.answer_prefix == ""
    assert call.sampling == Sampling()


@pytest.mark.parametrize("budget", [None, 0, 17])
@pytest.mark.parametrize(("name", "thinks"), [("direct", False), ("think", True), ("concise", True), ("solve", False)])
def test_a_mode_that_does_not_think_has_budget_zero_and_others_the_routes(name, thinks, budget):
    assert prepare(Query(HELLO), route(name, budget)).thinking_budget == (budget if thinks else 0)


def test_only_least_asks_for_the_least_and_keeps_the_routes_budget():
    assert {name: prepare(Query(HELLO), route(name, 17)).least for name in ("think", "direct", "least")} == {
        "think": False,
        "direct": False,
        "least": True,
    }
    assert prepare(Query(HELLO), route("least", 17)).thinking_budget == 17


def test_all_that_the_caller_asked_for_is_passed_on():
    query = Query(
        messages=HELLO,
        tools=({"type": "function", "function": {"name": "f"}},),
        tool_choice="auto",
        response_format={"type": "json_object"},
        max_tokens=99,
        stop=("X",),
        sampling=Sampling(temperature=0.2, seed=4),
        logprobs=3,
        extra={"user": "me"},
    )
    call = prepare(query, route("think"))
    for name in ("tools", "tool_choice", "response_format", "max_tokens", "stop", "sampling", "logprobs", "extra"):
        assert getattr(call, name) == getattr(query, name), name


def test_the_callers_system_text_stays_first_and_the_modes_follows():
    """One system message, since many templates take only one, and only at the beginning."""
    for role in ("system", "developer"):
        messages = ({"role": role, "content": "Speak French."}, *HELLO)
        told = prepare(Query(messages), route("solve")).messages
        assert [message["role"] for message in told] == [role, "user"]
        assert told[0]["content"] == f"Speak French.\n\n{MODES['solve'].system}"
    told = prepare(Query(HELLO), route("solve")).messages
    assert told == ({"role": "system", "content": MODES["solve"].system}, *HELLO)


def test_content_in_parts_gets_a_part_more():
    messages = ({"role": "system", "content": [{"type": "text", "text": "Be kind."}]}, *HELLO)
    told = prepare(Query(messages), route("solve")).messages
    assert told[0]["content"] == [
        {"type": "text", "text": "Be kind."},
        {"type": "text", "text": MODES["solve"].system},
    ]


def test_examples_stand_between_the_system_text_and_the_conversation():
    earlier = ({"role": "system", "content": "S"}, *HELLO, {"role": "assistant", "content": "7"}, *HELLO)
    told = prepare(Query(earlier), route("draft")).messages
    shown = 2 * len(MODES["draft"].examples)
    assert shown >= 4
    assert [message["role"] for message in told[: shown + 1]] == ["system", *["user", "assistant"] * (shown // 2)]
    assert told[shown + 1 :] == earlier[1:]


OWN = {
    "haiku": {
        "about": "Answers in verse.",
        "source": "ours",
        "think": True,
        "user_suffix": "In verse.",
        "prefill": "O ",
        "sampling": {"temperature": 0.9, "top_p": 0.5, "top_k": 40},
    }
}


def test_an_owners_row_joins_the_catalogue_and_can_replace_a_shipped_one():
    modes = load_modes(OWN)
    assert list(modes) == [*MODES, "haiku"]
    assert modes["haiku"].prefill == "O "
    mine = load_modes({"direct": {"about": "Mine.", "source": "me", "think": False}})
    assert mine["direct"].about == "Mine."
    assert MODES["direct"].about != "Mine."


def test_suffix_prefill_and_sampling_are_applied_and_the_callers_sampling_wins():
    modes = load_modes(OWN)
    messages = (*HELLO, {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "7"})
    call = prepare(Query(messages, sampling=Sampling(temperature=0.0, seed=1)), route("haiku"), modes)
    assert call.messages[0]["content"] == "What is 3+4?\n\nIn verse."  # of the last user message, wherever it stands
    assert call.messages[1:] == messages[1:]
    assert call.answer_prefix == "O "
    assert call.sampling == Sampling(temperature=0.0, top_p=0.5, top_k=40, seed=1)


PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=5)}), max_size=2)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
            "content": st.none() | st.text(max_size=5) | PARTS,
        }
    ),
    max_size=5,
).map(tuple)


@given(
    messages=MESSAGES,
    name=st.sampled_from([*MODES, "haiku"]),
    extra=st.dictionaries(st.text(max_size=3), st.integers()),
)
def test_preparing_changes_nothing_of_the_callers_and_loses_none_of_it(messages, name, extra):
    """Pure: the same call every time, the query as it was; every message of the caller is there, in order."""
    query = Query(messages, extra=extra)
    before = copy.deepcopy(query)
    modes = load_modes(OWN)
    call = prepare(query, route(name), modes)
    assert query == before
    assert prepare(query, route(name), modes) == call
    call.extra["mine"] = 1
    assert "mine" not in query.extra
    texts = [json.dumps(message.get("content"), ensure_ascii=False).strip('"]') for message in messages]
    left = iter(json.dumps(message.get("content"), ensure_ascii=False) for message in call.messages)
    assert all(text == "null" or any(text in one for one in left) for text in texts)


def test_an_unknown_mode_is_a_bad_request_that_lists_the_known():
    with pytest.raises(BadRequest, match="direct, think, least, concise, token-budget, draft, solve") as caught:
        prepare(Query(HELLO), route("ponder"))
    assert caught.value.field == "mode"
    with pytest.raises(BadRequest, match="haiku"):
        mode("ponder", load_modes(OWN))


GOOD = "about: A.\n  source: S\n  think: true\n"


@pytest.mark.parametrize(
    ("text", "where", "field", "problem"),
    [
        (f"a:\n  {GOOD}  sytem: x\n", "m.yaml:5", "a.sytem", "allowed: about, source, think, system"),
        (f"a:\n  {GOOD}b:\n  about: B.\n  source: S\n", "m.yaml:5", "b.think", "is missing"),
        ("a:\n  about: A.\n  source: S\n  think: maybe\n", "m.yaml:4", "a.think", "true or false"),
        (f"a:\n  {GOOD}  prefill: 3\n", "m.yaml:5", "a.prefill", "must be text"),
        (f"a:\n  {GOOD}  examples: x\n", "m.yaml:5", "a.examples", "list of exchanges"),
        (f"a:\n  {GOOD}  examples:\n    - user: x\n", "m.yaml:5", "a.examples[0]", "two texts"),
        (f"a:\n  {GOOD}  examples: [{{user: x, assistant: 3}}]\n", "m.yaml:5", "a.examples[0]", "two texts"),
        (f"a:\n  {GOOD}  sampling: {{heat: 1}}\n", "m.yaml:5", "a.sampling.heat", "allowed: temperature"),
        (f"a:\n  {GOOD}  sampling: {{top_k: 1.5}}\n", "m.yaml:5", "a.sampling.top_k", "whole number"),
        (f"a:\n  {GOOD}  sampling: {{top_p: true}}\n", "m.yaml:5", "a.sampling.top_p", "a number"),
        (f"a:\n  {GOOD}  sampling: 3\n", "m.yaml:5", "a.sampling", "table"),
        (f"a:\n  {GOOD}a:\n  {GOOD}", "m.yaml:5", "a", "twice"),
        (f"a:\n  {GOOD}  least: 1\n", "m.yaml:5", "a.least", "true or false"),
        ("a:\n  about: A.\n  source: S\n  think: false\n  least: true\n", "m.yaml:5", "a.least", "does not think"),
        ("a: 3\n", "m.yaml:1", "a", "must be a table"),
        ("- a\n", "m.yaml:1", None, "table of modes"),
        ("a:\n  about: [\n", "m.yaml:3", None, "not readable"),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_field(text, where, field, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        read_modes(text, "m.yaml")
    assert (caught.value.where, caught.value.field) == (where, field)


def test_a_wrong_row_of_an_owner_is_named_by_its_field():
    with pytest.raises(ConfigError) as caught:
        load_modes(
            {"a": {"about": "A.", "source": "S", "think": 1}}, lambda mode, field: f"pointsman.yaml:{mode}.{field}"
        )
    assert str(caught.value) == "pointsman.yaml:a.think: a.think: must be true or false"


def test_an_empty_file_has_no_modes():
    assert read_modes("", "m.yaml") == {}

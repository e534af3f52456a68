"""Modes that take a number: how it is spelled, what is refused, and the checks on a row's texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.catalogue import MODES, load_modes, mode, prepare, read_modes
from pointsman.backends.mode_parameter import plain
from pointsman.domain import Price, Query, Route
from pointsman.errors import BadRequest, ConfigError

HELLO = ({"role": "user", "content": "What is 3+4?"},)


def route(name: str, budget: int | None = None) -> Route:
    return Route("r", "m", name, budget, Price(input=0.1, cached_input=0.0, output=1.0))


@pytest.mark.parametrize(
    ("asked", "full"),
    [
        ("direct", "direct"),
        ("concise", "concise(60)"),
        ("concise(60)", "concise(60)"),
        ("concise(007)", "concise(7)"),
        ("token-budget", "token-budget"),
        ("token-budget(120)", "token-budget(120)"),
        ("think", "think"),
        ("think(512)", "think"),
    ],
)
def test_a_mode_is_named_in_full(asked: str, full: str) -> None:
    """Two spellings of one mode are the same one: routes and records are found by it."""
    assert mode(asked).name == full
    assert mode(mode(asked).name).name == full


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("concise(abc)", r"concise\(abc\): words must be a whole number from 5 to 2000, as in concise\(60\)\."),
        ("concise(0)", r"concise\(0\): words must be a whole number from 5 to 2000"),
        ("concise(2001)", "from 5 to 2000"),
        ("concise()", "words must be"),
        ("concise(-9)", "words must be"),
        ("concise(6.5)", "words must be"),
        ("concise(60)(60)", "words must be"),
        ("concise(\u0666\u0660)", "words must be"),
        ("concise(" + "9" * 5000 + ")", "words must be"),
        ("think(0)", r"think\(0\): tokens must be a whole number from 1 to 1000000, as in think\(1\)\."),
        ("direct(5)", r"direct\(5\): the mode direct takes no parameter; write direct\."),
        ("ponder(5)", r"Unknown mode 'ponder\(5\)'\. Known: direct, think, .*concise"),
        ("(60)", "Unknown mode"),
        ("concise (60)", "Unknown mode"),
        ("concise(60", "Unknown mode"),
        ("", "Unknown mode"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(asked: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem) as caught:
        mode(asked)
    assert caught.value.field == "mode"
    assert len(str(caught.value)) < 300


@given(st.text(max_size=30) | st.from_regex(r"[a-z-]{0,12}\([0-9]{0,8}\)", fullmatch=True))
def test_any_text_is_a_mode_or_a_clear_refusal(asked: str) -> None:
    field = None
    try:
        name = mode(asked).name.partition("(")[0]
    except BadRequest as error:
        name, field = None, error.field
    assert name in MODES or field == "mode"


@pytest.mark.parametrize("budget", [0, 64, 513])
def test_a_budget_that_contradicts_the_modes_is_refused(budget: int) -> None:
    with pytest.raises(BadRequest, match=r"The mode think\(512\) thinks up to 512 tokens, but .* they contradict"):
        prepare(Query(HELLO), route("think(512)", budget))


@given(st.floats(0, 1e12))
def test_a_plain_number_is_near_and_has_two_figures(number: float) -> None:
    found = plain(number)
    assert found >= 1
    assert len(str(found).rstrip("0")) <= 2
    assert abs(found - max(number, 1)) <= max(0.5, 0.05 * number)


HEAD = "a:\n  about: A.\n  source: S\n  think: true\n"
WORDS = "  parameter: {name: words, min: 5, max: 9, default: 7}\n"


@pytest.mark.parametrize(
    ("text", "line", "field", "problem"),
    [
        (
            "  system: in {words} words\n",
            5,
            "system",
            r"names \{words\}, but the mode has no `parameter:`; .*\{\{ and \}\}",
        ),
        (WORDS + "  system: in {word} words\n", 6, "system", r"but the mode has the parameter \{words\}"),
        (WORDS + "  system: in {} words\n", 6, "system", r"names \{\}, but"),
        (WORDS + "  system: in {words:>9} words\n", 6, "system", r"names \{words:>9\}, but"),
        (WORDS + "  system: in {words.real} words\n", 6, "system", "words.real"),
        (WORDS + "  user_suffix: in {words words\n", 6, "user_suffix", r"brace without its partner: .*\{\{ and \}\}"),
        (WORDS + "  prefill: words} in {words}\n", 6, "prefill", "brace without its partner"),
        ("  prefill: '\\boxed{'\n", 5, "prefill", "brace without its partner"),
        (
            WORDS + "  system: in few words\n",
            5,
            "parameter",
            r"never used: write \{words\} in one of system, user_suffix",
        ),
        (WORDS + "  system: in {{words}} words\n", 5, "parameter", "never used"),
        ("  parameter: 60\n", 5, "parameter", "must be a table of name, min, max, default, sets, from"),
        ("  parameter: {name: w, min: 1, max: 2, default: 1, step: 1}\n", 5, "parameter.step", "allowed: name, min"),
        ("  parameter: {min: 1, max: 2, default: 1}\n", 5, "parameter.name", "word of small letters"),
        ("  parameter: {name: W!, min: 1, max: 2, default: 1}\n", 5, "parameter.name", "word of small letters"),
        ("  parameter: {name: w, min: 0, max: 2, default: 1}\n", 5, "parameter.min", "whole number from 1"),
        ("  parameter: {name: w, min: true, max: 2, default: 1}\n", 5, "parameter.min", "whole number"),
        ("  parameter: {name: w, min: 3, max: 2, default: 3}\n", 5, "parameter.min", r"above max \(2\)"),
        ("  parameter: {name: w, min: 1, default: 1}\n", 5, "parameter.max", "whole number"),
        ("  parameter: {name: w, min: 1, max: 2}\n", 5, "parameter.default", "whole number"),
        ("  parameter: {name: w, min: 2, max: 3, default: 1}\n", 5, "parameter.default", "from min"),
        ("  parameter: {name: w, min: 1, max: 2, sets: budget}\n", 5, "parameter.sets", "can only be thinking_budget"),
        ("  parameter: {name: w, min: 1, max: 2, default: 1, from: me}\n", 5, "parameter.from", "can only be estimate"),
        (
            "  parameter: {name: w, min: 1, max: 2, default: 1, sets: thinking_budget}\n",
            5,
            "parameter.sets",
            "leave out default and from",
        ),
        (
            "  parameter: {name: w, min: 1, max: 2, sets: thinking_budget}\n  system: '{w}'\n",
            5,
            "parameter",
            "no text can name it",
        ),
    ],
)
def test_a_broken_row_is_named_by_file_line_and_field_with_the_way_out(
    text: str, line: int, field: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        read_modes(HEAD + text, "m.yaml")
    assert (caught.value.where, caught.value.field) == (f"m.yaml:{line}", f"a.{field}")


def test_a_thinking_budget_needs_a_mode_that_thinks() -> None:
    row = {"about": "A.", "source": "S", "think": False}
    row["parameter"] = {"name": "n", "min": 1, "max": 2, "sets": "thinking_budget"}
    with pytest.raises(ConfigError, match="the mode does not think"):
        load_modes({"a": row})


def test_a_name_has_no_parentheses() -> None:
    with pytest.raises(ConfigError, match="parentheses") as caught:
        read_modes(HEAD.replace("a:", "a(5):", 1), "m.yaml")
    assert caught.value.where == "m.yaml:1"


def test_doubled_braces_reach_the_model_as_braces() -> None:
    modes = read_modes(HEAD + "  system: 'As {{\"a\": 1}}.'\n  prefill: '\\boxed{{'\n", "m.yaml")
    call = prepare(Query(HELLO), route("a"), modes)
    assert call.messages[0]["content"] == 'As {"a": 1}.'
    assert call.answer_prefix == "\\boxed{"


@given(st.text(st.sampled_from("{}abwords!:.0 "), max_size=12), st.booleans())
def test_a_text_that_is_let_in_can_be_sent(text: str, given_number: bool) -> None:
    """Whatever the braces: refused when it is loaded, or filled in without an error when it is used."""
    row = {"about": "A.", "source": "S", "think": True, "system": text, "user_suffix": "{words}"}
    row["parameter"] = {"name": "words", "min": 1, "max": 9, "default": 7}
    try:
        modes = load_modes({"a": row})
    except ConfigError:
        assert set(text) & set("{}")
        return
    call = prepare(Query(HELLO), route("a(3)" if given_number else "a"), modes)
    assert call.messages[-1]["content"].endswith("3" if given_number else "7")
    if not set(text) & set("{}") and text:
        assert call.messages[0]["content"] == text


@given(st.text(st.characters(codec="ascii", exclude_characters="{}"), max_size=20))
def test_a_text_without_braces_is_sent_as_it_stands(text: str) -> None:
    modes = load_modes({"a": {"about": "A.", "source": "S", "think": True, "prefill": text}})
    assert prepare(Query(HELLO), route("a"), modes).answer_prefix == text

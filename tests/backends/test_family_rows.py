"""Rows of families: what is kept of them, and what is said of wrong ones."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.families import families
from pointsman.backends.family_rows import FIELDS, Switching, read_families
from pointsman.backends.rows import read_rows
from pointsman.backends.sampling import UNADVISED, Advice
from pointsman.domain import Sampling
from pointsman.errors import ConfigError

GOOD = {"match": "mine", "thinks": True, "switch": "thinking", "source": "me"}
OTHER = GOOD | {"switch": "other"}
SILENT = GOOD | {"thinks": False, "switch": "none"}


def read(row):
    return read_families({"a": row}, lambda name, field: f"{name}/{field}")["a"]


def test_a_row_is_kept_whole_and_what_it_leaves_out_is_not_known():
    full = GOOD | {
        "active": 3,
        "open": "<a>",
        "close": "</a>",
        "opens": "model",
        "empty": "<a></a>",
        "soft": ["/x"],
        "history": "keep",
        "least": "low",
        "switch": "other",
        "switched_off": {"arguments": {"budget": 0}, "system": "/off"},
        "switched_on": {"system": "/on"},
        "sampling": {"think": {"temperature": 0.6, "top_k": 20}},
    }
    assert set(full) == set(FIELDS)
    kept = read(full)
    for field in set(FIELDS) - {"soft", "sampling", "switched_off", "switched_on"}:
        assert getattr(kept, field) == full[field], field
    assert kept.soft == ("/x",)
    assert (kept.switched_off, kept.switched_on) == (Switching({"budget": 0}, "/off"), Switching({}, "/on"))
    assert kept.switchable
    assert not read(GOOD | {"switch": "other"}).switchable, "nobody knows how"
    assert kept.advice == Advice(think=Sampling(temperature=0.6, top_k=20))
    bare = read(GOOD)
    assert (bare.open, bare.close, bare.opens, bare.empty, bare.soft, bare.history) == (None,) * 6
    assert bare.advice == UNADVISED
    assert read(GOOD | {"soft": []}).soft == ()


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        (3, "a", "must be a table"),
        (GOOD | {"opener": "x"}, "a.opener", "allowed: match, thinks, switch, source, active, open, close, opens"),
        ({"match": "x", "thinks": True, "switch": "none"}, "a.source", "is missing"),
        (GOOD | {"match": "("}, "a.match", "no regular expression"),
        (GOOD | {"match": ""}, "a.match", "not empty"),
        (GOOD | {"source": 3}, "a.source", "must be text"),
        (GOOD | {"thinks": "yes"}, "a.thinks", "true or false"),
        (GOOD | {"switch": "off"}, "a.switch", "one of enable_thinking, thinking, other, none; it is 'off'"),
        (GOOD | {"opens": ["model"]}, "a.opens", "one of template, model, depends"),
        (GOOD | {"history": "drop"}, "a.history", "one of strip, keep-in-tool-loops, keep"),
        (GOOD | {"active": 0}, "a.active", "above 0"),
        (GOOD | {"active": True}, "a.active", "above 0"),
        (GOOD | {"soft": "/think"}, "a.soft", "list of words"),
        (GOOD | {"soft": [" "]}, "a.soft", "list of words"),
        (GOOD | {"soft": ["~"]}, "a.soft", "two letters"),
        (GOOD | {"empty": ""}, "a.empty", "not empty"),
        (GOOD | {"sampling": 3}, "a.sampling", "table of think and direct"),
        (GOOD | {"sampling": {"temperature": 1}}, "a.sampling.temperature", "allowed: think, direct"),
        (GOOD | {"sampling": {"think": 1}}, "a.sampling.think", "must be a table"),
        (GOOD | {"sampling": {"think": {"seed": 1}}}, "a.sampling.think.seed", "allowed: temperature, top_p"),
        (GOOD | {"sampling": {"direct": {"top_k": 1.5}}}, "a.sampling.direct.top_k", "whole number"),
        (GOOD | {"switched_off": {"system": "/off"}}, "a.switched_off", "only with `switch: other`"),
        (OTHER | {"switched_off": {}}, "a.switched_off", "must be a table of arguments"),
        (OTHER | {"switched_off": "/off"}, "a.switched_off", "must be a table of arguments"),
        (OTHER | {"switched_on": {"user": "/on"}}, "a.switched_on.user", "allowed: arguments, system"),
        (OTHER | {"switched_on": {"system": 3}}, "a.switched_on", "must be a table of arguments"),
        (SILENT | {"open": "<a>"}, "a.open", "does not think"),
        (SILENT | {"switch": "thinking"}, "a.switch", "does not think"),
        (SILENT | {"sampling": {"think": {}}}, "a.sampling.think", "does not think"),
    ],
)
def test_a_wrong_row_is_named_with_its_field(row, field, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        read(row)
    assert caught.value.field == field
    part = field.split(".")[1] if "." in field and problem != "is missing" else None
    assert caught.value.where == f"a/{part}"


@given(
    row=st.dictionaries(
        st.sampled_from(FIELDS) | st.text(max_size=3),
        st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.text(max_size=3), max_size=2)
        | st.dictionaries(st.sampled_from(["think", "direct", "x"]), st.none() | st.floats(), max_size=2),
    ),
    sound=st.booleans(),
)  # fmt: skip
def test_any_row_is_a_family_or_a_clear_error(row, sound):
    with contextlib.suppress(ConfigError):
        assert read(GOOD | row if sound else row).name == "a"


def test_the_shipped_rows_are_read_by_the_same_check_and_agree_with_themselves():
    """Whoever has a closing marker has an opening one; an empty thought ends where a thought ends."""
    for row in families():
        assert row.source, row.name
        assert row.open or not row.close, row.name
        assert row.open or row.opens is None, row.name
        if row.empty and row.close and "budget" not in row.empty:
            assert row.empty.rstrip().endswith(row.close), row.name
    assert all("/think" in row.soft for row in families() if row.soft and "/no_think" in row.soft)


def test_qwen3_never_thinks_greedily():
    table = {row.name: row for row in families()}
    for name in ("Qwen3 hybrid", "Qwen3-2507 and Next Thinking", "QwQ"):
        assert table[name].advice.think.temperature == 0.6


def test_the_same_rows_from_yaml_are_the_same_families():
    rows, where = read_rows(yaml.safe_dump({"a": GOOD}), "f.yaml", "families")
    assert read_families(rows, where)["a"] == read(GOOD)

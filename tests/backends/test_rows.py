"""Tables of rows: what is read, and where it says that something is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.rows import checked_row, read_rows, wrong_in
from pointsman.errors import ConfigError

TEXT = "a:\n  x: 1\n\nb:\n  x: 2\n  y: 3\n"


def test_rows_come_with_the_line_of_each_field():
    rows, where = read_rows(TEXT, "f.yaml", "things")
    assert rows == {"a": {"x": 1}, "b": {"x": 2, "y": 3}}
    assert (where("a", "x"), where("b", None), where("b", "y")) == ("f.yaml:2", "f.yaml:4", "f.yaml:6")
    assert where("b", "z") == "f.yaml:4"
    assert read_rows("", "f.yaml", "things")[0] == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [("- a\n", "f.yaml:1: must be a table of things"), ("a: [\n", "f.yaml:2: not readable as YAML"),
     ("a: 1\na: 2\n", "f.yaml:2: a: is there twice")],
)  # fmt: skip
def test_what_is_no_table_is_told_with_its_line(text, told):
    with pytest.raises(ConfigError, match=told):
        read_rows(text, "f.yaml", "things")


@given(row=st.dictionaries(st.sampled_from("xyz"), st.integers()))
def test_a_row_passes_if_it_has_what_it_needs_and_nothing_else(row):
    def read():
        return checked_row("a", row, lambda *_: "here", ("x", "y"), ("x",))

    if "x" in row and "z" not in row:
        assert read() == row
    else:
        with pytest.raises(ConfigError, match=r"here: a\.(x: is missing|z: unknown field; allowed: x, y)"):
            read()


def test_a_fields_errors_name_it():
    error = wrong_in("a", "x", lambda name, field: f"{name}@{field}")("is wrong", "[0]")
    assert str(error) == "a@x: a.x[0]: is wrong"

"""A YAML file and its lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.errors import ConfigError
from pointsman.router.yaml_file import read_yaml


def test_every_setting_knows_its_line(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("a: 1\n\nb:\n  c: {d: 2}\n")
    values, lines = read_yaml(file)
    assert values == {"a": 1, "b": {"c": {"d": 2}}}
    assert lines == {("a",): 1, ("b",): 3, ("b", "c"): 4, ("b", "c", "d"): 4}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [("a: [1\nb: 2\n", 2, "no valid YAML"), ("- a\n", 1, "name: value"), ("a: 1\nb: 2\na: 3\n", 3, "stands twice")],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=what) as caught:
        read_yaml(file)
    assert caught.value.where == f"{file}:{line}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_an_empty_file_is_no_settings(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("")
    assert read_yaml(tmp_path / "p.yaml") == ({}, {})

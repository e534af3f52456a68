"""`pointsman config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from pointsman.api.cli.configuration import HIDDEN, hide, lines, origin
from pointsman.api.cli.main import main

FILE = """\
models:
  qwen:
    url: http://127.0.0.1:9/v1
    parameters: 8
    api_key_env: MY_KEY
    extra: {password: hunter2}
routes:
  small: {model: qwen, mode: direct}
  full: {model: qwen}
objective: {quality: 0.95}
server: {port: 9000}
"""

quick = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
trees = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        scalars, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=8), t, max_size=3), max_leaves=6
    ),
    max_size=4,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file."""
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    return path


def comments(text: str) -> dict[str, str]:
    """Line without its comment -> the comment."""
    rows = (line.partition("# ") for line in text.splitlines())
    return {left.strip(): comment for left, _, comment in rows}


def test_each_value_says_where_it_came_from(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file's value has file and line, the environment's its variable, an option's and a default's say so."""
    monkeypatch.setenv("POINTSMAN_OBJECTIVE__QUALITY", "0.9")
    monkeypatch.setenv("POINTSMAN_PORT", "9001")
    assert main(["config", "--config", str(file), "--home", str(tmp_path)]) == 0
    told = comments(capsys.readouterr().out)
    assert told["parameters: 8.0"] == f"{file}:4"
    assert told["quality: 0.9"] == "POINTSMAN_OBJECTIVE__QUALITY"
    assert told["port: 9001"] == "POINTSMAN_PORT"
    assert told[f"home: {tmp_path}"] == "command line"
    assert told["policy: route"] == "default"
    assert told["keep_text: true"] == "default"


def test_what_is_printed_is_a_configuration_again(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output is YAML, and as `--config` it gives the same output but for the origins."""
    main(["config", "--config", str(file), "--home", str(tmp_path)])
    first = yaml.safe_load(capsys.readouterr().out)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(first))
    assert main(["config", "--config", str(again), "--home", str(tmp_path)]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == first


def test_secrets_are_hidden(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A password in the store's URL and one among a model's settings are not shown; a variable's name is."""
    monkeypatch.setenv("MY_KEY", "sk-12345")
    code = main(["config", "--config", str(file), "--store", "postgresql://me:pw123@db/x", "--home", str(tmp_path)])
    shown = capsys.readouterr()
    assert code == 0
    for secret in ("pw123", "hunter2", "sk-12345"):
        assert secret not in shown.out + shown.err
    assert f"postgresql://me:{HIDDEN}@db/x" in shown.out
    assert "api_key_env: MY_KEY" in shown.out


def test_a_password_among_an_addresss_parameters_is_hidden() -> None:
    """The rest of the address stays."""
    given = {"url": "postgresql://h/db?user=u&password=pw123&sslPassword=pw456&connect_timeout=3"}
    shown = f"postgresql://h/db?user=u&password={HIDDEN}&sslPassword={HIDDEN}&connect_timeout=3"
    assert hide(given) == {"url": shown}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("routes:\n  small: {model: nobody}\n", 2, "there is no model 'nobody'"),
        ("objective: {quality: 3}\n", 1, "less than or equal to 1"),
        ("models:\n  a: {url: http://x/v1, parametres: 8}\n", 2, "there is no such setting"),
        ("models: [\n", 2, "no valid YAML"),
        ("server: {prot: 1}\n", 1, "there is no such setting; allowed here: allow_remote"),
    ],
)
def test_a_wrong_file_is_an_error_with_file_and_line(
    text: str, line: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one message: file, line, field, what is wrong."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    assert main(["config", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}:{line}" in error
    assert said in error
    assert "Traceback" not in error


def given(tree: Any) -> Any:
    """The tree without what is absent in its mappings."""
    return {k: given(v) for k, v in tree.items() if v is not None} if isinstance(tree, dict) else tree


@quick
@drawn(trees)
def test_any_tree_is_printed_as_yaml_that_means_it(tree: dict[str, Any]) -> None:
    """Whatever the settings hold, the lines read back as the same tree, but for settings that are absent."""
    text = "\n".join(f"{line} # {where}" if where else line for line, where in lines(tree, {}))
    assert (yaml.safe_load(text) or {}) == given(tree)


@quick
@drawn(trees)
def test_hiding_keeps_the_form(tree: dict[str, Any]) -> None:
    """The names stay as they are; only values change."""
    assert hide(tree).keys() == tree.keys()


def test_a_value_inside_one_that_was_given_whole_has_its_origin() -> None:
    """Its own origin, else that of a setting above that was given as one value; what a section lacks is a default."""
    origins = {("store",): "POINTSMAN_STORE", ("server",): "x.yaml:1", ("server", "port"): "x.yaml:2"}
    assert origin(("store", "url"), origins) == "POINTSMAN_STORE"
    assert origin(("server", "port"), origins) == "x.yaml:2"
    assert origin(("server", "host"), origins) == "default"
    assert origin(("home",), origins) == "default"

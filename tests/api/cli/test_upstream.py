"""`pointsman serve --upstream`: in front of a llama.cpp server that somebody else runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.api.cli.main import main


def test_any_client_asks_auto_through_it_at_once(
    foreign_llamacpp: tuple[str, str], launch: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server is recognised, its thinking model gives three routes, `auto` answers by the safe one, off is off; the
    start says that nothing is learnt and what to type; the key is written nowhere; other commands take the file."""
    url, key = foreign_llamacpp
    serving = launch(tmp_path, "--upstream", url, env={"POINTSMAN_UPSTREAM_API_KEY": key}).ready()
    file = tmp_path / "upstream.yaml"
    assert "In front of llama.cpp server" in serving.output
    assert f"pointsman retrain --config {file} --home {tmp_path}" in serving.output
    assert "Nothing is learnt for these routes yet: the safe route full answers" in serving.output
    with serving.client() as client:

        def ask(model: str) -> Any:
            body = {"model": model, "messages": [{"role": "user", "content": "3+4"}]}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
            return answer

        auto, small = ask("auto"), ask("small")
        assert auto.headers["x-pointsman-route"] == "full"
        assert auto.json()["choices"][0]["message"]["content"].strip() == "7"
        assert auto.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
        assert small.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
        assert ask("digits").headers["x-pointsman-thinking-budget"] == "unlimited"
    assert len(serving.members()) == 2  # parent and worker: no engine of our own
    assert serving.end() == 0
    written = yaml.safe_load(file.read_text())
    assert list(written["routes"]) == ["small", "budgeted", "full"]
    assert written["models"]["digits"]["dialect"] == "llamacpp"
    assert key not in file.read_text() + serving.output
    capsys.readouterr()
    assert main(["route", "3+4", "--config", str(file), "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("full (digits, think")


def test_without_its_key_the_server_is_not_guessed_at(
    foreign_llamacpp: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and the variable to set."""
    assert main(["serve", "--upstream", foreign_llamacpp[0], "--home", str(tmp_path), "--port", "0"]) == 1
    assert "POINTSMAN_UPSTREAM_API_KEY" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the address; nothing is left behind."""
    assert main(["serve", "--upstream", "http://127.0.0.1:9/v1", "--home", str(tmp_path / "h"), "--port", "0"]) == 1
    assert "http://127.0.0.1:9/v1" in capsys.readouterr().err
    assert not (tmp_path / "h").exists()


def test_a_file_and_an_upstream_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 for both ways to name a file; the message shows how a server stands in one."""
    monkeypatch.setenv("POINTSMAN_CONFIG", str(tmp_path / "mine.yaml"))
    assert main(["serve", "--upstream", "http://127.0.0.1:9/v1"]) == 2
    assert "models: {NAME: {url: http://127.0.0.1:9/v1}}" in capsys.readouterr().err

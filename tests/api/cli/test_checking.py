"""`pointsman check` as a user runs it: real models, servers that lie, servers that would have to load a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stub as stubs
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pointsman.api.cli.checking import MOST_QUESTIONS
from pointsman.api.cli.main import main
from pointsman.domain import Enforcement
from pointsman.router.jobs.conformance import questions
from pointsman.store import CheckRow, StoreConfig, open_store

DIGITS = """
models:
  digits: {embedded: digits}
routes:
  small: {model: digits, mode: direct, thinking_budget: 0, tier: small, price: &tokens {input: 0.1, output: 1}}
  budgeted: {model: digits, mode: think, thinking_budget: 17, tier: budgeted, price: *tokens}
"""
COMPLETIONS = "/v1/chat/completions"


class Served(stubs.Stub):
    """A server in a thread of its own. answers: JSON by path, before all else; deaf: it ignores thinking budgets."""

    def __init__(self, answers: dict[str, Any] | None = None, *, deaf: bool = False) -> None:
        super().__init__()
        self.answers, self.budget = answers or {}, "ignore" if deaf else "keep"

    async def _handle(self, request: Any) -> Any:
        if request.path in self.answers:
            return stubs.web.json_response(self.answers[request.path])
        return await super()._handle(request)


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as made:
        yield made


@pytest.fixture
def served(portal: BlockingPortal, tmp_path: Path) -> Iterator[Callable[..., tuple[Served, list[str]]]]:
    """Starts a server; with it come the options of a configuration whose one model it serves."""
    started: list[Served] = []

    def start(*args: Any, route: str = "mode: think, thinking_budget: 16", **more: Any) -> tuple[Served, list[str]]:
        server = Served(*args, **{key: more.pop(key) for key in ("deaf",) if key in more})
        portal.call(server.start)
        started.append(server)
        model = json.dumps({"url": server.url, "parameters": 1, **more.pop("model", {})})
        price = more.pop("price", "")
        file = tmp_path / "c.yaml"
        file.write_text(f"models: {{m: {model}}}\nroutes: {{r: {{model: m, {route}{price}}}}}\n")
        return server, ["--config", str(file), "--home", str(tmp_path / "h"), "--n", "1"]

    yield start
    for server in started:
        portal.call(server.stop)


def remembered(home: Path) -> list[CheckRow]:
    with open_store(StoreConfig(url=f"sqlite:///{home / 'pointsman.db'}")) as store:
        return store.checks()


def test_the_real_model_is_checked_remembered_and_shown_when_serving_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], launch: Callable[..., Any]
) -> None:
    config, home = tmp_path / "digits.yaml", tmp_path / "h"
    config.write_text(DIGITS)
    assert main(["check", "--config", str(config), "--home", str(home), "--n", "2"]) == 0
    shown = capsys.readouterr()
    assert "at most" in shown.err
    assert "tokens" in shown.err
    assert "No promise is broken." in shown.out
    assert "17 tokens kept, at most 1 over with the closing words." in shown.out
    assert {(row.route, row.enforced) for row in remembered(home)} == {
        ("small", Enforcement.NATIVE),
        ("budgeted", Enforcement.NATIVE),
    }
    serving = launch(home, "--config", str(config)).ready()
    try:
        line = serving.await_line(r"^ *budgeted ")
        assert "native, checked 20" in line
    finally:
        serving.end()


def test_before_a_check_serving_says_so(tmp_path: Path, launch: Callable[..., Any]) -> None:
    config = tmp_path / "digits.yaml"
    config.write_text(DIGITS)
    serving = launch(tmp_path / "h", "--config", str(config)).ready()
    try:
        assert "not checked" in serving.await_line(r"^ *budgeted ")
        assert "pointsman check" in serving.output
    finally:
        serving.end()


def test_one_route_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "digits.yaml"
    config.write_text(DIGITS)
    options = ["--config", str(config), "--home", str(tmp_path / "h"), "--route", "small", "--n", "1"]
    assert main(["check", *options, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["broken"] is False
    (model,) = told["models"]
    assert [route["route"] for route in model["routes"]] == ["small"]
    assert {finding["about"] for finding in model["findings"]} >= {"off", "budget", "counts", "parallel"}
    assert main(["check", *options, "--json", str(tmp_path / "deep" / "c.json")]) == 0
    assert json.loads((tmp_path / "deep" / "c.json").read_text())["broken"] is False
    assert "No promise is broken." in capsys.readouterr().out


def test_a_broken_promise_is_exit_code_1_named_and_remembered(
    served: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT-LLM's dialect has no way to cut a thought; this server ignores budgets."""
    monkeypatch.setattr(stubs, "THOUGHT", "and then " * 45)
    _, options = served(deaf=True, model={"dialect": "tensorrt", "thinks": True})
    assert main(["check", *options]) == 1
    shown = capsys.readouterr().out
    assert "Broken: r: the name does not tell the truth." in shown
    (row,) = remembered(tmp_path / "h")
    assert row.enforced is Enforcement.NONE
    assert row.findings[0]["ruling"] == "broken"


def test_where_it_costs_money_and_nobody_can_be_asked_nothing_is_asked(
    served: Callable[..., Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of this test stands for one outside of the owner's network."""
    monkeypatch.setattr("pointsman.router.jobs.conformance.subjects._near", lambda _: False)
    server, options = served(price=", price: {input: 1, output: 10}")
    assert main(["check", *options]) == 2
    shown = capsys.readouterr().err
    assert "m: " in shown
    assert "at its routes' prices" in shown
    assert "give --yes" in shown
    assert server.bodies(COMPLETIONS) == []
    assert main(["check", *options, "--yes"]) in (0, 1)
    assert server.bodies(COMPLETIONS)


OLLAMA = {
    "/v1/models": {"data": [{"id": "qwen3:8b", "owned_by": "library"}]},
    "/api/version": {"version": "0.33.0"},
    "/api/show": {"capabilities": ["completion", "thinking"]},
    "/api/ps": {"models": []},
}


def test_a_model_that_its_engine_would_have_to_load_is_left_alone(
    served: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --load; with it, it is asked."""
    server, options = served(OLLAMA, model={"model": "qwen3:8b"})
    assert main(["check", *options]) == 0
    assert "not loaded: skipped" in capsys.readouterr().out
    assert not [path for path, _ in server.requests if path not in OLLAMA and "completions" in path]
    assert main(["check", *options, "--load"]) in (0, 1)
    assert server.bodies(COMPLETIONS)


def test_a_loaded_one_is_checked(served: Callable[..., Any]) -> None:
    loaded = {**OLLAMA, "/api/ps": {"models": [{"name": "qwen3:8b"}]}}
    server, options = served(loaded, model={"model": "qwen3:8b"})
    assert main(["check", *options]) in (0, 1)
    assert server.bodies(COMPLETIONS)


def test_a_server_that_is_down_is_said_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("models: {m: {url: 'http://127.0.0.1:9/v1', parameters: 1}}\n")
    assert main(["check", "--config", str(file), "--home", str(tmp_path / "h")]) == 1
    shown = capsys.readouterr()
    assert "does not answer" in shown.out
    assert "nothing could be checked" in shown.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--route", "nope"], "There is no route 'nope'; there are small, budgeted."),
        (["--n", "0"], "--n"),
        (["--n", str(MOST_QUESTIONS + 1)], "--n"),
    ],
)
def test_what_is_given_wrong_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    config = tmp_path / "digits.yaml"
    config.write_text(DIGITS)
    assert main(["check", "--config", str(config), "--home", str(tmp_path / "h"), *given]) == 2
    assert said in capsys.readouterr().err


def test_the_most_questions_are_those_that_there_are() -> None:
    assert MOST_QUESTIONS == questions.MOST

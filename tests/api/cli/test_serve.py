"""`pointsman serve` as a whole: real processes, real engines, real HTTP."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pointsman.api.cli.main import main
from pointsman.api.cli.serve import prepare_tables
from pointsman.router.config import load

DIGITS = """\
models:
  digits: {embedded: digits}
routes:
  small: {model: digits, mode: direct, tier: small}
  budgeted: {model: digits, mode: think, thinking_budget: 17, tier: budgeted}
  full: {model: digits, mode: think, tier: full}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three routes of digits, without the larger model: quick to start."""
    path = tmp_path_factory.mktemp("config") / "digits.yaml"
    path.write_text(DIGITS)
    return path


@pytest.fixture(scope="module")
def served(launch: Callable[..., Any], config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running server, shared by the tests of this file that leave it as it is."""
    serving = launch(tmp_path_factory.mktemp("home"), "--config", str(config)).ready()
    yield serving
    serving.end()


def ask(client: Any, text: str = "3+4", model: str = "auto") -> Any:
    """A chat completion."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return client.post("/v1/chat/completions", json=body)


def test_it_says_where_it_listens_what_it_has_and_what_to_type(served: Any) -> None:
    """Address, every route with model, mode, budget and price, what is learnt or not, and a first request."""
    said = served.output
    assert f"listens on {served.base}" in said
    assert f"{served.base}/docs" in said
    for route, budget in (("small", "off"), ("budgeted", "17"), ("full", "unlimited")):
        assert re.search(rf"{route} +digits +(direct|think) +{route} +{budget} +~[\d.e-]+/[\d.e-]+", said)
    assert str(served.home) in said


def test_the_request_that_it_prints_works(served: Any) -> None:
    """The curl of the first screen, taken word for word, is answered."""
    [line] = [line for line in served.lines if line.strip().startswith("curl ")]
    _, url, _, header, _, body = shlex.split(line)
    name, value = header.split(": ")
    with served.client() as client:
        answer = client.post(url, content=body, headers={name: value})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"].strip()


def test_a_decision_is_read_and_judged_from_the_command_line(served: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Answer over HTTP, feedback by command, the statement in the decision; the same key is taken once."""
    with served.client() as client:
        identity = ask(client).headers["x-pointsman-decision-id"]
        command = ["feedback", identity, "--correct", "--key", "k1", "--home", str(served.home)]
        assert main(command) == 0
        assert "Taken." in capsys.readouterr().out
        assert main(command) == 0
        assert "taken once" in capsys.readouterr().out
        assert [o["value"] for o in client.get(f"/v1/decisions/{identity}").json()["outcomes"]] == [1.0]


def test_feedback_on_an_unknown_decision_is_refused(
    served: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and the id."""
    monkeypatch.setattr("pointsman.api.cli.asking.RECORD_S", 0.1)  # how long it is waited for
    assert main(["feedback", "dec_none", "--wrong", "--home", str(served.home)]) == 2
    assert "dec_none" in capsys.readouterr().err


def test_ask_uses_the_engines_of_the_running_server(
    served: Any, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The answer goes to standard output alone, route, tokens and cost to standard error; no engine is started."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    assert main(["ask", "3+4", "--model", "full", "--config", str(config), "--home", str(served.home)]) == 0
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    shown = capfd.readouterr()
    assert shown.out.strip() == "7"
    assert re.search(r"full · \d+ in, \d+ thought \+ \d+ out · cost .* · asked for · dec_", shown.err)


def test_route_works_beside_a_running_server(served: Any, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The decision in words, and as the JSON of POST /v1/route; the server knows it afterwards."""
    arguments = ["route", "3+4", "--config", str(config), "--home", str(served.home)]
    assert main(arguments) == 0
    assert re.search(r"^(small|budgeted|full) \(digits, ", capsys.readouterr().out)
    assert main([*arguments, "--json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    with served.client() as client:
        known = client.get(f"/v1/decisions/{decision['id']}").json()
    assert decision["route"] == known["route"]
    assert set(decision) <= set(known)


def test_a_port_in_use_is_said_before_anything_starts(
    served: Any, pointsman: Callable[..., Any], tmp_path: Path
) -> None:
    """Exit code 2; the message has the port and how to choose another; no folder was made."""
    port = served.base.rpartition(":")[2]
    done = pointsman("serve", "--home", str(tmp_path / "home"), "--port", port)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "--port or POINTSMAN_PORT" in done.stderr
    assert not (tmp_path / "home").exists()


def test_listening_beyond_this_machine_wants_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the setting that allows it; the signal handlers are as they were."""
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert main(["serve", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "allow_remote" in capsys.readouterr().err
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


def test_what_is_learnt_from_the_log_serves_without_a_restart(
    served: Any, config: Path, capsys: pytest.CaptureFixture[str], eventually: Callable[..., None]
) -> None:
    """Answers and feedback go in, `retrain --promote` writes an artifact, the running server takes it up and chooses by
    it; `rollback` takes it out of service again."""
    at = ["--config", str(config), "--home", str(served.home)]
    with served.client() as client:
        chains = [f"{a}{op}{b}" for a in range(3, 8) for op in "+*" for b in range(2, 5)]
        for text in chains:
            right = str((eval(text)) % 10)
            for route in ("small", "budgeted", "full"):
                answer = ask(client, text, route)
                value = float(answer.json()["choices"][0]["message"]["content"].strip() == right)
                said = {"metric": "correct", "value": value, "source": "check"}
                identity = answer.headers["x-pointsman-decision-id"]
                assert client.post("/v1/feedback", json={"decision_id": identity, **said}).is_success

        def serving() -> str | None:
            return client.get("/ready").json()["artifact"]

        assert main(["retrain", "--promote", *at]) == 0
        told = capsys.readouterr().out
        made = re.search(r"^Artifact (\S+)", told, re.MULTILINE)[1]
        assert "It serves from now on" in told
        eventually(lambda: serving() == made, 10, "the running server takes the promotion up")
        decided = client.post("/v1/route", json={"model": "auto", "messages": [{"role": "user", "content": "3+4"}]})
        assert decided.json()["artifact"] == made
        assert main(["rollback", *at]) == 0
        eventually(lambda: serving() != made, 10, "the running server takes the rollback up")


def test_default_configuration_worker_restart_and_ctrl_c(
    launch: Callable[..., Any], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """With no configuration both embedded models serve; options reach the worker; a worker that dies is replaced;
    Ctrl-C to the whole group, as at a terminal, ends everything with exit code 0 and without a traceback."""
    store = tmp_path / "elsewhere.db"
    serving = launch(tmp_path / "home", "--store", f"sqlite:///{store}").ready()
    with serving.client() as client:
        answer = ask(client, "What is the capital of France?", "chat")
        assert answer.json()["choices"][0]["message"]["content"].strip()
        eventually(lambda: rows(store) == 1, 10, "the decision is in the store that was named")
        [worker] = [p for p in serving.members() if "pointsman.api.worker" in p.cmdline()]
        worker.kill()
        serving.await_line("the worker ended with exit code -9", 10)
        eventually(lambda: ask(client, "3+4", "small").status_code == 200, 60, "another worker answers")
    assert len(serving.members()) == 4  # parent, worker, two engines
    assert serving.end() == 0
    assert serving.members() == []
    assert "Traceback" not in serving.output


def test_an_engine_that_is_ready_again_is_used_at_once(
    launch: Callable[..., Any], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """While the safe route's engine is down another answers; once it is up, queries go there well before the 15 s are
    over that a silent server is left out. The parent is held up meanwhile, so that the restart waits for the query."""
    file = tmp_path / "two.yaml"
    file.write_text(
        "models: {one: {embedded: digits}, two: {embedded: digits}}\nsafe_route: dear\n"
        "routes: {cheap: {model: one, mode: direct}, dear: {model: two, mode: think}}\n"
    )
    serving = launch(tmp_path / "home", "--config", str(file)).ready()

    def answering() -> str:
        return ask(client, "3+4").headers["x-pointsman-route"]

    with serving.client() as client:
        assert answering() == "dear"
        [engine] = [p for p in serving.members() if "two" in p.cmdline()]
        parent = psutil.Process(serving.process.pid)
        parent.suspend()
        try:
            eventually(lambda: parent.status() == psutil.STATUS_STOPPED, 10, "the parent is held up")
            engine.kill()
            eventually(lambda: engine.status() == psutil.STATUS_ZOMBIE, 10, "the engine is dead")
            assert answering() == "cheap"
        finally:
            parent.resume()
        eventually(lambda: answering() == "dear", 10, "the engine that is ready again answers")
    assert serving.end() == 0


def rows(store: Path) -> int:
    """How many decisions a SQLite store holds."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return connection.execute("select count(*) from decisions").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_everything_dies_with_a_parent_that_is_killed(
    launch: Callable[..., Any], config: Path, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """SIGKILL to the parent alone: worker and engines are gone soon after."""
    serving = launch(tmp_path, "--config", str(config)).ready()
    assert len(serving.members()) == 3
    serving.process.kill()
    eventually(lambda: serving.members() == [], 15, "worker and engines end")


def test_sigterm_while_it_starts_leaves_nothing(
    launch: Callable[..., Any], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """Told to stop before it is ready, it stops what it has started so far."""
    serving = launch(tmp_path)
    eventually(lambda: len(serving.members()) > 1, 60, "something is started")
    assert serving.end(signal.SIGTERM) == 0
    assert serving.members() == []
    assert "Traceback" not in serving.output


@pytest.mark.parametrize(("number", "grace"), [(signal.SIGTERM, 1), (signal.SIGINT, 60)])
def test_an_answer_under_way_at_shutdown_is_ended_told_and_recorded(
    launch: Callable[..., Any], tmp_path: Path, upstream: Any, number: int, grace: int
) -> None:
    """When its grace is over (Ctrl-C: 3 s) the stream ends with an error event, and the store has the decision."""
    file = tmp_path / "endless.yaml"
    file.write_text(f"models: {{endless: {{url: '{upstream.base}/v1', model: endless, parameters: 1}}}}\n")
    environment = {"POINTSMAN_SHUTDOWN_GRACE_S": str(grace)}
    serving = launch(tmp_path / "home", "--config", str(file), env=environment).ready()
    body = {"model": "endless", "messages": [{"role": "user", "content": "3+4"}], "stream": True}
    with serving.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        serving.process.send_signal(number)
        events = [line for line in lines if line]
    assert "shutting down" in json.loads(events[-1].removeprefix("data: "))["error"]["message"]
    assert serving.process.wait(15) == 0
    assert rows(tmp_path / "home" / "pointsman.db") == 1


def test_a_server_of_the_owners_that_is_down_is_waited_for_and_named(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    """It may be loading for minutes: start-up says what it waits for, requests get 503, SIGTERM ends it all."""
    file = tmp_path / "down.yaml"
    file.write_text("models: {qwen: {url: 'http://127.0.0.1:9/v1', parameters: 8}}\n")
    serving = launch(tmp_path / "home", "--config", str(file))
    serving.await_line("not ready yet, still trying: .*127.0.0.1:9")
    assert "listens on" not in serving.output
    assert serving.end(signal.SIGTERM) == 0
    assert serving.members() == []


def test_an_engine_that_does_not_come_up_is_told_with_its_log(launch: Callable[..., Any], tmp_path: Path) -> None:
    """Exit code 1, the model, the last lines of its log; nothing is left running."""
    (tmp_path / "broken.gguf").write_bytes(b"no model at all")
    file = tmp_path / "broken.yaml"
    file.write_text(f"models:\n  broken: {{path: {tmp_path}/broken.gguf, parameters: 1}}\n")
    serving = launch(tmp_path / "home", "--config", str(file))
    assert serving.process.wait(60) == 1
    serving.await_line("<end>", 10)
    assert "models.broken: the engine ended with code" in serving.output
    assert "gguf" in serving.output
    assert serving.members() == []


def test_a_model_file_that_is_missing_is_named(launch: Callable[..., Any], tmp_path: Path) -> None:
    """The path stands in the message, the exit code is not 0."""
    file = tmp_path / "missing.yaml"
    file.write_text(f"models:\n  gone: {{path: {tmp_path}/gone.gguf, parameters: 1}}\n")
    serving = launch(tmp_path / "home", "--config", str(file))
    assert serving.process.wait(60) in (1, 2)
    serving.await_line("<end>", 10)
    assert f"{tmp_path}/gone.gguf" in serving.output
    assert "Traceback" not in serving.output


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("url: 'http://127.0.0.1:9/v1', api_key_env: NO_SUCH_KEY", "NO_SUCH_KEY: models.q.api_key_env"),
        ("path: /no/such/folder", "models.q.path"),
    ],
)
def test_what_an_engine_lacks_on_this_machine_is_said_before_anything_starts(
    pointsman: Callable[..., Any], tmp_path: Path, model: str, field: str
) -> None:
    """Exit code 2, and the field."""
    file = tmp_path / "wrong.yaml"
    file.write_text(f"models:\n  q: {{{model}, parameters: 1}}\n")
    done = pointsman("serve", "--home", str(tmp_path / "home"), "--port", "0", "--config", str(file))
    assert done.returncode == 2
    assert field in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_read_only_database_is_said_and_answers_go_on(
    launch: Callable[..., Any], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be remembered fails no request: the server says what is wrong with the store, queries are answered.
    Commands that must write to the store fail with exit code 1."""
    store, at = tmp_path / "sealed.db", ["--home", str(tmp_path / "home")]
    assert main(["route", "3+4", "--store", f"sqlite:///{store}", *at]) == 0
    url = sealed(store)
    serving = launch(tmp_path / "home", "--config", str(config), "--store", url).ready()
    with serving.client() as client:
        assert ask(client, "3+4", "small").status_code == 200
    serving.await_line("read-only", 30)
    assert serving.end() == 0
    capsys.readouterr()
    assert main(["db", "prune", "--older-than", "0s", "--store", url, *at]) == 1
    assert "read-only" in capsys.readouterr().err


def test_tables_that_cannot_be_made_are_a_note_of_the_start(tmp_path: Path) -> None:
    """A read-only database without our tables: the sentence that start-up shows, and no exception."""
    sqlite3.connect(tmp_path / "sealed.db").executescript("create table other (x)").connection.close()
    settings, _ = load(None, {"home": str(tmp_path), "store": sealed(tmp_path / "sealed.db")}, environ={})
    note = prepare_tables(settings)
    assert note is not None
    assert "nothing is remembered" in note
    assert "read-only" in note


def sealed(store: Path) -> str:
    """The URL of a database that cannot be written: as file permissions do it, but for root too."""
    return f"sqlite:///file:{store}?mode=ro&uri=true"

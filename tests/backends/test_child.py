"""Foreign servers as children: waited for, restarted, given up, and what is said where one never serves."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pointsman.backends import ModelConfig, Supervisor, child, create, embedded_path, running
from pointsman.backends.answering import fetch, free_port
from pointsman.domain import Call
from pointsman.errors import LaunchError

SERVER = Path(__file__).with_name("foreign_server.py")
PATIENCE_S = 30.0

# llama.cpp's own program, as far as our flags go: the server of this package under its flags.
LLAMA_SERVER = """#!{python}
import argparse, json, os, sys, threading
from pathlib import Path
Path({record!r}).write_text(json.dumps(sys.argv[1:]))
parser = argparse.ArgumentParser()
for flag in ("--model", "--alias", "--host", "--port", "--ctx-size", "--parallel", "--threads"):
    parser.add_argument(flag, required=True)
for flag in ("--jinja", "--metrics", "--no-webui", "--no-prefill-assistant"):
    parser.add_argument(flag, action="store_true", required=True)
given = parser.parse_args()
from pointsman.backends import llamacpp_server
options = ["--model", given.model, "--alias", given.alias, "--host", given.host, "--port", given.port]
options += ["--slots", given.parallel, "--context", str(int(given.ctx_size) // int(given.parallel))]
server = llamacpp_server._server(llamacpp_server._options(options), os.environ["LLAMA_API_KEY"])
threading.Event().wait()
"""


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition; how long is generous, for machines are busy."""
    began, pause = time.monotonic(), threading.Event()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S, f"{what}: not within {PATIENCE_S} s"
        pause.wait(0.01)


def foreign(*arguments: object, **launch: Any) -> ModelConfig:
    """A model on the server of foreign_server.py."""
    command = [sys.executable, str(SERVER), "--port", "{port}", *map(str, arguments)]
    return ModelConfig.model_validate({"launch": {"command": command, "stop_s": 1, **launch}, "dialect": "vllm"})


def servers() -> list[psutil.Process]:
    """What runs of foreign_server.py below this process."""
    found: list[psutil.Process] = []
    for one in psutil.Process().children(recursive=True):
        try:
            if str(SERVER) in one.cmdline():
                found.append(one)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def die(url: str, code: int = 3) -> None:
    fetch(f"{url.removesuffix('/v1')}/die/{code}", "")


class Ear:
    """What the supervisor says."""

    def __init__(self) -> None:
        self.again: list[str] = []
        self.down: list[tuple[str, str]] = []
        self.progress: list[str] = []


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def supervisor(tmp_path: Path, ear: Ear) -> Iterator[Supervisor]:
    with Supervisor(
        tmp_path, again=ear.again.append, down=lambda *said: ear.down.append(said), progress=ear.progress.append
    ) as made:
        yield made
    assert servers() == []


def test_a_slow_server_is_waited_for_and_says_what_it_does(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes ready only once it was told what it does."""
    monkeypatch.setattr(child, "_TELL_S", 0.0)
    ready = tmp_path / "ready"

    def progress(sentence: str) -> None:
        ear.progress.append(sentence)
        if sentence.endswith(": listens"):
            ready.touch()

    with Supervisor(tmp_path, progress=progress) as supervisor:
        (endpoint,) = supervisor.start({"q": foreign("--ready-when", ready, ready_s=PATIENCE_S)}).values()
        assert fetch(f"{endpoint.url}/models", "") == 200
    assert any(said.startswith("q is starting") and "of at most 30 s" in said for said in ear.progress)


def test_a_key_that_is_made_for_it_is_shared_and_seen_nowhere(supervisor: Supervisor, tmp_path: Path) -> None:
    """In a file of the owner's only: not in the log, though the server prints it, and not in any command line."""
    config = foreign("--key-variable", "VLLM_API_KEY", "--record", tmp_path / "record", env={"VLLM_API_KEY": "{key}"})
    (endpoint,) = supervisor.start({"q": config}).values()
    key = endpoint.api_key
    assert len(key) > 20
    assert json.loads((tmp_path / "record").read_text())["variables"] == {"VLLM_API_KEY": key}
    assert (fetch(f"{endpoint.url}/models", key), fetch(f"{endpoint.url}/models", "wrong")) == (200, 401)
    pid = supervisor.status()["q"].pid
    assert pid is not None
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) == 2
    assert not any(key in " ".join(one.cmdline()) for one in family)
    assert stat.S_IMODE((tmp_path / "run" / "engines.json").stat().st_mode) == 0o600
    assert running(tmp_path, {"q": config}) == {"q": endpoint}
    assert running(tmp_path, {"q": foreign("--other")}) is None


def test_a_server_that_dies_is_started_again_on_its_port(supervisor: Supervisor, ear: Ear) -> None:
    (endpoint,) = supervisor.start({"q": foreign()}).values()
    die(endpoint.url)
    until(lambda: ear.again == ["q"], "the restart")
    status = supervisor.status()["q"]
    assert (status.state, status.restarts, status.url) == ("ready", 1, endpoint.url)
    assert status.problem is not None
    assert "code 3" in status.problem
    assert fetch(f"{endpoint.url}/models", "") == 200


def test_one_whose_keeper_is_killed_is_not_left_behind(supervisor: Supervisor, ear: Ear) -> None:
    """Else two of them would want the same port, and the same GPU."""
    (endpoint,) = supervisor.start({"q": foreign()}).values()
    (before,) = servers()
    keeper = supervisor.status()["q"].pid
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    until(lambda: ear.again == ["q"], "the restart")
    (now,) = servers()
    assert now.pid != before.pid
    assert fetch(f"{endpoint.url}/models", "") == 200


def test_one_that_keeps_dying_is_given_up_said_so_and_tried_again_later(
    supervisor: Supervisor, ear: Ear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log's last words are in the reason; when it runs again, that is told too."""
    monkeypatch.setattr(child, "_FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(child, "REST_S", 0.2)
    broken = tmp_path / "broken"
    (endpoint,) = supervisor.start({"q": foreign("--broken", broken)}).values()
    broken.touch()
    die(endpoint.url)
    until(lambda: len(ear.down) > 0, "that it is given up")
    name, why = ear.down[0]
    assert name == "q"
    assert f"{child.MOST_FAILURES} times in a row" in why
    assert "code 1 before it was ready" in why
    assert why.endswith("CUDA out of memory")
    assert ear.again == []
    broken.unlink()
    until(lambda: ear.again == ["q"], "the next try")
    assert supervisor.status()["q"].state == "ready"
    assert fetch(f"{endpoint.url}/models", "") == 200


@pytest.mark.parametrize(
    ("arguments", "launch", "said"),
    [
        (["--exit", "7", "--say", "no such model"], {}, r"ended with code 7 before it was ready"),
        (["--ready-when", "/never"], {"ready_s": 0.5}, r"not ready yet \(503\); give it longer with `ready_s`"),
        (["--unhealthy", "500"], {"ready_s": 0.5}, r"/health answers 500; `ready` is a path"),
        ([], {"ready": "/up", "ready_s": 0.5}, r"/up answers 404; `ready` is a path"),
        (["--port", free_port()], {"ready_s": 0.5}, r"nothing answers at .*/health; is that where it listens"),
        (["--prefix", "/api"], {}, r"/v1/models answers 404: `url` is its OpenAI address"),
        (["--key-variable", "K"], {"env": {"K": "owns"}}, r"refuses the key \(401\).*`api_key_env`"),
    ],
)
def test_one_that_never_serves_is_told_with_what_to_do(
    supervisor: Supervisor, arguments: list[object], launch: dict[str, Any], said: str
) -> None:
    """Each in one sentence that names the setting, with the log's end; nothing is left running."""
    with pytest.raises(LaunchError, match=rf"models\.q\.launch: .*{said}") as caught:
        supervisor.start({"q": foreign(*arguments, **launch)})
    assert str(SERVER) in str(caught.value), "the command that was run"
    assert "no such model" in caught.value.log_tail or "--say" not in arguments
    assert supervisor.status() == {}


def test_a_port_that_is_taken_is_told_and_left_alone(supervisor: Supervisor) -> None:
    """A fixed one, where another server listens: it is not taken for ours, though it answers as ours would."""
    (other,) = supervisor.start({"other": foreign()}).values()
    port = other.url.split(":")[2].removesuffix("/v1")
    with pytest.raises(LaunchError, match=rf"models\.q\.launch: port {port} is taken.*{{port}} for the number"):
        supervisor.start({"q": foreign(url=f"http://127.0.0.1:{port}/v1")})
    assert fetch(f"{other.url}/models", "") == 200
    assert len(servers()) == 1


def test_a_port_of_the_owners_is_used(supervisor: Supervisor) -> None:
    port = free_port()
    (endpoint,) = supervisor.start({"q": foreign(url=f"http://127.0.0.1:{port}/v1")}).values()
    assert endpoint.url == f"http://127.0.0.1:{port}/v1"
    assert fetch(f"{endpoint.url}/models", "") == 200


def test_nothing_is_left_where_one_of_several_does_not_come_up(supervisor: Supervisor, tmp_path: Path) -> None:
    """What cannot be run is seen before anything is started; what does not come up takes the others with it."""
    loading = foreign("--ready-when", tmp_path / "never")
    absent = ModelConfig.model_validate({"launch": {"command": ["no-program", "{port}"]}})
    with pytest.raises(LaunchError, match="no program"):
        supervisor.start({"q": loading, "r": absent})
    assert not (tmp_path / "logs").exists()
    with pytest.raises(LaunchError, match="not come up"):
        supervisor.start({"q": loading, "r": foreign()}, timeout_s=0.2)
    assert servers() == []


def _on_path(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(file.parent), prepend=os.pathsep)


async def test_llama_server_of_the_owners_answers_as_ours_does(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of that name on PATH, with a real llama.cpp behind the flags that we give it."""
    record = tmp_path / "arguments"
    text = LLAMA_SERVER.format(python=sys.executable, record=str(record))
    _on_path(tmp_path, "llama-server", text, monkeypatch)
    config = ModelConfig.model_validate({"launch": "llama-server", "embedded": "digits", "slots": 2})
    (endpoint,) = supervisor.start({"digits": config}).values()
    assert str(embedded_path("digits")) in json.loads(record.read_text())
    engine = create("digits", config, url=endpoint.url, api_key=endpoint.api_key)
    try:
        assert (await engine.health()).ready
        assert [info.id for info in await engine.models()] == ["digits"]
        assert (await engine.capabilities()).context == 2048
        call = Call(messages=({"role": "user", "content": "3+4"},), thinking_budget=0)
        text = "".join(getattr(event, "text", "") for event in [event async for event in engine.stream(call)])
        assert text.strip() == "7"
    finally:
        await engine.aclose()


def test_vllm_is_found_on_path_and_has_its_key_from_the_environment(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vllm serve MODEL` with the family's flags."""
    record = tmp_path / "record"
    options = ("--record", str(record), "--key-variable", "VLLM_API_KEY")
    start = f'#!/bin/sh\nexec {sys.executable} {SERVER} {" ".join(options)} "$@"\n'
    _on_path(tmp_path, "vllm", start, monkeypatch)
    config = ModelConfig.model_validate({"launch": "vllm", "model": "Qwen/Qwen3-8B", "context": 8192})
    (endpoint,) = supervisor.start({"qwen": config}).values()
    told = json.loads(record.read_text())
    assert told["arguments"][4:6] == ["serve", "Qwen/Qwen3-8B"]
    assert {"--reasoning-parser", "--max-model-len", "8192"} < set(told["arguments"])
    assert told["variables"] == {"VLLM_API_KEY": endpoint.api_key}
    assert endpoint.api_key not in " ".join(told["arguments"])
    assert fetch(f"{endpoint.url}/models", endpoint.api_key) == 200

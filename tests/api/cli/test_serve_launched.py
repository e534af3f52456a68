"""`pointsman serve` with a server of the owner's that it starts: served beside ours, given up, gone with it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

SERVER = Path(__file__).parents[2] / "backends" / "foreign_server.py"


def configured(folder: Path, *arguments: str) -> Path:
    """digits, and a model on a server that we start."""
    command = [sys.executable, str(SERVER), "--port", "{port}", *arguments]
    launch = {"command": command, "env": ["POINTSMAN_TEST_MARK"]}  # by which it is found: else nothing of ours is told
    models = {
        "digits": {"embedded": "digits"},
        "own": {"launch": launch, "dialect": "vllm", "parameters": 8, "model": "foreign"},
    }
    routes = {"small": {"model": "digits", "mode": "direct"}, "full": {"model": "own", "mode": "think"}}
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump({"models": models, "routes": routes, "safe_route": "full"}))
    return file


def servers(serving: Any) -> list[psutil.Process]:
    """The processes of foreign_server.py that it runs."""
    return [one for one in serving.members() if str(SERVER) in one.cmdline()]


def test_one_that_keeps_dying_is_out_of_service_with_its_reason(
    launch: Callable[..., Any], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """Said at the terminal and by /ready, with the log's last words; the other model answers, without a wait."""
    broken = tmp_path / "broken"
    serving = launch(tmp_path / "home", "--config", str(configured(tmp_path, "--broken", str(broken)))).ready()
    (server,) = servers(serving)
    with serving.client() as client:
        assert client.get("/ready").json()["missing"] == {}
        broken.touch()
        server.kill()
        serving.await_line("own is out of service: the engine ended with code 1 before it was ready")

        def told() -> bool:
            return "CUDA out of memory" in client.get("/ready").json()["missing"].get("own", "")

        eventually(told, 30, "the reason in /ready")
        asked = {"model": "auto", "messages": [{"role": "user", "content": "3+4"}]}
        answer = client.post("/v1/chat/completions", json=asked)
        assert (answer.status_code, answer.headers["x-pointsman-route"]) == (200, "small")
    serving.end()
    eventually(lambda: serving.members() == [], 15, "the end of all")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_the_command_however_that_ends(
    launch: Callable[..., Any], tmp_path: Path, eventually: Callable[..., None], number: int
) -> None:
    """With what it started, which heeds no SIGTERM."""
    grandchild = tmp_path / "grandchild"
    serving = launch(tmp_path / "home", "--config", str(configured(tmp_path, "--grandchild", str(grandchild)))).ready()
    eventually(lambda: grandchild.exists() and grandchild.read_text() != "", 30, "the grandchild")
    assert int(grandchild.read_text()) in [one.pid for one in serving.members()]
    assert httpx.get(f"{serving.base}/ready", timeout=30).json()["missing"] == {}
    serving.end(signal.SIGINT) if number == signal.SIGINT else serving.process.kill()
    eventually(lambda: serving.members() == [], 30, "the end of all")


def test_one_that_never_serves_ends_the_start_with_its_log(launch: Callable[..., Any], tmp_path: Path) -> None:
    """One sentence that names the setting, then what the server said; exit code 1, and nothing is left."""
    config = configured(tmp_path, "--exit", "7", "--say", "no such model: Qwen/Qwen3-8B")
    serving = launch(tmp_path / "home", "--config", str(config))
    assert serving.process.wait(90) == 1
    serving.await_line(r"models\.own\.launch: the engine ended with code 7 before it was ready")
    serving.await_line(r"^no such model: Qwen/Qwen3-8B$")
    assert serving.members() == []

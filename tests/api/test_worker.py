"""The worker process as its parent sees it: there early, told of its engines on standard input, gone in time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pointsman.api.worker import Parent, main, read_endpoints
from pointsman.backends import Endpoint
from pointsman.errors import ConfigError
from pointsman.store import StoreConfig, open_store

ASK = {"model": "good", "messages": [{"role": "user", "content": "x"}]}


class Worker:
    """A worker process, its pipe, and a client."""

    def __init__(self, process: subprocess.Popen[bytes], http: httpx.Client) -> None:
        self.process, self.http = process, http

    def tell(self, line: bytes = b"{}\n") -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def leave(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def ended(self, seconds: float = 40) -> int:
        """Its exit code, waited for."""
        return self.process.wait(seconds)


@pytest.fixture
def start(upstream: Any, tmp_path: Path, stub: Callable[..., Any]) -> Iterator[Callable[..., Worker]]:
    """`start(server settings)`: a worker over the server that fails on demand."""
    upstream.left.clear()
    with ExitStack() as stack:

        def make(settings: dict[str, Any] | None = None, **server: Any) -> Worker:
            config = tmp_path / "empty.yaml"
            config.write_text("")
            given = stub("good", "endless", home=str(tmp_path / "home")) | (settings or {})
            return stack.enter_context(_worker(config, given, server))

        yield make


@contextmanager
def _worker(config: Path, settings: dict[str, Any], server: dict[str, Any]) -> Iterator[Worker]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, fd = listening.getsockname()[1], listening.fileno()
        options = ["--fd", str(fd), "--config", str(config)]
        options += ["--settings", json.dumps(settings), "--server", json.dumps(server)]
        process = subprocess.Popen(
            [sys.executable, "-m", "pointsman.api.worker", *options],
            pass_fds=[fd],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    with process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        try:
            yield Worker(process, http)
        finally:
            process.kill()


def test_it_answers_before_its_engines_are_there_and_serves_when_told(
    start: Callable[..., Worker], wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    """From the first moment /health lives, /ready says what is missing, and answers are put off; then all works;
    SIGTERM ends it cleanly, with what it answered written."""
    worker = start()
    assert worker.http.get("/health").status_code == 200
    unready = worker.http.get("/ready")
    assert unready.status_code == 503
    assert "engines" in unready.json()["missing"]
    early = worker.http.post("/v1/chat/completions", json=ASK)
    assert (early.status_code, early.headers["retry-after"]) == (503, "1")
    worker.tell()
    wait_until(lambda: worker.http.get("/ready").status_code == 200, "the worker is ready")
    answer = worker.http.post("/v1/chat/completions", json=ASK)
    assert answer.json()["choices"][0]["message"]["content"] == "Grüße"
    worker.process.send_signal(signal.SIGTERM)
    assert worker.ended() == 0
    with open_store(StoreConfig(url=f"sqlite:///{tmp_path / 'home' / 'pointsman.db'}")) as store:
        assert store.decision(answer.headers["x-pointsman-decision-id"])


def test_it_serves_without_memory_where_the_stores_folder_cannot_be_made(
    start: Callable[..., Worker], wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    worker = start({"store": f"sqlite:///{tmp_path}/file/sub/p.db"})
    worker.tell()
    wait_until(lambda: worker.http.get("/ready").status_code == 200, "the worker is ready")
    assert worker.http.post("/v1/chat/completions", json=ASK).status_code == 200
    failing = wait_until(lambda: worker.http.get("/ready").json()["store"]["failing"], "the store says what is wrong")
    assert "cannot be made" in failing


def test_with_its_parent_gone_it_lets_a_running_answer_go_on_until_the_grace_is_over(
    start: Callable[..., Worker], wait_until: Callable[..., Any], upstream: Any
) -> None:
    """Then the client is told why it ends, and the generation stops."""
    worker = start(shutdown_grace_s=1)
    worker.tell()
    wait_until(lambda: worker.http.get("/ready").status_code == 200, "the worker is ready")
    with worker.http.stream("POST", "/v1/chat/completions", json=ASK | {"model": "endless", "stream": True}) as answer:
        lines = answer.iter_lines()
        next(lines)
        worker.leave()
        events = [line for line in lines if line]
    assert len(events) > 10
    assert "shutting down" in json.loads(events[-1].removeprefix("data: "))["error"]["message"]
    assert upstream.left.wait(5)
    assert worker.ended() == 0


def test_a_second_interrupt_ends_it_at_once(start: Callable[..., Worker], wait_until: Callable[..., Any]) -> None:
    worker = start(shutdown_grace_s=60)
    worker.tell()
    wait_until(lambda: worker.http.get("/ready").status_code == 200, "the worker is ready")
    with worker.http.stream("POST", "/v1/chat/completions", json=ASK | {"model": "endless", "stream": True}) as answer:
        lines = answer.iter_lines()
        next(lines)
        worker.process.send_signal(signal.SIGINT)
        wait_until(lambda: _refuses(worker), "no new connections are taken")
        worker.process.send_signal(signal.SIGINT)
        last = [line for line in lines if line][-1]
    assert "shutting down" in last
    assert worker.ended() == 0


@pytest.mark.parametrize(
    ("settings", "server", "words"),
    [
        ({"safe_route": "nowhere"}, {}, "safe_route"),
        ({}, {"max_body_bytes": 1}, "server.max_body_bytes"),
        ({}, {"host": "0.0.0.0"}, "POINTSMAN_ALLOW_REMOTE"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_code_2(
    settings: dict[str, Any], server: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["--fd", "0", "--settings", json.dumps(settings), "--server", json.dumps(server)]) == 2
    (record,) = caplog.records
    assert words in record.getMessage()
    assert record.exc_info is None


def test_an_engine_that_can_never_be_opened_ends_it(
    start: Callable[..., Worker], stub: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not ready for ever would look like a server that is still loading."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    settings = stub("good")
    settings["models"]["good"]["api_key_env"] = "NO_SUCH_KEY"
    worker = start(settings)
    worker.tell()
    assert worker.ended() == 2


async def test_the_parents_line_is_taken_in_pieces_and_its_leaving_is_seen() -> None:
    """However the line comes; of those that follow, the names of models that are back are heard, and which keep dying,
    the rest is ignored; and the end of the pipe is told once."""
    reading, writing = os.pipe()
    gone, heard = asyncio.Event(), asyncio.Queue[object]()
    parent = Parent(gone.set, heard.put_nowait, lambda *down: heard.put_nowait(down), reading)
    first = (b'{"digits": {"url": "http://127.0.0.1:1/v1"', b', "api_key": "k"}}\n{"digits"', b": 5}\n")
    for piece in (*first, b'nonsense\n5\n"dig', b'its"\n"ch\xc3\xa9ri"\n{"digits": "it ', b'died"}\n'):
        os.write(writing, piece)
    async with asyncio.timeout(10):
        assert await parent.endpoints == {"digits": Endpoint("http://127.0.0.1:1/v1", "k")}
        assert [await heard.get() for _ in range(3)] == ["digits", "chéri", ("digits", "it died")]
        assert not gone.is_set()
        os.close(writing)
        await gone.wait()
    os.close(reading)
    assert not parent.failed


async def test_a_line_that_cannot_be_read_ends_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    gone = asyncio.Event()
    parent = Parent(gone.set, descriptor=reading)
    os.write(writing, b"hello\n")
    async with asyncio.timeout(10):
        await gone.wait()
    assert parent.failed
    assert "standard input" in caplog.text
    os.close(writing)


def test_the_parents_line_is_read_as_endpoints() -> None:
    line = b'{"digits": {"url": "http://127.0.0.1:1/v1", "api_key": "k"}}'
    assert read_endpoints(line) == {"digits": Endpoint("http://127.0.0.1:1/v1", "k")}
    for wrong in (b"[]", b"{", b'{"digits": 5}', b'{"digits": {"url": "x"}}'):
        with pytest.raises(ConfigError, match="standard input"):
            read_endpoints(wrong)


def _refuses(worker: Worker) -> bool:
    try:
        with httpx.Client(base_url=worker.http.base_url) as fresh:
            fresh.get("/health")
    except httpx.TransportError:
        return True
    return False
